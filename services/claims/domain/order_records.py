"""Order records as evidence: which order was under way at the accident.

Evidence is decided on what was known at the accident. What was recorded later and takes the moment
away from an order, or gives it to it, is for a person to assess.

Protection runs from acceptance to completion (接单至完单), both moments included, and for accidents
up to 2025-06-30 for an hour more. What else lies after completion is for a person to assess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from services.kernel.law import ParameterVersion
from services.kernel.lawbook import Law
from services.kernel.names import name
from services.kernel.periods import SHANGHAI, civil_day
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry


class OrderState(Enum):
    """The states of an order as its platform reports it; numbers as in the proto of orders."""

    ACCEPTED = 1
    COMPLETED = 2
    CANCELLED = 3
    REVERSED = 4


class Standing(Enum):
    """How an order stands to the moment of the accident."""

    UNDER_WAY = "under way"
    ENDED = "ended before the accident"
    TO_COME = "accepted after the accident"
    REVERSED = "never a real order"
    WITHIN_GRACE = "completed before, within the time after completion that still counts"
    # Only a person can say what these mean.
    JUST_COMPLETED = "completed shortly before"
    RETURNING = "cancelled shortly before; goods may have been on their way back"
    CHANGED_LATE = "changed or taken back by a record that came after the accident"
    NEVER_ENDED = "accepted long before, and no end was reported"


EXECUTING = frozenset({Standing.UNDER_WAY, Standing.WITHIN_GRACE})
DOUBTFUL = frozenset(
    {Standing.JUST_COMPLETED, Standing.RETURNING, Standing.CHANGED_LATE, Standing.NEVER_ENDED}
)


_OUTSIDE = frozenset({Standing.TO_COME, Standing.ENDED, Standing.REVERSED, Standing.JUST_COMPLETED})


@dataclass(frozen=True)
class WindowTerms:
    """The parameters of the order window: times within which a person has to judge."""

    return_after_cancellation: timedelta
    late_record: timedelta
    open_order: timedelta
    # After completion: the time that counts, and the time of which a person may say so.
    grace: timedelta
    question: timedelta
    versions: tuple[ParameterVersion, ...]


@dataclass(frozen=True)
class OrderEvidence:
    """A revision of an order near the accident.

    The claim rests on the revision that orders returned as decisive. A supplementary one was
    recorded after the accident and decides nothing by itself, but a person has to see it.
    """

    # The platform's credit code.
    platform: str
    order_no: str
    revision: int
    state: OrderState
    accept_time: datetime
    pooling_area: str
    industry: Industry
    # When orders took the record in.
    receive_time: datetime
    pick_up_time: datetime | None = None
    # When the worker's part of the order ended: completed, cancelled, or handed to another worker.
    end_time: datetime | None = None
    # It came after the accident had been reported.
    late: bool = False
    is_supplementary: bool = False
    # It names another worker; only of supplementary revisions.
    other_worker: bool = False

    @property
    def key(self) -> tuple[str, str, int]:
        """What identifies the record among all records."""
        return self.platform, self.order_no, self.revision

    @property
    def name(self) -> str:
        """`platforms/{credit code}/orders/{order_no}`."""
        return name("platforms", self.platform, "orders", self.order_no)

    def was_under_way(self, moment: datetime) -> bool:
        """Whether the worker was executing the order at a moment, by this record alone.

        This is the only place where claims decide it. `standings` builds on it and marks what
        a person has to judge.
        """
        is_real = self.state is not OrderState.REVERSED
        return is_real and not self.other_worker and self._spans(moment)

    def takes_away(self, moment: datetime) -> bool:
        """Whether the record, taken alone, says that the worker was not executing the order.

        A record of another worker says so of the time from that worker's acceptance.
        """
        if self.state is OrderState.REVERSED:
            return True
        return self.accept_time <= moment if self.other_worker else not self._spans(moment)

    def standing(self, moment: datetime, terms: WindowTerms) -> Standing:
        """How the order stands to the moment of the accident, by this record alone."""
        if self.accept_time > moment:
            return Standing.TO_COME
        if self.state is OrderState.REVERSED:
            is_changed = (self.late or self.receive_time > moment) and self._spans(moment)
            return Standing.CHANGED_LATE if is_changed else Standing.REVERSED
        if self.was_under_way(moment):
            is_long_open = self.end_time is None and moment - self.accept_time > terms.open_order
            return Standing.NEVER_ENDED if is_long_open else Standing.UNDER_WAY
        return self._standing_after_end(moment, terms)

    def _standing_after_end(self, moment: datetime, terms: WindowTerms) -> Standing:
        assert self.end_time is not None, self.name
        since_end = moment - self.end_time
        is_cancelled = self.state is OrderState.CANCELLED
        if is_cancelled and since_end <= terms.return_after_cancellation:
            return Standing.RETURNING
        if self.late and self.revision > 1 and since_end <= terms.late_record:
            return Standing.CHANGED_LATE
        if self.state is OrderState.COMPLETED and since_end <= terms.grace:
            return Standing.WITHIN_GRACE
        if self.state is OrderState.COMPLETED and since_end <= terms.question:
            return Standing.JUST_COMPLETED
        return Standing.ENDED

    def _spans(self, moment: datetime) -> bool:
        """Whether the moment lies between acceptance and end, whatever the order's state."""
        return self.accept_time <= moment and (self.end_time is None or moment <= self.end_time)


def window_terms(law: Law, moment: datetime, where: str) -> WindowTerms:
    """The terms in force at a moment in a place."""
    day = civil_day(moment)
    cancellation = law.on("return_after_cancellation_minutes", day, where)
    late = law.on("late_record_window_minutes", day, where)
    open_order = law.on("open_order_hours", day, where)
    grace = law.on("after_completion_grace_minutes", day, where)
    question = law.on("after_completion_question_minutes", day, where)
    return WindowTerms(
        timedelta(minutes=int(cancellation.decimal)),
        timedelta(minutes=int(late.decimal)),
        timedelta(hours=int(open_order.decimal)),
        timedelta(minutes=int(grace.decimal)),
        timedelta(minutes=int(question.decimal)),
        tuple(value.version for value in (cancellation, late, open_order, grace, question)),
    )


def standings(
    orders: Iterable[OrderEvidence], moment: datetime, terms: WindowTerms
) -> dict[OrderEvidence, Standing]:
    """How each order stands to the moment of the accident, by time of acceptance.

    The decisive revision decides, unless a supplementary one contradicts it: then a person does.
    """
    records = tuple(orders)
    return {order: _standing_among(order, records, moment, terms) for order in latest(records)}


def _standing_among(
    order: OrderEvidence, records: Sequence[OrderEvidence], moment: datetime, terms: WindowTerms
) -> Standing:
    standing = order.standing(moment, terms)
    supplements = supplements_of(order, records)
    if standing is Standing.WITHIN_GRACE:
        is_doubtful = any(
            record.other_worker or record.standing(moment, terms) not in EXECUTING
            for record in supplements
        )
    elif standing in _OUTSIDE:
        is_doubtful = any(record.was_under_way(moment) for record in supplements)
    else:
        is_doubtful = any(record.takes_away(moment) for record in supplements)
    return Standing.CHANGED_LATE if is_doubtful else standing


def supplements_of(
    order: OrderEvidence, records: Iterable[OrderEvidence]
) -> tuple[OrderEvidence, ...]:
    """The supplementary revisions of an order among records, in their order."""
    return tuple(
        record for record in records if record.is_supplementary and record.name == order.name
    )


def latest(orders: Iterable[OrderEvidence]) -> tuple[OrderEvidence, ...]:
    """The latest decisive revision of each order, by time of acceptance."""
    newest: dict[tuple[str, str], OrderEvidence] = {}
    for order in orders:
        if order.is_supplementary:
            continue
        key = (order.platform, order.order_no)
        if key not in newest or newest[key].revision < order.revision:
            newest[key] = order
    return tuple(sorted(newest.values(), key=by_acceptance))


def under_way_at(orders: Iterable[OrderEvidence], moment: datetime) -> tuple[OrderEvidence, ...]:
    """The orders that were under way at a moment by their latest decisive revisions."""
    return tuple(order for order in latest(orders) if order.was_under_way(moment))


def nearest(orders: Sequence[OrderEvidence], moment: datetime) -> OrderEvidence | None:
    """The order whose acceptance or end is closest to a moment; the earlier one of two."""
    return min(
        orders,
        key=lambda order: (
            min(
                abs(moment - order.accept_time), abs(moment - (order.end_time or order.accept_time))
            ),
            order.accept_time,
        ),
        default=None,
    )


def last_ended(orders: Iterable[OrderEvidence], moment: datetime) -> OrderEvidence | None:
    """The real order that ended last before a moment."""
    ended = [
        order
        for order in orders
        if order.state is not OrderState.REVERSED and order.end_time and order.end_time <= moment
    ]
    return max(ended, key=lambda order: (order.end_time, order.name), default=None)


def by_acceptance(order: OrderEvidence) -> tuple[datetime, str, str]:
    """The key that sorts orders by time of acceptance."""
    return order.accept_time, order.platform, order.order_no


def order_in(text: str, field: str) -> tuple[str, str]:
    """Credit code and number in an order's name; the number is the platform's own, in any form."""
    parts = text.split("/", 3)
    if len(parts) != 4 or parts[0::2] != ["platforms", "orders"] or not parts[1] or not parts[3]:
        raise Malformed.form(field, "platforms/{credit_code}/orders/{order_no}")
    return parts[1], parts[3]


def format_moment(moment: datetime) -> str:
    """A moment as people in China read it: `2025-07-15 10:20:00`."""
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
