"""Order records, which of them are late, and which revision of an order decides at a moment.

`lateness` is the specification of the SQL in `store/orders.py`. The service runs the SQL; the
function runs in tests, which hold the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.kernel.periods import civil_day
from services.orderlog.entries import order_name
from services.orders.domain.row_rules import State

MARGIN_MAX = timedelta(hours=24)


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


@dataclass(frozen=True)
class FoundOrder:
    """An order near a moment: the revision that decides, and the other revisions that were late."""

    record: Record
    late_revisions: Sequence[Record] = ()


def find(
    revisions: Iterable[Record],
    worker: int,
    moment: datetime,
    margin: timedelta,
) -> list[FoundOrder]:
    """A worker's orders near a moment, each in the revision that decides, by time of acceptance.

    The latest revision that is not late decides: a record that arrives after an accident was
    reported can neither hide nor shorten the order, and is returned separately. A late revision
    decides only if no other revision links the order to the worker near the moment. A reversed
    order is returned with that state.
    """
    by_order: dict[str, list[Record]] = {}
    for record in sorted(revisions, key=lambda record: record.revision):
        by_order.setdefault(record.order, []).append(record)
    orders = []
    for records in by_order.values():
        decisive = _decisive(records, worker, moment, margin)
        if decisive is not None:
            late = [record for record in records if record.late and record is not decisive]
            orders.append(FoundOrder(decisive, late))
    return sorted(orders, key=lambda order: (order.record.accept_time, order.record.order))


def _decisive(
    records: Sequence[Record], worker: int, moment: datetime, margin: timedelta
) -> Record | None:
    """The revision by which an order is found, of all its revisions, oldest first."""
    in_time = [record for record in records if not record.late][-1:]
    late = sorted(
        (record for record in records if record.late),
        key=lambda record: (record.state is not State.REVERSED, record.revision),
        reverse=True,
    )
    matches = (
        record
        for record in (*in_time, *late)
        if record.worker == worker and record.is_near(moment, margin)
    )
    return next(matches, None)
