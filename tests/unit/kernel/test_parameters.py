"""Parameters: found by day, place and day of publication."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from services.kernel.money import Fen
from services.kernel.parameters import (
    ParameterFileFaulty,
    ParameterNotFound,
    load,
    load_folder,
    places,
)

KERNEL = Path(__file__).parents[3] / "services" / "kernel" / "parameters"

GOOD = """
title = "Funeral grant"
title_zh = "丧葬补助金"
unit = "months of the benefit base"
first_day = 2022-07-01

[[values]]
since = 2022-07-01
until = 2025-07-01
value = "5"
tag = "assumed"
source = "assumed: before the measures"

[[values]]
since = 2025-07-01
published = 2025-06-27
value = "6"
tag = "law"
source = "人社厅函〔2025〕79号 第三十九条第(一)项"
"""


def test_a_file_with_a_fault_is_not_loaded(tmp_path: Path) -> None:
    path = _written(tmp_path, GOOD.replace('value = "6"', "value = 6.5"))

    with pytest.raises(ParameterFileFaulty, match=r"funeral_grant_months.toml, values\[1\].value"):
        load(path)


def test_a_value_is_found_by_its_first_day(tmp_path: Path) -> None:
    parameter = load(_written(tmp_path, GOOD))

    assert parameter.on(date(2025, 6, 30)).value == "5"
    assert parameter.on(date(2025, 7, 1)).value == "6"


def test_a_value_that_ended_is_not_in_force(tmp_path: Path) -> None:
    text = GOOD[: GOOD.rindex("[[values]]")]
    parameter = load(_written(tmp_path, text))

    assert parameter.on(date(2025, 6, 30)).value == "5"
    with pytest.raises(ParameterNotFound):
        parameter.on(date(2025, 7, 1))


def test_a_day_before_the_first_value_is_refused_with_what_was_asked(tmp_path: Path) -> None:
    parameter = load(_written(tmp_path, GOOD))

    with pytest.raises(ParameterNotFound, match="no value in force on 2022-06-30 in 440100"):
        parameter.on(date(2022, 6, 30), "440100")


def test_a_wage_applies_to_january_from_the_day_it_was_published() -> None:
    wage = load(KERNEL / "average_wage.toml")

    before = wage.on(date(2025, 1, 20), "310115", known=date(2025, 5, 15))
    after = wage.on(date(2025, 1, 20), "310115", known=date(2025, 5, 16))

    assert (before.decimal, after.decimal) == (Decimal(68340), Decimal(69476))


def test_the_nearest_place_that_has_a_value_counts() -> None:
    floor = load(KERNEL / "minimum_wage.toml")

    assert floor.on(date(2025, 7, 1), "310115").fen == Fen.of_yuan("2740")
    assert floor.on(date(2025, 6, 30), "310115").fen == Fen.of_yuan("2690")
    assert floor.on(date(2025, 7, 1), "440100").fen == Fen.of_yuan("2490")


def test_places_go_from_the_platform_to_the_country() -> None:
    assert places("91350100M000100Y43@440100") == [
        "91350100M000100Y43@440100",
        "91350100M000100Y43@440000",
        "440100",
        "440000",
        "CN",
    ]
    assert places("440000") == ["440000", "CN"]
    assert places("CN") == ["CN"]


def test_a_version_says_where_a_value_comes_from(tmp_path: Path) -> None:
    version = load(_written(tmp_path, GOOD)).on(date(2025, 7, 1)).version

    assert (version.name, version.value) == ("funeral_grant_months", "6")
    assert version.source == "人社厅函〔2025〕79号 第三十九条第(一)项"


def test_a_folder_is_loaded_by_name() -> None:
    assert set(load_folder(KERNEL)) >= {"average_wage", "disposable_income", "pooling_areas"}


def _written(folder: Path, text: str) -> Path:
    path = folder / "funeral_grant_months.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_value_of_a_wider_place_stands_in_only_as_far_as_the_parameter_allows() -> None:
    wage, start = load(KERNEL / "average_wage.toml"), load(KERNEL / "scheme_start.toml")
    minimum, income = load(KERNEL / "minimum_wage.toml"), load(KERNEL / "disposable_income.toml")
    day = date(2025, 8, 1)

    assert wage.on(day, "440100").stands_in
    assert not wage.on(day).stands_in
    assert not income.on(day, "440100").stands_in
    # A municipality's figure is its districts' own, a province's is not its prefectures'.
    assert not minimum.on(day, "110105").stands_in
    assert minimum.on(day, "440100").stands_in
    # The first day is a province's; none stands in for it.
    assert start.on(day, "370300").value == "2025-07-01"
    with pytest.raises(ParameterNotFound):
        start.on(day, "710100")
    with pytest.raises(ParameterNotFound):
        start.on(day)
