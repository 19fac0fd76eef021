"""Cells as spreadsheets and exports leave them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from services.client.files.cells import (
    FORMULA_MARK,
    Reading,
    divisions_in,
    identifiers,
    numbers_in,
    plain_texts,
    words_in,
)


def faults(reading: Reading) -> list[str | None]:
    """The first fault of each cell."""
    found: list[str | None] = [None] * len(reading.values)
    for fault, mask in reversed(reading.faults):
        for place in pc.indices_nonzero(mask).to_pylist():
            found[place] = fault.name
    return found


@pytest.mark.parametrize(
    ("cell", "fault"),
    [
        ("6.92345E+17", "CUT_NUMBER"),
        ("6.9e+17", "CUT_NUMBER"),
        ("6E+17", "CUT_NUMBER"),
        ("6.92345E17", "CUT_NUMBER"),
        ("266.0", "NUMBER_WITH_POINT"),
        ("0042.00", "NUMBER_WITH_POINT"),
        ("#N/A", "SPREADSHEET_ERROR"),
        ("#######", "SPREADSHEET_ERROR"),
        (f"{FORMULA_MARK}=A1", "FORMULA_WITHOUT_VALUE"),
        ("a\0b", "CONTROL_CHARACTER"),
        ("x" * 65, "TOO_LONG"),
        ("", "EMPTY_CELL"),
        ("  ", "EMPTY_CELL"),
        (None, "EMPTY_CELL"),
        ("42", "LOST_ZEROS"),
        ("00042", None),
        ("京A-00042", None),
        # Numbers of orders that only look like damage.
        ("12E45", None),
        ("v1.0-7", None),
        ("ORDER+1", None),
        ("#42", None),
        ("266.5", None),
    ],
)
def test_damage_to_a_number_is_recognised_and_named(cell: str | None, fault: str | None) -> None:
    reading = identifiers(pa.array([cell, "12345"], pa.string()), digits=5)

    assert faults(reading) == [fault, None]


def test_blanks_around_a_number_go_and_a_guard_against_spreadsheets_too() -> None:
    reading = identifiers(pa.array([" r2\t", '="00042"', "\u300042\u00a0"], pa.string()))

    assert reading.values.to_pylist() == ["r2", "00042", "42"]


def test_a_text_for_people_is_one_line() -> None:
    reading = plain_texts(pa.array(["first\nsecond", " a  b ", "\t", "x\0", "y" * 201]), 200)

    assert reading.values.to_pylist()[:3] == ["first second", "a b", None]
    assert faults(reading) == [None, None, None, "CONTROL_CHARACTER", "TOO_LONG"]


def test_words_are_compared_without_case_width_and_blanks() -> None:
    meanings = {"completed": 2, "已完成": 2, "c": 3}

    def meaning(word: str) -> int | None:
        from services.client.files.cells import plain_word

        return meanings.get(plain_word(word))

    reading = words_in(pa.array(["Completed ", "已完成", "ｃ", "", "?"]), meaning, pa.int8())

    assert reading.values.to_pylist() == [2, 2, 3, None, None]
    assert faults(reading) == [None] * 4 + ["UNKNOWN_WORD"]


@pytest.mark.parametrize(
    ("cell", "code", "fault"),
    [
        ("440106", 440106, None),
        (" 440106001 ", 440106, None),
        ("440106001000", 440106, None),
        ("440106.0", 440106, None),
        ("天河区", 440106, None),
        ("", None, None),
        ("4401", None, "NOT_A_DIVISION"),
        ("040106", None, "NOT_A_DIVISION"),
        ("Baiyun", None, "NOT_A_DIVISION"),
    ],
)
def test_codes_of_divisions(cell: str, code: int | None, fault: str | None) -> None:
    reading = divisions_in(pa.array([cell]), {"天河区": 440106})

    assert (reading.values.to_pylist(), faults(reading)) == ([code], [fault])


def test_numbers_with_a_comma_and_texts_that_are_none() -> None:
    reading = numbers_in(pa.array(["23,13", " 5 ", "-1,5E3", "north", "", "nan"]), ",")

    assert reading.values.to_pylist() == [23.13, 5.0, -1500.0, None, None, None]
    assert faults(reading) == [None, None, None, "NOT_A_NUMBER", None, "NOT_A_NUMBER"]
