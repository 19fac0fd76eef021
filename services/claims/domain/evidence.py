"""Order records as evidence: which order was under way, and which one was being served.

Protection runs from acceptance to completion (接单至完单), both moments included. Waiting for
orders and time after completion are outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from services.claims.domain.claim import Industry
from services.claims.domain.law import Law
from services.kernel.law import ParameterVersion
from services.kernel.money import Fen, share
from services.kernel.names import name
from services.kernel.periods import SHANGHAI, civil_day
from services.kernel.problems import Malformed

WHOLE_PERCENT = 100


class OrderState(Enum):
    """The states of an order as its platform reports it."""

    ACCEPTED = 1
    COMPLETED = 2
    CANCELLED = 3
    REVERSED = 4


@dataclass(frozen=True)
class OrderEvidence:
    """A revision of an order near the accident: the one found, or one beside it.

    What is `beside` came after the report and decides nothing, but a person has to see it.
    """

    platform: str
    order_no: str
    revision: int
    state: OrderState
    accept_time: datetime
    pooling_area: str
    industry: Industry
    pick_up_time: datetime | None = None
    end_time: datetime | None = None
    late: bool = False
    # When orders took the record in; not known of records found before this was asked.
    receive_time: datetime | None = None
    beside: bool = False
    # It says that another worker served the order; only of what is beside.
    other_worker: bool = False

    @property
    def name(self) -> str:
        """`platforms/{credit code}/orders/{order_no}`."""
        return name("platforms", self.platform, "orders", self.order_no)

    def spans(self, moment: datetime) -> bool:
        """Whether the moment lies between acceptance and end."""
        return self.accept_time <= moment and (self.end_time is None or moment <= self.end_time)

    def last_event(self, moment: datetime) -> datetime:
        """The order's last event up to a moment: acceptance, or taking up goods or passenger."""
        picked_up = self.pick_up_time
        return picked_up if picked_up and picked_up <= moment else self.accept_time

    def is_loaded(self, moment: datetime) -> bool:
        """Whether goods or passenger were on board at a moment."""
        return self.pick_up_time is not None and self.pick_up_time <= moment


class Standing(Enum):
    """How an order stands to the moment of the accident."""

    UNDER_WAY = "under way"
    ENDED = "ended before the accident"
    TO_COME = "accepted after the accident"
    REVERSED = "never a real order"
    # Only a person can say what these mean.
    RETURNING = "cancelled shortly before; goods may have been on their way back"
    CHANGED_LATE = "changed or taken back by a record that came after the accident"
    NEVER_ENDED = "accepted long before, and no end was reported"


DOUBTFUL = frozenset({Standing.RETURNING, Standing.CHANGED_LATE, Standing.NEVER_ENDED})


@dataclass(frozen=True)
class WindowTerms:
    """The parameters of the order window."""

    return_after_cancellation: timedelta
    late_record: timedelta
    open_order: timedelta
    versions: tuple[ParameterVersion, ...]


def window_terms(law: Law, moment: datetime, where: str) -> WindowTerms:
    """The terms in force at a moment in a place."""
    day = civil_day(moment)
    back = law.on("return_after_cancellation_minutes", day, where)
    late = law.on("late_record_window_minutes", day, where)
    unended = law.on("open_order_hours", day, where)
    return WindowTerms(
        timedelta(minutes=int(back.decimal)),
        timedelta(minutes=int(late.decimal)),
        timedelta(hours=int(unended.decimal)),
        (back.version, late.version, unended.version),
    )


def standings(
    orders: Iterable[OrderEvidence], moment: datetime, terms: WindowTerms
) -> dict[OrderEvidence, Standing]:
    """How each order found stands to the moment of the accident, by time of acceptance.

    What came beside it after the report does not decide, but leaves it to a person if it says that
    the order was under way after all, or ends an order before the accident that had no end.
    """
    held = tuple(orders)
    found = {}
    for order in latest(held):
        how = _standing(order, moment, terms)
        beside = [
            one
            for one in held
            if one.beside and one.name == order.name and one.state is not OrderState.REVERSED
        ]
        if how in (Standing.TO_COME, Standing.ENDED, Standing.REVERSED):
            is_doubtful = any(not one.other_worker and one.spans(moment) for one in beside)
        else:
            is_doubtful = order.end_time is None and any(
                one.end_time is not None and one.end_time < moment for one in beside
            )
        found[order] = Standing.CHANGED_LATE if is_doubtful else how
    return found


def _standing(order: OrderEvidence, moment: datetime, terms: WindowTerms) -> Standing:
    if order.accept_time > moment:
        return Standing.TO_COME
    if order.state is OrderState.REVERSED:
        came_after = order.late or (order.receive_time or moment) > moment
        is_ours = came_after and order.spans(moment)
        return Standing.CHANGED_LATE if is_ours else Standing.REVERSED
    if order.end_time is None or moment <= order.end_time:
        is_long_open = order.end_time is None and moment - order.accept_time > terms.open_order
        return Standing.NEVER_ENDED if is_long_open else Standing.UNDER_WAY
    return _after_end(order, moment - order.end_time, terms)


def _after_end(order: OrderEvidence, since_end: timedelta, terms: WindowTerms) -> Standing:
    if order.state is OrderState.CANCELLED and since_end <= terms.return_after_cancellation:
        return Standing.RETURNING
    if order.late and order.revision > 1 and since_end <= terms.late_record:
        return Standing.CHANGED_LATE
    return Standing.ENDED


def latest(orders: Iterable[OrderEvidence]) -> tuple[OrderEvidence, ...]:
    """The latest revision found of each order, by time of acceptance."""
    newest: dict[tuple[str, str], OrderEvidence] = {}
    for order in orders:
        if order.beside:
            continue
        key = (order.platform, order.order_no)
        if key not in newest or newest[key].revision < order.revision:
            newest[key] = order
    return tuple(
        sorted(newest.values(), key=lambda one: (one.accept_time, one.platform, one.order_no))
    )


class HostContext(Enum):
    """By what the order served was found."""

    ONLY_ORDER = "the only order under way"
    ENQUIRY = "the enquiry found which order was being served"
    LAST_EVENT = "the last event before the accident belongs to it"
    EQUAL_SPLIT = "the order being served cannot be decided, so the case is split equally"
    NEAREST = "the order nearest to the accident"
    NAMED = "the platform named by the enquiry, without an order record"


@dataclass(frozen=True)
class Charge:
    """An order's share of the case for its platform's band, in percent."""

    platform: str
    order_no: str
    percent: int


@dataclass(frozen=True)
class Attribution:
    """Which orders bear the case, and the place and industry it is charged to."""

    ground: HostContext
    charges: tuple[Charge, ...]
    pooling_area: str
    industry: Industry

    def by_platform(self) -> tuple[tuple[str, int], ...]:
        """Percent by credit code; sums to 100."""
        sums: dict[str, int] = {}
        for charge in self.charges:
            sums[charge.platform] = sums.get(charge.platform, 0) + charge.percent
        return tuple(sorted(sums.items()))


def attribute(orders: Sequence[OrderEvidence], moment: datetime, served: str = "") -> Attribution:
    """The order served among those under way; several without a decision share equally.

    First what the enquiry found; else, unless goods of several orders were on board, the order of
    the last event before the accident; else equal shares. Place and industry are those of the
    order served, and in a split those of the order accepted first.
    """
    by_name = {order.name: order for order in orders}
    if served in by_name:
        return _of([by_name[served]], HostContext.ENQUIRY)
    if len(orders) == 1:
        return _of(orders, HostContext.ONLY_ORDER)
    loaded = [order for order in orders if order.is_loaded(moment)]
    if len(loaded) > 1:
        return _of(loaded, HostContext.EQUAL_SPLIT)
    last = max(order.last_event(moment) for order in orders)
    found = [order for order in orders if order.last_event(moment) == last]
    return _of(found, HostContext.LAST_EVENT if len(found) == 1 else HostContext.EQUAL_SPLIT)


def nearest(orders: Sequence[OrderEvidence], moment: datetime) -> OrderEvidence | None:
    """The order whose acceptance or end is closest to a moment; the earlier one of two."""
    return min(
        orders,
        key=lambda one: (
            min(abs(moment - one.accept_time), abs(moment - (one.end_time or one.accept_time))),
            one.accept_time,
        ),
        default=None,
    )


def charge_of(order: OrderEvidence, ground: HostContext) -> Attribution:
    """The whole case on one order."""
    return _of([order], ground)


def order_in(text: str, field: str) -> tuple[str, str]:
    """Platform and number in an order's name; the number is the platform's own, in any form."""
    parts = text.split("/", 3)
    if len(parts) != 4 or parts[0::2] != ["platforms", "orders"] or not parts[1] or not parts[3]:
        raise Malformed.of(field, "write it as platforms/{credit code}/orders/{number}")
    return parts[1], parts[3]


def in_words(moment: datetime) -> str:
    """A moment as people in China read it."""
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def _of(orders: Sequence[OrderEvidence], ground: HostContext) -> Attribution:
    parts = share(Fen(WHOLE_PERCENT), [1] * len(orders))
    charges = tuple(
        Charge(order.platform, order.order_no, part.count)
        for order, part in zip(orders, parts, strict=True)
    )
    first = min(orders, key=lambda one: (one.accept_time, one.platform, one.order_no))
    return Attribution(ground, charges, first.pooling_area, first.industry)
