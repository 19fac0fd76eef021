"""Surcharge (滞纳金): simple, by day, on the premium that was unpaid on that day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from services.kernel.money import Fen
from services.premiums.domain.bills import Allotment, Due


def accrued_surcharge(
    dues: Sequence[Due], allotments: Iterable[Allotment], day: date, daily_rate: Decimal
) -> tuple[Fen, str]:
    """The surcharge accrued by the end of a day, and its arithmetic.

    Simple, 0.05 % a day on the premium unpaid on that day, from the day after the due date to the
    day of payment inclusive. Receipts pay first what was due first. Rounded once, half up.
    """
    parts = positive_dues(dues)
    left = [due.premium.count for due in parts]
    terms: list[tuple[int, int]] = []
    for allotment in sorted(allotments, key=lambda allotment: allotment.day):
        amount = allotment.premium.count
        for index, part in enumerate(parts):
            taken = max(0, min(amount, left[index]))
            left[index] -= taken
            amount -= taken
            terms.append((taken, (allotment.day - part.due).days))
    terms += [(fen, (day - part.due).days) for fen, part in zip(left, parts, strict=True)]
    late = [(fen, days) for fen, days in terms if fen and days > 0]
    fen_days = sum(fen * days for fen, days in late)
    accrued = Fen(1).times(fen_days * daily_rate)
    shown = " + ".join(f"{Fen(fen).yuan} x {daily_rate} x {days}" for fen, days in late)
    return accrued, f"{shown} = {accrued.yuan}" if late else ""


def positive_dues(dues: Sequence[Due]) -> list[Due]:
    """The parts of a bill by due date; orders taken back lower the part that is due last."""
    taken = -sum(min(0, due.premium.count) for due in dues)
    lowered: list[Due] = []
    for due in sorted(dues, key=lambda due: due.due, reverse=True):
        if due.premium.count > 0:
            less = min(taken, due.premium.count)
            taken -= less
            lowered.append(Due(due.due, Fen(due.premium.count - less)))
    return lowered[::-1]


def overdue(dues: Sequence[Due], received: Fen, day: date) -> list[Due]:
    """The unpaid parts of a bill that are past due; receipts pay first what was due first."""
    left = received.count
    unpaid: list[Due] = []
    for due in positive_dues(dues):
        paid = max(0, min(left, due.premium.count))
        left -= paid
        if due.due < day and paid < due.premium.count:
            unpaid.append(Due(due.due, Fen(due.premium.count - paid)))
    return unpaid
