"""A worker's orders near a moment, as they were known at that moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.orders.domain.legs import Leg, leg_of
from services.orders.domain.orders import Record


@dataclass(frozen=True)
class FoundOrder:
    """An order near a moment: the worker's leg by the record that decides, and what came later."""

    leg: Leg
    # The revisions recorded after the moment, other than the record that decides, oldest first.
    later_revisions: Sequence[Record] = ()

    @property
    def record(self) -> Record:
        """The record that decides."""
        return self.leg.record


def find(
    revisions: Iterable[Record],
    worker: int,
    moment: datetime,
    margin: timedelta,
) -> list[FoundOrder]:
    """A worker's orders near a moment, by time of acceptance, given all revisions of each order.

    What was known at the moment decides whether the worker's leg covered it: the revisions recorded
    by then, or, of an order that came in later, those of the batch that first named the worker. The
    latest record that says the same and is not late stands for the leg. No revision recorded after
    the moment can hide, shorten or move the leg, reported or not: it is returned separately.
    """
    by_order: dict[str, list[Record]] = {}
    for record in sorted(revisions, key=lambda record: record.revision):
        by_order.setdefault(record.order, []).append(record)
    orders = [
        order
        for records in by_order.values()
        if (order := _found(records, worker, moment, margin)) is not None
    ]
    return sorted(orders, key=lambda order: (order.record.accept_time, order.record.order))


def _found(
    records: Sequence[Record], worker: int, moment: datetime, margin: timedelta
) -> FoundOrder | None:
    """The order as the worker's, if its leg, as known or as a later record says, is near."""
    first = next((record for record in records if record.worker == worker), None)
    if first is None:
        return None
    known_count = 1 + max(
        index
        for index, record in enumerate(records)
        if record.create_time <= moment or record.batch_no == first.batch_no
    )
    known = leg_of(records[:known_count], worker)
    assert known is not None, first.order
    later = records[known_count:]
    named_later = [record for record in later if record.worker == worker]
    is_near = known.is_near(moment, margin)
    if not is_near and not any(record.is_near(moment, margin) for record in named_later):
        return None
    leg = _latest_agreeing(records, known_count, known, moment)
    return FoundOrder(leg, [record for record in later if record is not leg.record])


def _latest_agreeing(
    records: Sequence[Record], known_count: int, known: Leg, moment: datetime
) -> Leg:
    """The leg by the latest records that are not late and say the same of the moment."""
    for count in range(len(records), known_count, -1):
        leg = leg_of(records[:count], known.record.worker)
        assert leg is not None, known.record.order
        if not records[count - 1].late and leg.covers(moment) == known.covers(moment):
            return leg
    return known
