"""Records, batches, and which revision of an order counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.orderlog.entries import batch_name, log_entry, order_name
from services.orders.domain.checks import State, Status
from services.orders.domain.judging import Rejected

MARGIN_MAX = timedelta(hours=24)
INLINE_REJECTIONS_MAX = 1000


@dataclass(frozen=True)
class Batch:
    """A batch that was taken. `rejections` may be all of them, or the first thousand."""

    platform: str
    batch_id: str
    batch_no: int
    log_index: int
    received_count: int
    created_count: int
    exists_count: int
    conflict_count: int
    rejected_count: int
    rejected_by_reason: dict[Status, int]
    root: bytes
    content_hash: bytes
    create_time: datetime
    rejections: Sequence[Rejected] = ()

    @property
    def name(self) -> str:
        """`platforms/{credit code}/orderBatches/{id}`."""
        return batch_name(self.platform, self.batch_id)

    @property
    def log_entry(self) -> bytes:
        """What stands for the batch in the platform's log; docs/evidence.md."""
        return log_entry(self.created_count, self.create_time, self.root, self.name)


@dataclass(frozen=True)
class Record:
    """One revision of an order as it is held."""

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
    # It came after an accident had been reported that this or an earlier revision lies under.
    late: bool

    @property
    def order(self) -> str:
        """`platforms/{credit code}/orders/{order_no}`."""
        return order_name(self.platform, self.order_no)

    def was_reversed(self, moment: datetime) -> bool:
        """Whether it says that the order was never real, and said so at the moment already."""
        return self.state is State.REVERSED and self.create_time <= moment

    def is_near(self, moment: datetime, margin: timedelta) -> bool:
        """Whether the order was under way at the moment, give or take the margin."""
        begins = self.accept_time - margin <= moment
        return begins and (self.end_time is None or moment <= self.end_time + margin)


@dataclass(frozen=True)
class Found:
    """An order near a moment, in the revision that decides, and beside it those that came late."""

    record: Record
    under_way: bool
    concurrent: bool
    late_revisions: Sequence[Record] = ()


def find(
    revisions: Iterable[Record],
    worker: int,
    moment: datetime,
    margin: timedelta,
) -> list[Found]:
    """A worker's orders near a moment, each in the revision that decides, by time of acceptance.

    The latest revision decides, of those that did not come late: what is sent once an accident is
    reported can neither hide nor shorten the order, and is shown beside it. An order is found by a
    late revision only if the others do not make it the worker's near the moment. A reversed order
    is found as such; it was under way only if it was reversed after the moment.
    """
    by_order: dict[str, list[Record]] = {}
    for record in sorted(revisions, key=lambda one: one.revision):
        by_order.setdefault(record.order, []).append(record)
    near = []
    for held in by_order.values():
        decisive = _decisive(held, worker, moment, margin)
        if decisive is not None:
            late = [one for one in held if one.late and one is not decisive]
            near.append((decisive, late))
    near.sort(key=lambda one: (one[0].accept_time, one[0].order))
    real = [record for record, _ in near if not record.was_reversed(moment)]
    return [
        Found(
            record,
            under_way=record in real and record.is_near(moment, timedelta()),
            concurrent=record in real
            and any(_overlap(record, other) for other in real if other is not record),
            late_revisions=late,
        )
        for record, late in near
    ]


def _decisive(
    held: Sequence[Record], worker: int, moment: datetime, margin: timedelta
) -> Record | None:
    """The revision by which an order is found, of all its revisions, oldest first."""
    in_time = [one for one in held if not one.late][-1:]
    late = sorted(
        (one for one in held if one.late),
        key=lambda one: (one.state is not State.REVERSED, one.revision),
        reverse=True,
    )
    fitting = (
        one for one in (*in_time, *late) if one.worker == worker and one.is_near(moment, margin)
    )
    return next(fitting, None)


def _overlap(one: Record, other: Record) -> bool:
    ends_before = one.end_time is not None and one.end_time <= other.accept_time
    begins_after = other.end_time is not None and other.end_time <= one.accept_time
    return not (ends_before or begins_after)
