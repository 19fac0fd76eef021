"""The six situations: what each asks, and what the facts answer."""

from __future__ import annotations

from datetime import timedelta

from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, Weight, answer, met
from services.claims.domain.claim import Situation
from services.claims.domain.evidence import DocumentKind
from services.claims.domain.order_records import DOUBTFUL, Standing, format_moment, standings
from services.kernel.law import Outcome, Provision, facts

ORDER_PROVISION = {
    Situation.ORDER_EXECUTION: provisions.ORDER_EXECUTION,
    Situation.VIOLENCE: provisions.VIOLENCE,
    Situation.MISSING: provisions.MISSING,
    Situation.SUDDEN_ILLNESS: provisions.SUDDEN_ILLNESS,
}


def situation_answers(case: Case) -> tuple[Answer, ...]:
    """What the situation claimed requires, apart from enrolment and harm."""
    situation = case.claim.situation
    if situation is Situation.REQUIRED_TRAVEL:
        travel = case.enquiry.travel_required
        presence = answer(
            "required_travel",
            provisions.REQUIRED_TRAVEL,
            met(travel),
            (
                "The platform required presence at a fixed time and place."
                if travel
                else "The platform had not required presence at a fixed time and place.",
                "平台要求在固定时间前往固定地点。"
                if travel
                else "平台未要求在固定时间前往固定地点。",
            ),
            inputs=facts(travel_required=travel),
        )
        return (presence, _traffic_fault(case, provisions.REQUIRED_TRAVEL))
    if situation is Situation.RESCUE:
        return (_rescue(),)
    execution = order_execution(case, ORDER_PROVISION[situation])
    if situation is Situation.VIOLENCE:
        return (execution, _because_of_service())
    if situation is Situation.SUDDEN_ILLNESS:
        return (execution, _sudden_illness(case))
    if situation is Situation.ORDER_EXECUTION and execution.finding.outcome is Outcome.NOT_MET:
        return _with_commuting(case, execution)
    return (execution,)


def order_execution(case: Case, provision: Provision) -> Answer:
    """Whether the accident lies in the execution of an order (接单至完单)."""
    moment, terms = case.claim.accident_time, case.terms
    standing_of = standings(case.orders, moment, terms)
    under_way = [order for order, standing in standing_of.items() if standing is Standing.UNDER_WAY]
    doubtful = [standing for standing in standing_of.values() if standing in DOUBTFUL]
    inputs = facts(accident_time=format_moment(moment)) + tuple(
        (order.name, f"revision {order.revision}, {standing.value}{', late' if order.late else ''}")
        for order, standing in standing_of.items()
    )
    versions = terms.versions
    at = format_moment(moment)
    if under_way:
        late = all(order.late for order in under_way)
        mark = " Its record came after the report and is marked late." if late else ""
        mark_zh = "订单记录在报案之后到达, 已标注迟到。" if late else ""
        text = (
            f"The accident at {at} lies between acceptance and completion of an order.{mark}",
            f"事故时间 {at} 在订单接单至完单期间内。{mark_zh}",
        )
        return answer("order_execution", provision, Outcome.MET, text, inputs=inputs)
    if case.enquiry.order_records_withheld:
        text = (
            (
                "The platform did not hand in its order records in time, so an order is taken to "
                "have been under way."
            ),
            "平台未在规定时限内提供订单记录, 推定事故发生时正在执行订单。",
        )
        inputs = (*inputs, *facts(order_records_withheld=True))
        return answer(
            "order_execution", provisions.BURDEN_OF_PROOF, Outcome.MET, text, inputs=inputs
        )
    if doubtful:
        standing = doubtful[-1]
        text = (
            (
                f"At {at} an order was {_DOUBT[standing][0]}; a person has to decide whether the "
                "worker was still executing it."
            ),
            f"事故时间 {at}: {_DOUBT[standing][1]}; 是否仍在执行订单须由人工判断。",
        )
        return answer(
            "order_execution", provision, Outcome.UNCLEAR, text, inputs=inputs, versions=versions
        )
    text = _outside(list(standing_of.values()), at)
    return answer(
        "order_execution", provision, Outcome.NOT_MET, text, inputs=inputs, versions=versions
    )


_DOUBT = {
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


def _outside(all_standings: list[Standing], at: str) -> tuple[str, str]:
    """Why no order covers the moment: before the first, between two, after the last, or none."""
    real = [standing for standing in all_standings if standing is not Standing.REVERSED]
    ended, to_come = Standing.ENDED in real, Standing.TO_COME in real
    if ended and to_come:
        return (
            f"The accident at {at} lies between two orders: waiting for an order is not covered.",
            f"事故时间 {at} 在两单之间: 等单期间不属于执行平台订单任务。",
        )
    if to_come:
        return (
            f"The accident at {at} lies before the first order was accepted.",
            f"事故时间 {at} 早于首单接单时间。",
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


def _with_commuting(case: Case, execution: Answer) -> tuple[Answer, ...]:
    """Outside of orders the way to the first and from the last may count, if a province says so."""
    rule = case.law.on("commuting_rule", case.claim.accident_day, case.claim.place_of_injury)
    if rule.value != "COVERED":
        text = (
            "The way to the first order and home after the last is not covered here.",
            "本地区不将首单前、末单后的往返途中纳入保障。",
        )
        commuting = answer(
            "commuting",
            provisions.COMMUTING,
            Outcome.NOT_MET,
            text,
            weight=Weight.MARK,
            inputs=facts(commuting_rule=rule.value),
            versions=(rule.version,),
        )
        return (execution, commuting)
    noted = Answer(execution.question, Weight.MARK, execution.finding)
    text = (
        (
            "The way to the first order and home after the last is covered here; whether time and "
            "route were those of such a way is for a person to decide."
        ),
        "本地区将首单前、末单后的往返途中纳入保障; 时间与路线是否合理须由人工判断。",
    )
    commuting = answer(
        "commuting",
        provisions.COMMUTING,
        Outcome.UNCLEAR,
        text,
        inputs=facts(commuting_rule=rule.value),
        versions=(rule.version,),
    )
    return (noted, commuting, _traffic_fault(case, provisions.COMMUTING))


def _traffic_fault(case: Case, provision: Provision) -> Answer:
    """A traffic accident not mainly the worker's own fault (非本人主要责任)."""
    own_fault = case.enquiry.traffic_mainly_own_fault
    certificate = case.has(DocumentKind.TRAFFIC_CERTIFICATE)
    inputs = facts(mainly_own_fault=own_fault, traffic_certificate=certificate)
    if own_fault:
        outcome = Outcome.NOT_MET
        text = (
            "The worker bears all or most of the fault for the traffic accident.",
            "劳动者对交通事故负主要以上责任。",
        )
    elif certificate:
        outcome = Outcome.MET
        text = (
            "By the traffic police's certificate the fault is not mainly the worker's.",
            "交通事故责任认定书载明非本人主要责任。",
        )
    else:
        outcome = Outcome.UNCLEAR
        text = (
            "No certificate of the traffic police on the fault is in evidence.",
            "证据中没有交通事故责任认定书, 责任尚不清楚。",
        )
    return answer("traffic_fault", provision, outcome, text, inputs=inputs)


def _because_of_service() -> Answer:
    text = (
        "Whether the violence came because of the service is for a person to decide.",
        "暴力等意外伤害是否因履行服务职责所致, 须由人工判断。",
    )
    return answer("because_of_service", provisions.VIOLENCE, Outcome.UNCLEAR, text)


def _rescue() -> Answer:
    text = (
        "Whether the rescue served the public interest is for a person to decide.",
        "抢险救灾等行为是否为维护国家利益、公共利益, 须由人工判断。",
    )
    return answer("public_interest", provisions.RESCUE, Outcome.UNCLEAR, text)


def _sudden_illness(case: Case) -> Answer:
    """Sudden illness with death on the spot, or within the hours after the first diagnosis."""
    day, where = case.claim.accident_day, case.claim.place_of_injury
    rule = case.law.on("illness_rule", day, where)
    hours = case.law.on("sudden_illness_hours", day, where)
    enquiry = case.enquiry
    inputs = facts(
        illness_rule=rule.value,
        first_diagnosis_time=enquiry.first_diagnosis_time or "not given",
        death_time=enquiry.death_time or "not given",
        spot_or_direct=enquiry.spot_or_direct,
        death_certificate=case.has(DocumentKind.DEATH_CERTIFICATE),
    )
    outcome, text = _illness_outcome(case, str(rule.value), int(hours.decimal))
    return answer(
        "sudden_illness",
        provisions.SUDDEN_ILLNESS,
        outcome,
        text,
        inputs=inputs,
        versions=(rule.version, hours.version),
    )


def _illness_outcome(case: Case, rule: str, hours: int) -> tuple[Outcome, tuple[str, str]]:
    enquiry, death = case.enquiry, case.enquiry.death_time
    if death is None and case.claim.death_date is None:
        text = ("An illness that was survived is not an injury.", "突发疾病但未死亡, 不视同伤害。")
        return Outcome.NOT_MET, text
    if rule == "SPOT_OR_DIRECT" and not enquiry.spot_or_direct:
        text = (
            "The worker neither died on the spot nor was taken directly to hospital.",
            "劳动者既非当场死亡, 也非直接送医抢救。",
        )
        return Outcome.NOT_MET, text
    diagnosed = enquiry.first_diagnosis_time
    if death is not None and diagnosed is not None:
        within = death - diagnosed <= timedelta(hours=hours)
        between = death - diagnosed
        text = (
            f"Death came {between} after the first diagnosis; the limit is {hours} hours.",
            f"自初次诊断至死亡历时 {between}; 时限为 {hours} 小时。",
        )
        if within and not case.has(DocumentKind.DEATH_CERTIFICATE):
            return Outcome.UNCLEAR, (
                f"{text[0]} No death certificate is in evidence.",
                f"{text[1]}证据中没有死亡证明。",
            )
        return met(within), text
    if enquiry.spot_or_direct and diagnosed is None and case.has(DocumentKind.DEATH_CERTIFICATE):
        return Outcome.MET, ("The worker died on the spot.", "劳动者突发疾病当场死亡。")
    text = (
        "The times of first diagnosis and of death are not both established.",
        "初次诊断时间与死亡时间尚未全部查明。",
    )
    return Outcome.UNCLEAR, text
