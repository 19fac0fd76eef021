"""The legs of an order: who executed it, from when until when.

Each worker that the revisions of an order name has one leg, which a revision begins and a later
one ends; no revision removes it. Premiums count legs.

`legs` is also the specification of the SQL in `store/legs.py`, which counts them; a property test
holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.orders.domain.orders import Record
from services.orders.domain.row_rules import State


@dataclass(frozen=True)
class Leg:
    """A worker's part of an order, by the latest revision that names the worker."""

    record: Record
    # None while it is under way.
    end_time: datetime | None
    # The leg or the whole order was never real.
    is_reversed: bool

    @property
    def is_counted(self) -> bool:
        """Whether premiums count it, on the day of its end in Asia/Shanghai."""
        return self.end_time is not None and not self.is_reversed

    def covers(self, moment: datetime) -> bool:
        """Whether the worker was executing the order at a moment."""
        return not self.is_reversed and self.is_near(moment, timedelta(0))

    def is_near(self, moment: datetime, margin: timedelta) -> bool:
        """Whether the moment lies between acceptance and end, within the margin."""
        return replace(self.record, end_time=self.end_time).is_near(moment, margin)


def legs(revisions: Sequence[Record]) -> list[Leg]:
    """The legs of one order, given all its revisions, oldest first.

    The latest revision that names a worker says when that worker's leg began and ended. If it
    names no end, the next revision, which names another worker, ended the leg. An order that
    returns to an earlier worker continues that worker's leg. If the latest revision says that the
    order was never real, no leg was.
    """
    latest = {record.worker: index for index, record in enumerate(revisions)}
    return [
        Leg(
            revisions[index],
            _end(*revisions[index : index + 2]),
            is_reversed=State.REVERSED in {revisions[index].state, revisions[-1].state},
        )
        for index in sorted(latest.values())
    ]


def leg_of(revisions: Sequence[Record], worker: int) -> Leg | None:
    """The leg of one worker; None if no revision names the worker."""
    return next((leg for leg in legs(revisions) if leg.record.worker == worker), None)


def _end(record: Record, following: Record | None = None) -> datetime | None:
    """When a leg ended: by its own record, or by the revision that gave the order to another.

    That revision ends it at the acceptance by the other worker. If this does not lie after the
    acceptance of the leg, the platform has not said when the order changed hands: then the leg ends
    when the revision was recorded, or when the other worker ended the order, if that was earlier.
    """
    if record.end_time is not None or following is None:
        return record.end_time
    if following.accept_time > record.accept_time:
        return following.accept_time
    recorded = following.create_time
    handed_over = min(following.end_time or recorded, recorded)
    return max(record.accept_time, handed_over)
