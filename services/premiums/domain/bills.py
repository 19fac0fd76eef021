"""Bills: a platform's premium of a month by due date and pooling area, and what is paid of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from services.kernel.lifecycle import Lifecycle
from services.kernel.money import ZERO, Fen, total
from services.kernel.names import name
from services.kernel.periods import Month


class BillState(Enum):
    """The states of a bill."""

    ASSESSED = 1
    PAID = 2


LIFECYCLE = Lifecycle(
    {
        "receive": {
            BillState.ASSESSED: BillState.ASSESSED,
            BillState.PAID: BillState.PAID,
        },
        "pay": {BillState.ASSESSED: BillState.PAID},
        "reverse": {
            BillState.ASSESSED: BillState.ASSESSED,
            BillState.PAID: BillState.ASSESSED,
        },
    },
    {
        "receive": "登记收款",
        "pay": "缴清",
        "reverse": "冲销",
    },
)


@dataclass(frozen=True)
class Due:
    """A part of a bill with its due date. A negative part lowers the others."""

    due: date
    premium: Fen


@dataclass(frozen=True)
class Allotment:
    """What was received on a day, as it was allotted."""

    day: date
    premium: Fen
    surcharge: Fen = ZERO
    credit: Fen = ZERO


@dataclass(frozen=True)
class AreaPremium:
    """A pooling area's share of a bill: its premium, and what of it is paid."""

    pooling_area: str
    premium: Fen
    received: Fen = ZERO

    @property
    def open(self) -> Fen:
        """Premium not received; negative where orders were taken back."""
        return self.premium - self.received


@dataclass(frozen=True)
class Bill:
    """A platform's bill of a month with its parts and everything received on it."""

    platform: str
    month: Month
    due: date
    state: BillState
    revision: int
    dues: tuple[Due, ...]
    areas: tuple[AreaPremium, ...]
    allotments: tuple[Allotment, ...] = ()

    @property
    def name(self) -> str:
        """`platforms/{credit code}/premiumBills/{month}`."""
        return bill_name(self.platform, self.month)

    @property
    def premium(self) -> Fen:
        """The sum of the lines."""
        return total(due.premium for due in self.dues)

    @property
    def received(self) -> Fen:
        """Premium received so far."""
        return total(allotment.premium for allotment in self.allotments)

    def up_to(self, day: date) -> tuple[Allotment, ...]:
        """What was received until a day, that day included."""
        return tuple(allotment for allotment in self.allotments if allotment.day <= day)

    def plus(self, allotment: Allotment) -> Bill:
        """The bill with a further allotment."""
        return replace(self, allotments=(*self.allotments, allotment))


@dataclass(frozen=True)
class BilledTotal:
    """The orders and premium of a bill in one pooling area and industry."""

    pooling_area: str
    industry: int
    order_count: int
    premium: Fen


def bill_name(platform: str, month: Month) -> str:
    """`platforms/{credit code}/premiumBills/{month}`."""
    return name("platforms", platform, "premiumBills", str(month))
