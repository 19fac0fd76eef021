"""Parameter files: refused, with file, key and day, when they cannot be trusted."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from services.kernel.parameter_check import Places, check_content, check_file, check_tree

SERVICES = Path(__file__).parents[3] / "services"
KERNEL = SERVICES / "kernel" / "parameters"
AREAS = Places({"440000": frozenset({"440100", "440600"}), "310000": frozenset({"310115"})})

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

# What is changed in the good file, and what the check must then say: file, key, day, words.
BROKEN = [
    ("not TOML", ('value = "6"', "value = six"), "", "", "the file is not TOML"),
    ("no title", ('title = "Funeral grant"', ""), "title", "", "the title is missing"),
    ("no Chinese title", ('title_zh = "丧葬补助金"', ""), "title_zh", "", "the title is missing"),
    ("no unit", ('unit = "months of the benefit base"', ""), "unit", "", "the unit is missing"),
    ("an unknown unit", ("months of", "furlongs of"), "unit", "", "is not a unit"),
    (
        "a value that is no number of months",
        ('value = "6"', 'value = "6.5"'),
        "values[1].value",
        "2025-07-01",
        "does not fit the unit",
    ),
    (
        "yuan with three decimals",
        (
            'unit = "months of the benefit base"',
            'unit = "yuan per month"',
            'value = "6"',
            'value = "6.125"',
        ),
        "values[1].value",
        "2025-07-01",
        "does not fit the unit",
    ),
    (
        "a word that is no choice",
        (
            'unit = "months of the benefit base"',
            'unit = "on or off"',
            'value = "6"',
            'value = "maybe"',
        ),
        "values[1].value",
        "2025-07-01",
        "is not one of off, on",
    ),
    (
        "law without an article",
        ("79号 第三十九条第(一)项", "79号"),
        "values[1].tag",
        "2025-07-01",
        "it is tagged law, and the source names no instrument",
    ),
    (
        "law before the first day of its instrument",
        (
            'tag = "assumed"\nsource = "assumed: before the measures"',
            'tag = "law"\nsource = "人社厅函〔2025〕79号 第三十九条"',
        ),
        "values[0].tag",
        "2022-07-01",
        "rules from 2025-07-01 on",
    ),
    (
        "a float",
        ('value = "6"', "value = 6.0"),
        "values[1].value",
        "2025-07-01",
        "is a float, which is not exact",
    ),
    (
        "a float deep in a table",
        ('value = "6"', "value = {grade_1 = {first = 0.5}}"),
        "values[1].value.grade_1.first",
        "2025-07-01",
        "is a float, which is not exact",
    ),
    (
        "a bare number",
        ('value = "6"', "value = 6"),
        "values[1].value",
        "2025-07-01",
        'write it as text, "6"',
    ),
    (
        "a key that a file does not have",
        ("first_day =", "first_daye ="),
        "first_daye",
        "",
        "a file has fallback, first_day",
    ),
    (
        "a key that a value does not have",
        ("published =", "publisht ="),
        "values[1].publisht",
        "2025-07-01",
        "a value has in",
    ),
    (
        "no first day of a value",
        ("since = 2022-07-01", ""),
        "values[0].since",
        "",
        "the first day is missing",
    ),
    (
        "a moment in the place of a day",
        ("published = 2025-06-27", "published = 2025-06-27T08:00:00"),
        "values[1].published",
        "2025-07-01",
        "it is not a day",
    ),
    (
        "no source",
        ('source = "人社厅函〔2025〕79号 第三十九条第(一)项"', ""),
        "values[1].source",
        "2025-07-01",
        "the source is missing",
    ),
    (
        "no tag",
        ('tag = "law"', ""),
        "values[1].tag",
        "2025-07-01",
        "the tag is one of assumed, common, law, seed",
    ),
    (
        "an unknown tag",
        ('tag = "law"', 'tag = "hearsay"'),
        "values[1].tag",
        "2025-07-01",
        "not 'hearsay'",
    ),
    (
        "an assumption that is called law",
        ('tag = "assumed"', 'tag = "law"'),
        "values[0].tag",
        "2022-07-01",
        "tag it assumed",
    ),
    ("no value", ('value = "6"', ""), "values[1].value", "2025-07-01", "the value is missing"),
    (
        "an empty table",
        ('value = "6"', "value = {}"),
        "values[1].value",
        "2025-07-01",
        "the value is empty",
    ),
    (
        "a province that is not listed",
        ("since = 2025-07-01", 'in = "540000"\nsince = 2025-07-01'),
        "values[1].in",
        "2025-07-01",
        "the province 540000 is not known",
    ),
    (
        "a pooling area that is not of its province",
        ("since = 2025-07-01", 'in = "440800"\nsince = 2025-07-01'),
        "values[1].in",
        "2025-07-01",
        "440800 is not a pooling area of 440000",
    ),
    (
        "a place that is no code",
        ("since = 2025-07-01", 'in = "Guangzhou"\nsince = 2025-07-01'),
        "values[1].in",
        "2025-07-01",
        "Guangzhou is not a place",
    ),
    (
        "a platform whose code does not check",
        ("since = 2025-07-01", 'in = "91350100M000100Y44@440000"\nsince = 2025-07-01'),
        "values[1].in",
        "2025-07-01",
        "is not a unified social credit code",
    ),
    (
        "two values on one day",
        ("since = 2022-07-01\nuntil = 2025-07-01", "since = 2025-07-01\npublished = 2025-06-27"),
        "values in CN",
        "2025-07-01",
        "two values begin on this day",
    ),
    (
        "days that overlap",
        ("until = 2025-07-01", "until = 2025-09-01"),
        "values in CN",
        "2025-07-01",
        "the value before it is in force until 2025-09-01",
    ),
    (
        "days that are missing",
        ("until = 2025-07-01", "until = 2025-06-01"),
        "values in CN",
        "2025-06-01",
        "no value is in force until 2025-07-01",
    ),
    (
        "days that are missing at the beginning",
        ("since = 2022-07-01", "since = 2023-01-01"),
        "values in CN",
        "2022-07-01",
        "no value is in force until 2023-01-01",
    ),
    (
        "an end before the beginning",
        ("until = 2025-07-01", "until = 2022-01-01"),
        "values in CN",
        "2022-07-01",
        "before it begins",
    ),
    (
        "a value published before the one it replaces",
        ("published = 2025-06-27", "published = 2022-06-27"),
        "values in CN",
        "2025-07-01",
        "before the value it replaces",
    ),
    (
        "a value published years after it began",
        ("published = 2025-06-27", "published = 2027-06-27"),
        "values in CN",
        "2025-07-01",
        "over a year later",
    ),
    ("no values", (GOOD[GOOD.index("[[values]]") :], ""), "values", "", "there is no value"),
]


def test_a_good_file_has_no_fault(tmp_path: Path) -> None:
    assert check_file(_written(tmp_path, GOOD), AREAS) == []


@pytest.mark.parametrize(
    ("changes", "key", "day", "words"),
    [row[1:] for row in BROKEN],
    ids=[row[0] for row in BROKEN],
)
def test_a_broken_file_is_named_with_key_and_day(
    tmp_path: Path, changes: tuple[str, ...], key: str, day: str, words: str
) -> None:
    text = GOOD
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in text
        text = text.replace(old, new)

    faults = check_file(_written(tmp_path, text), AREAS)

    found = [fault for fault in faults if (fault.key, fault.day) == (key, day)]
    assert any(words in fault.what for fault in found), [str(fault) for fault in faults]
    sentence = str(found[0])
    assert sentence.startswith("funeral_grant_months.toml")
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")


def test_a_table_that_loses_a_key_is_named(tmp_path: Path) -> None:
    text = GOOD.replace('value = "5"', 'value = {first = "5", second = "4"}')
    text = text.replace('value = "6"', 'value = {first = "6"}')

    (fault,) = check_file(_written(tmp_path, text), AREAS)

    assert (fault.key, fault.day) == ("values in CN.second", "2025-07-01")


def test_a_pooling_area_outside_its_province_is_named() -> None:
    content = tomllib.loads((KERNEL / "pooling_areas.toml").read_text(encoding="utf-8"))
    content["values"][0]["value"][0] = "440100"

    (fault,) = check_content(content, "pooling_areas.toml", AREAS)

    assert "440100 does not lie in 110000" in str(fault)


@pytest.mark.parametrize(
    ("unit", "good", "bad"),
    [
        ("yuan per order", "0.0125", "0.01251"),
        ("share of the benefit base", "0.60", "-0.60"),
        ("times the arrears", "3", "three"),
        ("working days", "15", "15.0"),
        ("count of specialists", "3", "-3"),
        ("day of the month", "15", "32"),
        ("division codes", "440100", "44010"),
        ("grade", "10", "11"),
        ("COVERED or NOT_COVERED", "COVERED", "covered"),
        ("day; orders accepted before it are not taken", "2022-07-01", "2022-07-32"),
        ("urge in working days, share of the rest", "0.5", "half"),
    ],
)
def test_a_value_fits_its_unit(unit: str, good: str, bad: str) -> None:
    def faults(value: str) -> list[str]:
        content = tomllib.loads(GOOD)
        content["unit"] = unit
        content["values"] = [{**row, "value": [value], "in": "440000"} for row in content["values"]]
        return [fault.what for fault in check_content(content, "unit.toml")]

    assert faults(good) == []
    assert len(faults(bad)) == 2


def test_a_limit_has_a_count_and_a_unit() -> None:
    def faults(value: object) -> int:
        content = tomllib.loads(GOOD)
        content["unit"] = "a limit, and what it counts"
        content["values"][1]["value"] = content["values"][0]["value"] = value
        return len(check_content(content, "limit.toml"))

    assert faults({"count": "30", "unit": "working days"}) == 0
    assert faults({"count": "30", "unit": "moons"}) == 2
    assert faults({"count": "thirty", "unit": "days"}) == 2
    assert faults({"count": "30"}) == 2


def test_the_law_of_this_repository_has_no_fault() -> None:
    assert [str(fault) for fault in check_tree(SERVICES)] == []


def _written(folder: Path, text: str) -> Path:
    path = folder / "funeral_grant_months.toml"
    path.write_text(text, encoding="utf-8")
    return path
