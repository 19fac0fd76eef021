"""The law of a service: looked up by name, day, place and day of publication."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from services.kernel.identifiers import NATIONAL
from services.kernel.law import Tag
from services.kernel.lawbook import Law, UsedValues, law_version, load_law
from services.kernel.parameters import Parameter, ParameterFileFaulty, ParameterNotFound, Value
from services.kernel.periods import Month, Span

JULY_2022, JULY_2025, JUNE_27 = date(2022, 7, 1), date(2025, 7, 1), date(2025, 6, 27)
GUANGDONG, GUANGZHOU = "440000", "440100"


def a_value(
    name: str, since: date, content: object, where: str = NATIONAL, published: date | None = None
) -> Value:
    return Value(since, where, published or since, content, "a source", Tag.ASSUMED, name)


def a_law(name: str, *values: Value) -> Law:
    return Law({name: Parameter(name, "a unit", values)})


RATE = a_law(
    "rate",
    a_value("rate", JULY_2022, "0.04"),
    a_value("rate", JULY_2025, "0.07", published=JUNE_27),
    a_value("rate", JULY_2025, "0.06", GUANGDONG),
)


def test_a_value_is_looked_up_by_name_day_and_place() -> None:
    assert RATE.on("rate", date(2025, 6, 30)).value == "0.04"
    assert RATE.on("rate", JULY_2025).value == "0.07"
    assert RATE.on("rate", JULY_2025, GUANGZHOU).value == "0.06"


def test_only_what_was_published_by_a_day_counts() -> None:
    assert RATE.on("rate", JULY_2025, NATIONAL, date(2025, 6, 26)).value == "0.04"
    assert RATE.on("rate", JULY_2025, NATIONAL, JUNE_27).value == "0.07"
    assert RATE.on("rate", JULY_2025, GUANGZHOU, JUNE_27).value == "0.07"


def test_a_law_has_a_default_place_and_a_default_day_of_publication() -> None:
    law = RATE.at(GUANGZHOU, known=JUNE_27)

    assert law.on("rate", JULY_2025).value == "0.07"
    assert law.on("rate", JULY_2025, known=JULY_2025).value == "0.06"
    assert law.on("rate", JULY_2025, NATIONAL, JULY_2025).value == "0.07"


def test_another_place_keeps_the_day_of_publication() -> None:
    law = RATE.at(NATIONAL, known=JUNE_27).at(GUANGZHOU)

    assert (law.where, law.known) == (GUANGZHOU, JUNE_27)


def test_a_day_without_a_value_is_refused() -> None:
    with pytest.raises(ParameterNotFound, match="rate has no value in force on 2022-06-30 in CN"):
        RATE.on("rate", date(2022, 6, 30))


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        RATE.on("rates", JULY_2025)


def test_a_value_is_read_in_the_form_it_has() -> None:
    law = Law(
        {
            name: Parameter(name, "a unit", (a_value(name, JULY_2022, content),))
            for name, content in (
                ("rate", "0.04"),
                ("months", "23"),
                ("shares", {"full": "0.50"}),
                ("switch", "on"),
                ("other_switch", "off"),
            )
        }
    )

    assert law.decimal("rate", JULY_2025) == Decimal("0.04")
    assert law.count("months", JULY_2025) == 23
    assert law.table("shares", JULY_2025) == {"full": "0.50"}
    assert law.is_on("switch", JULY_2025)
    assert not law.is_on("other_switch", JULY_2025)


def test_the_days_of_change_are_those_of_any_place_within_the_span() -> None:
    assert RATE.change_days(Span(JULY_2022, date(2025, 7, 2)), "rate") == {JULY_2022, JULY_2025}
    assert RATE.change_days(Span(JULY_2022, JULY_2025), "rate") == {JULY_2022}


def test_a_value_that_begins_within_a_month_applies_from_the_month_after() -> None:
    law = a_law(
        "rate",
        a_value("rate", date(2025, 5, 1), "1"),
        a_value("rate", date(2025, 7, 2), "2"),
        a_value("rate", date(2025, 9, 1), "3", published=date(2025, 9, 20)),
        a_value("rate", date(2025, 10, 1), "4", "310000"),
    )

    def months(after: Month, known: date) -> list[Month]:
        return law.change_months("rate", GUANGZHOU, after, known)

    assert months(Month(2025, 4), date(2025, 9, 19)) == [Month(2025, 5), Month(2025, 8)]
    assert months(Month(2025, 5), date(2025, 9, 20)) == [Month(2025, 8), Month(2025, 9)]
    assert months(Month(2025, 9), date(2026, 1, 1)) == []


def test_the_version_changes_with_whatever_is_published() -> None:
    before, after = (law_version(RATE, day) for day in (date(2025, 6, 26), JUNE_27))
    same = Law(dict(RATE.parameters))

    assert before != after
    assert law_version(same, JUNE_27) == after
    assert len(after) == 16


def test_the_version_depends_on_every_value() -> None:
    other = a_law("rate", *RATE.parameters["rate"].values[:-1], a_value("rate", JULY_2025, "0.05"))

    assert law_version(other, JULY_2025) != law_version(RATE, JULY_2025)


def test_a_law_has_the_parameters_of_its_folder_and_the_shared_ones_it_names(
    tmp_path: Path,
) -> None:
    _write(tmp_path / "rate.toml", 'value = "0.04"')

    law = load_law(tmp_path, ["average_wage"])

    assert set(law.parameters) == {"rate", "average_wage"}
    assert law.on("rate", JULY_2025).value == "0.04"
    assert law.where == NATIONAL
    assert law.known is None


def test_a_law_with_a_faulty_file_is_not_loaded(tmp_path: Path) -> None:
    _write(tmp_path / "rate.toml", "value = 0.04")

    with pytest.raises(ParameterFileFaulty, match=r"rate.toml, values\[0\].value"):
        load_law(tmp_path)


def test_laws_are_keys_of_a_cache_by_identity() -> None:
    same = Law(RATE.parameters)

    assert same != RATE
    assert len({RATE, same}) == 2


def _write(path: Path, value: str) -> None:
    path.write_text(
        f"""
title = "A rate"
title_zh = "比例"
unit = "share of premiums"

[[values]]
since = 2022-07-01
{value}
tag = "assumed"
source = "assumed"
""",
        encoding="utf-8",
    )


def test_a_law_notes_the_assumed_values_that_are_looked_up() -> None:
    lawful = replace(a_value("lawful", JULY_2022, "4"), tag=Tag.LAW)
    parameters = {
        **a_law(
            "rate", a_value("rate", JULY_2022, "1"), a_value("rate", JULY_2025, "2")
        ).parameters,
        **a_law("other", a_value("other", JULY_2022, "3")).parameters,
        **a_law("lawful", lawful).parameters,
    }
    law, used = Law(parameters), UsedValues()

    noting = law.noting(used).at(GUANGZHOU)
    noting.decimal("rate", date(2025, 8, 1))
    noting.decimal("lawful", date(2025, 8, 1))
    law.decimal("other", date(2025, 8, 1))

    assert {version.value for version in used.versions} == {"2"}


def test_the_values_in_force_in_a_province_are_its_own_and_those_of_its_areas() -> None:
    law = a_law(
        "rate",
        a_value("rate", JULY_2022, "national"),
        a_value("rate", JULY_2022, "of Shenzhen", "440300"),
        a_value("rate", JULY_2022, "of Shanghai", "310000"),
        a_value("rate", date(2026, 7, 1), "of Guangdong", GUANGDONG),
    )

    def values(day: date, province: str) -> set[str]:
        return {value.value for value in law.in_force(day, province)}

    assert values(date(2025, 8, 1), GUANGDONG) == {"national", "of Shenzhen"}
    assert values(date(2025, 8, 1), "310000") == {"of Shanghai"}
    assert values(date(2026, 8, 1), GUANGDONG) == {"of Guangdong", "of Shenzhen"}


def test_a_value_that_says_something_else_has_another_digest() -> None:
    value = a_value("rate", JULY_2022, "1")
    same = [replace(value, source="another"), replace(value, tag=Tag.LAW)]
    other = [
        replace(value, value="2"),
        replace(value, since=JULY_2025),
        replace(value, jurisdiction=GUANGDONG),
        replace(value, parameter="other"),
    ]

    digests = {one.version.digest for one in other}
    assert {one.version.digest for one in same} == {value.version.digest}
    assert len(digests | {value.version.digest}) == 5
