"""Attribution: which orders bear a confirmed case, and with which shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.claims.domain import law as provisions
from services.claims.domain.case import Case
from services.claims.domain.order_records import (
    DOUBTFUL,
    OrderEvidence,
    Standing,
    by_acceptance,
    nearest,
    order_in,
    standings,
    under_way_at,
)
from services.kernel.money import Fen, share
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry

WHOLE_PERCENT = 100


class Basis(Enum):
    """By what the order served was identified."""

    ONLY_ORDER = "the only order under way"
    ENQUIRY = "the enquiry found which order was being served"
    LAST_EVENT = "the last event before the accident belongs to it"
    EQUAL_SPLIT = "the order being served cannot be decided, so the case is split equally"
    NEAREST = "the order nearest to the accident"
    NAMED = "the platform named by the enquiry, without an order record"

    @property
    def zh(self) -> str:
        """The same in Chinese."""
        return _BASIS_ZH[self]


_BASIS_ZH = {
    Basis.ONLY_ORDER: "事故时仅有一单在执行",
    Basis.ENQUIRY: "经调查查明正在配送的订单",
    Basis.LAST_EVENT: "事故前最后一个订单事件所属订单",
    Basis.EQUAL_SPLIT: "无法确定正在执行的订单, 平均分摊",
    Basis.NEAREST: "距事故时间最近的订单",
    Basis.NAMED: "调查指明的平台(无订单记录)",
}


@dataclass(frozen=True)
class Charge:
    """An order's share of the case for its platform's band, in percent."""

    # The platform's credit code.
    platform: str
    order_no: str
    percent: int


@dataclass(frozen=True)
class Attribution:
    """Which orders bear the case, and the place and industry it is charged to."""

    basis: Basis
    charges: tuple[Charge, ...]
    pooling_area: str
    industry: Industry

    def by_platform(self) -> tuple[tuple[str, int], ...]:
        """Percent by credit code; sums to 100."""
        sums: dict[str, int] = {}
        for charge in self.charges:
            sums[charge.platform] = sums.get(charge.platform, 0) + charge.percent
        return tuple(sorted(sums.items()))


def attribution_of(case: Case) -> Attribution:
    """Which order bears a confirmed case.

    The orders under way; else those that a person judged to be; else what the enquiry names; else
    the order nearest to the accident. Raises Malformed if nothing says which platform.
    """
    moment, served = case.claim.accident_time, case.enquiry.served_order
    standing_of = standings(case.orders, moment, case.terms)
    for accepted in ({Standing.UNDER_WAY}, DOUBTFUL):
        candidates = [order for order, standing in standing_of.items() if standing in accepted]
        if candidates:
            _require_candidate(served, candidates)
            return attribute(candidates, moment, served)
    real = [order for order, standing in standing_of.items() if standing is not Standing.REVERSED]
    named = [order for order in real if order.name == served]
    if named:
        return _share(named[:1], Basis.ENQUIRY)
    if served:
        return _by_name(case, served, real)
    closest = nearest(real, moment)
    if closest is not None and not case.enquiry.order_records_withheld:
        return _share([closest], Basis.NEAREST)
    return _by_name(case, "", real)


def preliminary_attribution(
    orders: Sequence[OrderEvidence], moment: datetime
) -> Attribution | None:
    """The attribution by the records alone; None if no order was under way at the moment."""
    candidates = under_way_at(orders, moment)
    return attribute(candidates, moment) if candidates else None


def attribute(orders: Sequence[OrderEvidence], moment: datetime, served: str = "") -> Attribution:
    """The order served among those under way; several without a decision share equally.

    First what the enquiry found; else, unless goods of several orders were on board, the order of
    the last event before the accident; else equal shares. Place and industry are those of the
    order served, and in a split those of the order accepted first.
    """
    by_name = {order.name: order for order in orders}
    if served in by_name:
        return _share([by_name[served]], Basis.ENQUIRY)
    if len(orders) == 1:
        return _share(orders, Basis.ONLY_ORDER)
    loaded = [order for order in orders if order.is_loaded(moment)]
    if len(loaded) > 1:
        return _share(loaded, Basis.EQUAL_SPLIT)
    last = max(order.last_event(moment) for order in orders)
    latest_events = [order for order in orders if order.last_event(moment) == last]
    is_decided = len(latest_events) == 1
    return _share(latest_events, Basis.LAST_EVENT if is_decided else Basis.EQUAL_SPLIT)


def _require_candidate(served: str, candidates: Sequence[OrderEvidence]) -> None:
    if served and served not in {order.name for order in candidates}:
        orders = ", ".join(order.name for order in candidates)
        what = f"was not under way at the accident; name one of {orders}, or none"
        raise Malformed.of("enquiry.served_order", what)


def _by_name(case: Case, served: str, real: Sequence[OrderEvidence]) -> Attribution:
    """The platform that the enquiry, or the worker's only enrolment, names."""
    if served:
        platform, order_no = order_in(served, "enquiry.served_order")
    elif len(case.claim.platforms) == 1:
        platform, order_no = case.claim.platforms[0], ""
    else:
        what = "name the order, as platforms/{credit code}/orders/{number}: no record says whose"
        raise Malformed.of("enquiry.served_order", what)
    closest = nearest(
        [order for order in real if order.platform == platform], case.claim.accident_time
    )
    industry = case.enquiry.industry or (closest.industry if closest else None)
    if industry is None:
        raise Malformed.of("enquiry.industry", "name the industry, because no order record has it")
    area = case.enquiry.pooling_area or (closest.pooling_area if closest else "")
    if not area:
        area = provisions.pooling_area_of(
            case.claim.place_of_injury, case.claim.accident_day, case.law
        )
    return Attribution(Basis.NAMED, (Charge(platform, order_no, WHOLE_PERCENT),), area, industry)


def _share(orders: Sequence[OrderEvidence], basis: Basis) -> Attribution:
    """The case shared equally among orders; percents are whole and sum to 100."""
    parts = share(Fen(WHOLE_PERCENT), [1] * len(orders))
    charges = tuple(
        Charge(order.platform, order.order_no, part.count)
        for order, part in zip(orders, parts, strict=True)
    )
    first = min(orders, key=by_acceptance)
    return Attribution(basis, charges, first.pooling_area, first.industry)
