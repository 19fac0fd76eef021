"""Whether an accident lies in the execution of an order, as known at the accident."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, answer
from services.claims.domain.order_records import (
    DOUBTFUL,
    EXECUTING,
    OrderEvidence,
    Standing,
    format_moment,
    last_ended,
    standings,
    supplements_of,
)
from services.kernel.law import DatedProvision, Outcome, facts


def order_execution(case: Case, dated: DatedProvision) -> Answer:
    """Whether the accident lies in the execution of an order (接单至完单)."""
    moment, provision = case.claim.accident_time, dated.on(case.claim.accident_day)
    standing_of = standings(case.orders, moment, case.terms)
    executing = [order for order, standing in standing_of.items() if standing in EXECUTING]
    doubtful = [standing for standing in standing_of.values() if standing in DOUBTFUL]
    inputs = _order_facts(case, standing_of)
    at = format_moment(moment)
    if executing:
        outcome, text = Outcome.MET, _within(executing, standing_of, at)
    elif case.enquiry.order_records_withheld:
        outcome, provision = Outcome.MET, provisions.BURDEN_OF_PROOF
        inputs = (*inputs, *facts(order_records_withheld=True))
        text = (
            (
                "The platform did not hand in its order records in time, so an order is taken to "
                "have been under way."
            ),
            "平台未在规定时限内提供订单记录, 推定事故发生时正在执行订单。",
        )
    elif set(doubtful) == {Standing.JUST_COMPLETED} and _is_rest(case, standing_of):
        outcome, text = Outcome.UNCLEAR, _rest(at)
    elif doubtful:
        outcome, standing = Outcome.UNCLEAR, doubtful[-1]
        text = (
            (
                f"At {at} an order was {_DOUBT[standing][0]}; a person has to decide whether the "
                "worker was still executing it."
            ),
            f"事故时间 {at}: {_DOUBT[standing][1]}; 是否仍在执行订单须由人工判断。",
        )
    elif other := other_time_within_an_order(case):
        outcome, text = Outcome.UNCLEAR, _reported_otherwise(at, format_moment(other))
        inputs = (*inputs, *facts(other_time=format_moment(other)))
    elif _is_rest(case, standing_of):
        outcome, text = Outcome.UNCLEAR, _rest(at)
    else:
        outcome, text = Outcome.NOT_MET, _outside(list(standing_of.values()), at)
    return answer(
        "order_execution", provision, outcome, text, inputs=inputs, versions=case.terms.versions
    )


def _order_facts(
    case: Case, standing_of: Mapping[OrderEvidence, Standing]
) -> tuple[tuple[str, str], ...]:
    """The moment, each order near it with its standing, and what was recorded later."""
    return (
        *facts(accident_time=format_moment(case.claim.accident_time)),
        *(
            (
                order.name,
                f"revision {order.revision}, {standing.value}{', late' if order.late else ''}",
            )
            for order, standing in standing_of.items()
        ),
        *(
            (
                record.name,
                f"revision {record.revision}, recorded {format_moment(record.receive_time)}",
            )
            for order in standing_of
            for record in supplements_of(order, case.orders)
        ),
    )


def _within(
    executing: list[OrderEvidence], standing_of: Mapping[OrderEvidence, Standing], at: str
) -> tuple[str, str]:
    late = all(order.late for order in executing)
    mark = " Its record came after the report and is marked late." if late else ""
    mark_zh = "订单记录在报案之后到达, 已标注迟到。" if late else ""
    if all(standing_of[order] is Standing.WITHIN_GRACE for order in executing):
        return (
            f"The accident at {at} lies within the time after completion that still counts.{mark}",
            f"事故时间 {at} 在完单后仍视为执行订单任务的时间内。{mark_zh}",
        )
    return (
        f"The accident at {at} lies between acceptance and completion of an order.{mark}",
        f"事故时间 {at} 在订单接单至完单期间内。{mark_zh}",
    )


def _is_rest(case: Case, standing_of: Mapping[OrderEvidence, Standing]) -> bool:
    """Whether the moment lies between two orders no further apart than a rest between them."""
    moment = case.claim.accident_time
    ended = last_ended(standing_of, moment)
    to_come = [
        order.accept_time for order, standing in standing_of.items() if standing is Standing.TO_COME
    ]
    if ended is None or ended.end_time is None or not to_come:
        return False
    longest = case.law.count(
        "rest_between_orders_minutes", case.claim.accident_day, case.claim.place_of_injury
    )
    return min(to_come) - ended.end_time <= timedelta(minutes=longest)


def _rest(at: str) -> tuple[str, str]:
    return (
        (
            f"The accident at {at} lies between two orders; a wait that the platform forced is "
            "part of the service, a time with the app closed is not: a person has to decide."
        ),
        (
            f"事故时间 {at} 在两单之间; 平台强制等待期间属于执行任务, 关闭接单后的时间不属于: "
            "须由人工判断。"
        ),
    )


_DOUBT = {
    Standing.JUST_COMPLETED: (
        "completed shortly before, and execution ends with completion only in principle",
        "订单在事故前不久完成, 而执行任务原则上止于完单",
    ),
    Standing.RETURNING: ("cancelled shortly before", "订单在事故前不久取消, 可能正在送回货物"),
    Standing.CHANGED_LATE: (
        "changed or taken back by a record that came after the accident",
        "订单的变更或撤销记录在事故之后到达",
    ),
    Standing.NEVER_ENDED: (
        "open since long before, without a reported end",
        "订单接单已久而无完单记录",
    ),
}


def _reported_otherwise(at: str, other: str) -> tuple[str, str]:
    return (
        (
            f"At {at} no order was under way, but another party reports {other}, when one was; a "
            "person has to decide when the accident happened."
        ),
        (
            f"事故时间 {at} 无在执行订单, 但另一申请人所述时间 {other} 有订单在执行; "
            "事故发生时间须由人工判断。"
        ),
    )


def other_time_within_an_order(case: Case) -> datetime | None:
    """The first moment at which another party reports the accident and an order was under way."""
    times = sorted(filing.accident_time for filing in case.filings)
    return next(
        (
            time
            for time in times
            if Standing.UNDER_WAY in standings(case.orders, time, case.terms).values()
        ),
        None,
    )


def _outside(all_standings: list[Standing], at: str) -> tuple[str, str]:
    """Why no order covers the moment: before the first, between two, after the last, or none."""
    real = [standing for standing in all_standings if standing is not Standing.REVERSED]
    ended, to_come = Standing.ENDED in real, Standing.TO_COME in real
    if ended and to_come:
        return (
            f"The accident at {at} lies between two orders, long after one and before the next.",
            f"事故时间 {at} 在两单之间, 与前后订单相隔较久, 不属于执行平台订单任务。",
        )
    if to_come:
        return (
            (
                f"The accident at {at} lies before the first order was accepted; the way to it is "
                "not covered."
            ),
            f"事故时间 {at} 早于首单接单时间; 前往接单途中不在保障范围。",
        )
    if ended:
        return (
            f"The accident at {at} lies after the last order had ended.",
            f"事故时间 {at} 在末单结束之后。",
        )
    return (
        f"No order of the worker is on record near {at}.",
        f"事故时间 {at} 前后没有该劳动者的订单记录。",
    )
