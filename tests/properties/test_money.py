"""Money: properties of every amount, every rate and every way to share."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kernel.money import ZERO, Fen, round_half_up, share, total

Weight: TypeAlias = Decimal | Fraction | int

amounts = st.integers(-(10**15), 10**15).map(Fen)
rates = st.decimals(0, 1000, places=6)


def _exact(chosen: list[Weight]) -> list[Fraction]:
    return [Fraction(weight) for weight in chosen]


def _can_share(chosen: list[Weight]) -> bool:
    return sum(_exact(chosen)) > 0


weights: st.SearchStrategy[list[Weight]] = st.lists(
    st.one_of(
        st.integers(0, 10**6),
        st.decimals(0, 1000, places=4),
        st.fractions(0, 1000, max_denominator=997),
    ),
    min_size=1,
    max_size=30,
).filter(_can_share)


@given(amounts, weights)
def test_parts_sum_to_the_whole(amount: Fen, chosen: list[Weight]) -> None:
    parts = share(amount, chosen)

    assert total(parts) == amount
    assert len(parts) == len(chosen)


@given(amounts, weights)
def test_each_part_is_within_a_fen_of_its_due(amount: Fen, chosen: list[Weight]) -> None:
    whole = sum(_exact(chosen))

    for part, weight in zip(share(amount, chosen), chosen, strict=True):
        assert abs(part.count - amount.count * Fraction(weight) / whole) < 1


@given(amounts, weights)
def test_a_reversal_is_shared_as_the_negative(amount: Fen, chosen: list[Weight]) -> None:
    assert share(-amount, chosen) == [-part for part in share(amount, chosen)]


@given(amounts, weights)
def test_weight_zero_gets_nothing(amount: Fen, chosen: list[Weight]) -> None:
    parts = share(amount, [*chosen, 0])

    assert parts[-1] == ZERO
    assert parts[:-1] == share(amount, chosen)


@given(st.integers(0, 10**15).map(Fen), weights)
def test_more_weight_never_gets_less(amount: Fen, chosen: list[Weight]) -> None:
    parts = share(amount, chosen)
    pairs = sorted(zip(_exact(chosen), parts, strict=True))

    # Equal weights may differ by the fen that was left over, which goes to the earlier one.
    for (lighter, less), (heavier, more) in pairwise(pairs):
        assert less <= more or (lighter == heavier and less.count - more.count == 1)


@given(amounts, rates)
def test_a_product_is_the_nearest_fen(amount: Fen, rate: Decimal) -> None:
    exact = amount.count * Fraction(rate)
    rounded = amount.times(rate).count

    assert abs(rounded - exact) <= Fraction(1, 2)
    if abs(rounded - exact) == Fraction(1, 2):
        assert abs(rounded) > abs(exact)


@given(amounts, rates)
def test_a_reversal_is_the_negative_of_what_it_reverses(amount: Fen, rate: Decimal) -> None:
    assert (-amount).times(rate) == -amount.times(rate)


@given(amounts, rates)
def test_a_decimal_and_the_same_fraction_give_the_same_fen(amount: Fen, rate: Decimal) -> None:
    assert amount.times(rate) == amount.times(Fraction(rate))


@given(st.integers(0, 10**15).map(Fen), rates, rates)
def test_a_higher_rate_never_gives_less(amount: Fen, first: Decimal, second: Decimal) -> None:
    low, high = sorted([first, second])

    assert amount.times(low) <= amount.times(high)


@given(st.integers(-(10**18), 10**18))
def test_a_whole_number_is_not_rounded(count: int) -> None:
    assert round_half_up(Decimal(count)) == round_half_up(Fraction(count)) == count


@given(amounts)
def test_yuan_and_back_is_the_same_amount(amount: Fen) -> None:
    assert Fen.of_yuan(amount.yuan.replace(",", "")) == amount


@given(st.decimals(-1000, 1000, places=3).filter(lambda yuan: yuan * 100 % 1 != 0))
def test_parts_of_a_fen_are_refused(yuan: Decimal) -> None:
    with pytest.raises(ValueError, match="not a whole number of fen"):
        Fen.of_yuan(str(yuan))


@given(st.lists(st.integers(-5, 0), max_size=5))
def test_weights_that_cannot_share_are_refused(chosen: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        share(Fen(100), chosen)
