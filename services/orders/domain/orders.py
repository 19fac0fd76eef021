"""Order records, and which of them are late.

`lateness` is the specification of the SQL in `store/orders.py`. The service runs the SQL; the
function runs in tests, which hold the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kernel.periods import civil_day
from services.orderlog.entries import order_name
from services.orders.domain.row_rules import State


@dataclass(frozen=True)
class Record:
    """One revision of an order as it is stored."""

    platform: str
    order_no: str
    revision: int
    worker: int
    industry: int
    state: State
    accept_time: datetime
    pick_up_time: datetime | None
    end_time: datetime | None
    place: int
    reason: str
    batch_no: int
    batch_id: str
    leaf_index: int
    create_time: datetime
    # It arrived after the report of an accident that this or an earlier revision covers. Nothing
    # stores it: each question computes it, because a report can come long after the record.
    late: bool

    @property
    def order(self) -> str:
        """`platforms/{credit code}/orders/{order_no}`."""
        return order_name(self.platform, self.order_no)

    def is_near(self, moment: datetime, margin: timedelta) -> bool:
        """Whether the moment lies between acceptance and end, within the margin."""
        is_accepted = self.accept_time - margin <= moment
        return is_accepted and (self.end_time is None or moment <= self.end_time + margin)


@dataclass(frozen=True)
class Report:
    """The report of an accident: whose, of which moment, and when it came in."""

    worker: int
    moment: datetime
    create_time: datetime

    def is_covered_by(self, record: Record) -> bool:
        """Whether the accident of the record's worker lies within the order or on its day.

        The day is that of acceptance in Asia/Shanghai.
        """
        if self.worker != record.worker:
            return False
        is_within = record.is_near(self.moment, timedelta(0))
        return is_within or civil_day(self.moment) == civil_day(record.accept_time)


def lateness(revisions: Sequence[Record], reports: Sequence[Report]) -> list[bool]:
    """Whether each revision of one order, oldest first, is late.

    A revision is late if it arrived after the report of an accident that it or an earlier revision
    covers, so that no correction can move an order away unmarked.
    """
    marks = []
    covered: set[Report] = set()
    for record in revisions:
        covered.update(report for report in reports if report.is_covered_by(record))
        marks.append(any(report.create_time < record.create_time for report in covered))
    return marks
