"""Money: the worked sums that people check by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.kernel.money import ZERO, Fen, round_half_up, share, total


@pytest.mark.parametrize(
    ("value", "rounded"),
    [("0.4", 0), ("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("-2.5", -3), ("-2.4", -2)],
)
def test_halves_go_away_from_zero(value: str, rounded: int) -> None:
    assert round_half_up(Decimal(value)) == rounded


def test_a_premium_is_rounded_once() -> None:
    assert Fen(1_234_567 * 7).times(Decimal("1.20")) == Fen.of_yuan("103703.63")


def test_the_benefit_base_comes_from_the_wage() -> None:
    wage = Fen.of_yuan("69476").times(Decimal(1) / 12)

    assert wage == Fen.of_yuan("5789.67")
    assert wage.times(Decimal("0.60")) == Fen.of_yuan("3473.80")


def test_four_survivors_share_the_cap_and_the_fen_left_over() -> None:
    assert [part.yuan for part in share(Fen.of_yuan("3473.80"), [40, 30, 30, 30])] == [
        "1,068.86",
        "801.65",
        "801.65",
        "801.64",
    ]


def test_amounts_are_shown_in_yuan() -> None:
    assert Fen(108_376_000).yuan == "1,083,760.00"
    assert Fen(-5).yuan == "-0.05"
    assert str(Fen(7)) == "7 fen"


def test_amounts_add_and_compare() -> None:
    assert Fen(3) + Fen(4) - Fen(5) == Fen(2)
    assert total([]) == ZERO
    assert not ZERO
    assert Fen(1) > ZERO > -Fen(1)
