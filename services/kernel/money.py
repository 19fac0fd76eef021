"""Money in whole fen. Multiplication by a rate rounds once, half up, in one function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

FEN_PER_YUAN = 100


@dataclass(frozen=True, order=True)
class Fen:
    """An amount in fen (1/100 yuan), signed."""

    count: int

    @classmethod
    def of_yuan(cls, yuan: str) -> Fen:
        """`Fen.of_yuan("12.30")`; raises ValueError for parts of a fen."""
        fen = Decimal(yuan) * FEN_PER_YUAN
        if fen != fen.to_integral_value():
            message = f"{yuan} yuan is not a whole number of fen"
            raise ValueError(message)
        return cls(int(fen))

    @property
    def yuan(self) -> str:
        """The amount in yuan with two decimals and thousands separators, for people."""
        return f"{Decimal(self.count) / FEN_PER_YUAN:,.2f}"

    def times(self, factor: Decimal | Fraction | int) -> Fen:
        """This amount times a rate, rounded half up to whole fen.

        Half up means away from zero, so that a reversal is the exact negative of what it reverses.
        """
        return Fen(round_half_up(self.count * _exact(factor)))

    def __add__(self, other: Fen) -> Fen:
        return Fen(self.count + other.count)

    def __sub__(self, other: Fen) -> Fen:
        return Fen(self.count - other.count)

    def __neg__(self) -> Fen:
        return Fen(-self.count)

    def __bool__(self) -> bool:
        return self.count != 0

    def __str__(self) -> str:
        return f"{self.count} fen"


ZERO = Fen(0)


def total(amounts: Iterable[Fen]) -> Fen:
    """The sum of the amounts; zero for none."""
    return Fen(sum(amount.count for amount in amounts))


def round_half_up(value: Decimal | Fraction) -> int:
    """The nearest whole number, halves away from zero; the only rounding of the system."""
    if isinstance(value, Decimal):
        return int(value.to_integral_value(ROUND_HALF_UP))
    doubled = abs(value) * 2
    whole = (doubled.numerator // doubled.denominator + 1) // 2
    return whole if value >= 0 else -whole


def share(amount: Fen, weights: Sequence[Decimal | Fraction | int]) -> list[Fen]:
    """Split an amount in proportion to weights so that the parts sum to it exactly.

    Each part is rounded down; the remaining fen go to the largest fractions, ties to the earlier
    part (largest remainder). A negative amount gives the negated parts of the positive amount.
    All-zero or negative weights raise ValueError.
    """
    exact = [_fraction(weight) for weight in weights]
    whole = sum(exact, Fraction(0))
    if whole <= 0 or min(exact) < 0:
        message = "weights must not be negative and must not all be zero"
        raise ValueError(message)
    sign = -1 if amount.count < 0 else 1
    parts = [abs(amount.count) * weight / whole for weight in exact]
    counts = [part.numerator // part.denominator for part in parts]
    remaining = abs(amount.count) - sum(counts)
    by_fraction = sorted(range(len(parts)), key=lambda i: (counts[i] - parts[i], i))
    for i in by_fraction[:remaining]:
        counts[i] += 1
    return [Fen(sign * count) for count in counts]


def _exact(value: Decimal | Fraction | int) -> Decimal | Fraction:
    return Decimal(value) if isinstance(value, int) else value


def _fraction(value: Decimal | Fraction | int) -> Fraction:
    return Fraction(value)
