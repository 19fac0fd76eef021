"""Attribution: which platform bears a confirmed case, by the order that was being executed.

Each platform insures each order. Responsible is the platform whose order was being executed; where
orders of several ran on the same route and nothing decides, that of the order accepted first
(首接单). A case is never split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    last_ended,
    nearest,
    order_in,
    standings,
    under_way_at,
)
from services.kernel.problems import Malformed
from services.kernel.scheme import Industry


class Basis(Enum):
    """By what the order was identified."""

    ONLY_ORDER = "the only order under way"
    ENQUIRY = "the enquiry found which order was being executed"
    ONLY_PLATFORM = "all orders under way are of one platform"
    FIRST_ACCEPTED = "which order was being executed cannot be decided; this was accepted first"
    LAST_ENDED = "the last order that had ended"
    NEAREST = "the order nearest to the accident"
    NAMED = "the platform named by the enquiry, without an order record"

    @property
    def zh(self) -> str:
        """The same in Chinese."""
        return _BASIS_ZH[self]


_BASIS_ZH = {
    Basis.ONLY_ORDER: "事故时仅有一单在执行",
    Basis.ENQUIRY: "经调查查明正在执行的订单",
    Basis.ONLY_PLATFORM: "事故时在执行的订单均属同一平台",
    Basis.FIRST_ACCEPTED: "无法确定正在执行的订单, 以首接单为准",
    Basis.LAST_ENDED: "事故前最后结束的订单",
    Basis.NEAREST: "距事故时间最近的订单",
    Basis.NAMED: "调查指明的平台(无订单记录)",
}


@dataclass(frozen=True)
class Attribution:
    """The platform that bears the case, by which order, and the place and industry charged."""

    basis: Basis
    # The platform's credit code.
    platform: str
    # Empty if no order record says which.
    order_no: str
    pooling_area: str
    industry: Industry


def attribution_of(case: Case, *, executed: bool = True, on_way_home: bool = False) -> Attribution:
    """Which platform bears a confirmed case.

    That of the orders under way; else of those within the time after completion, or that a person
    judged to be under way; else what the enquiry names; else the order nearest to the accident.
    On the way home it is the last order that ended. `executed` says whether the claim was met as
    the execution of an order. Raises Malformed if nothing says which.
    """
    moment, served = case.claim.accident_time, case.enquiry.served_order
    standing_of = standings(case.orders, moment, case.terms)
    real = [order for order, standing in standing_of.items() if standing is not Standing.REVERSED]
    doubtful = DOUBTFUL if executed else DOUBTFUL - {Standing.JUST_COMPLETED}
    by_execution = None if on_way_home else _executed(standing_of, doubtful, served, moment)
    if by_execution is not None:
        return by_execution
    last = last_ended(real, moment)
    if on_way_home and last is not None and not served:
        return _of(last, Basis.LAST_ENDED)
    named = [order for order in real if order.name == served]
    if named:
        return _of(named[0], Basis.ENQUIRY)
    if served:
        return _by_name(case, served, real)
    closest = nearest(real, moment)
    if closest is not None and not case.enquiry.order_records_withheld:
        return _of(closest, Basis.NEAREST)
    return _by_name(case, "", real)


def _executed(
    standing_of: Mapping[OrderEvidence, Standing],
    doubtful: frozenset[Standing],
    served: str,
    moment: datetime,
) -> Attribution | None:
    """The attribution among the orders that were being executed, or that a person judged to be."""
    for accepted in ({Standing.UNDER_WAY}, {Standing.WITHIN_GRACE}, doubtful):
        candidates = [order for order, standing in standing_of.items() if standing in accepted]
        if not candidates:
            continue
        _require_candidate(served, candidates)
        last = last_ended(candidates, moment)
        if Standing.WITHIN_GRACE in accepted and last is not None and not served:
            return _of(last, Basis.LAST_ENDED)
        return attribute(candidates, served)
    return None


def preliminary_attribution(
    orders: Sequence[OrderEvidence], moment: datetime
) -> Attribution | None:
    """The attribution by the records alone; None if no order was under way at the moment."""
    candidates = under_way_at(orders, moment)
    return attribute(candidates) if candidates else None


def attribute(orders: Sequence[OrderEvidence], served: str = "") -> Attribution:
    """The order that the enquiry found among those under way, or else the one accepted first."""
    by_name = {order.name: order for order in orders}
    if served in by_name:
        return _of(by_name[served], Basis.ENQUIRY)
    first = min(orders, key=by_acceptance)
    if len(orders) == 1:
        return _of(first, Basis.ONLY_ORDER)
    is_one_platform = len({order.platform for order in orders}) == 1
    return _of(first, Basis.ONLY_PLATFORM if is_one_platform else Basis.FIRST_ACCEPTED)


def place_of_cover(case: Case) -> str:
    """The pooling area whose scheme may cover the accident: of the order nearest to it.

    Without an order, what the enquiry names, or else the place of injury.
    """
    standing_of = standings(case.orders, case.claim.accident_time, case.terms)
    real = [order for order, standing in standing_of.items() if standing is not Standing.REVERSED]
    under_way = [order for order in real if standing_of[order] is Standing.UNDER_WAY]
    closest = nearest(under_way or real, case.claim.accident_time)
    if closest is not None:
        return closest.pooling_area
    return case.enquiry.pooling_area or case.claim.place_of_injury


def _require_candidate(served: str, candidates: Sequence[OrderEvidence]) -> None:
    if served and served not in {order.name for order in candidates}:
        raise Malformed.of(
            "enquiry.served_order",
            "ORDER_NOT_UNDER_WAY",
            "it was not under way at the accident; name one of {orders}, or none",
            "在事故时不在执行中; 请从以下各项中选择或留空: {orders}",
            orders=tuple(order.name for order in candidates),
        )


def _by_name(case: Case, served: str, real: Sequence[OrderEvidence]) -> Attribution:
    """The platform that the enquiry, or the worker's only enrolment, names."""
    if served:
        platform, order_no = order_in(served, "enquiry.served_order")
    elif len(case.claim.enrolled_platforms) == 1:
        platform, order_no = case.claim.enrolled_platforms[0], ""
    else:
        raise Malformed.of(
            "enquiry.served_order",
            "ORDER_NEEDED",
            "no record says whose the case is: write it as {form}",
            "没有记录可以归属; 请写作 {form}",
            form="platforms/{credit_code}/orders/{order_no}",
        )
    closest = nearest(
        [order for order in real if order.platform == platform], case.claim.accident_time
    )
    industry = case.enquiry.industry or (closest.industry if closest else None)
    if industry is None:
        raise Malformed.of(
            "enquiry.industry",
            "INDUSTRY_NEEDED",
            "name the industry, because no order record has it",
            "没有订单记载行业; 请填写行业",
        )
    area = case.enquiry.pooling_area or (closest.pooling_area if closest else "")
    if not area:
        area = provisions.pooling_area_of(
            case.claim.place_of_injury, case.claim.accident_day, case.law
        )
    return Attribution(Basis.NAMED, platform, order_no, area, industry)


def _of(order: OrderEvidence, basis: Basis) -> Attribution:
    return Attribution(basis, order.platform, order.order_no, order.pooling_area, order.industry)
