"""Codes that check themselves: citizens, organisations, divisions."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.identifiers import (
    birth_date,
    citizen_check,
    credit_check,
    is_citizen_number,
    is_credit_code,
    is_division,
    province_of,
    spelling_key,
)

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CITIZENS = ["11010519491231002X", "320100199003071236", "460100198812120014"]
COMPANIES = ["91350100M000100Y43", "91110108MA01ABCD2H", "91460100MA5T00003T"]

credit_bodies = st.text(ALPHABET, min_size=17, max_size=17)


@pytest.mark.parametrize("number", CITIZENS)
def test_known_citizen_numbers_hold(number: str) -> None:
    assert is_citizen_number(number)


@pytest.mark.parametrize(
    "number",
    [
        "110105194912310021",
        "11010519491331002X",
        "11010519490229002X",
        "1101051949123100",
        "11010519491231002x",
        "010105194912310020",
        "１１０１０５19491231002X",
        "",
    ],
)
def test_wrong_citizen_numbers_do_not(number: str) -> None:
    assert not is_citizen_number(number)


def test_a_citizen_number_holds_the_birth_date() -> None:
    assert birth_date("11010519491231002X") == date(1949, 12, 31)


@given(st.sampled_from(CITIZENS), st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_found(number: str, place: int, shift: int) -> None:
    digit = str((int(number[place]) + shift) % 10)

    assert not is_citizen_number(number[:place] + digit + number[place + 1 :])


@given(st.sampled_from(CITIZENS), st.integers(0, 15))
def test_two_digits_that_changed_places_are_found(number: str, place: int) -> None:
    swapped = number[:place] + number[place + 1] + number[place] + number[place + 2 :]

    assert swapped == number or not is_citizen_number(swapped)


def test_the_check_of_a_citizen_number_is_its_last_character() -> None:
    assert [citizen_check(number[:17]) for number in CITIZENS] == [n[17] for n in CITIZENS]


@pytest.mark.parametrize("code", COMPANIES)
def test_known_credit_codes_hold(code: str) -> None:
    assert is_credit_code(code)


@pytest.mark.parametrize("code", ["91350100M000100Y44", "91350100M000100Y4", "91350100I000100Y43"])
def test_wrong_credit_codes_do_not(code: str) -> None:
    assert not is_credit_code(code)


@given(credit_bodies)
def test_every_credit_code_has_a_check_character(body: str) -> None:
    assert is_credit_code(body + credit_check(body))


@given(credit_bodies, st.integers(0, 16), st.integers(1, 30))
def test_one_wrong_character_of_a_credit_code_is_found(body: str, place: int, shift: int) -> None:
    other = ALPHABET[(ALPHABET.index(body[place]) + shift) % 31]

    assert not is_credit_code(body[:place] + other + body[place + 1 :] + credit_check(body))


def test_a_sum_without_remainder_gives_zero() -> None:
    assert credit_check("0" * 17) == "0"


def test_divisions_have_six_digits() -> None:
    assert is_division("440100")
    assert not any(map(is_division, ["44010", "4401000", "040100", "44010A", "４４０１００", ""]))
    assert province_of("440183") == "440000"


@pytest.mark.parametrize(
    "text",
    [
        "ICBC-2025 0801/07",
        "icbc2025080107",
        "ＩＣＢＣ２０２５０８０１０７",
        "Icbc·2025·0801·07",
        "ICBC２０２５0801\u200b07 ",
    ],
)
def test_all_spellings_of_a_reference_have_one_key(text: str) -> None:
    assert spelling_key(text) == "icbc2025080107"


def test_leading_zeros_of_a_reference_count() -> None:
    assert spelling_key("0071") != spelling_key("71")
    assert spelling_key(" -/ ") == ""
    assert spelling_key("住院 第１号") == "住院第1号"
