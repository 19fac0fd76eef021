"""The situations of the Measures: what each asks, and what the facts answer.

An accident after the last order may still be one on the way home: both are asked, and either
confirms the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, answer, met
from services.claims.domain.claim import Situation
from services.claims.domain.evidence import DocumentKind
from services.claims.domain.execution import order_execution
from services.claims.domain.order_records import (
    EXECUTING,
    Standing,
    format_moment,
    last_ended,
    standings,
)
from services.kernel.law import DatedProvision, Outcome, facts

EXECUTION_PATH, HOME_PATH = "execution", "way home"


def situation_answers(case: Case) -> tuple[Answer, ...]:
    """What the situation claimed requires, apart from enrolment and harm."""
    return ANSWERS[case.claim.situation](case)


def _accident(case: Case) -> tuple[Answer, ...]:
    execution = order_execution(case, provisions.ORDER_EXECUTION)
    if not _may_be_on_way_home(case, execution):
        return (execution,)
    return (
        replace(execution, path=EXECUTION_PATH),
        *(replace(each, path=HOME_PATH) for each in _way_home(case)),
    )


def _may_be_on_way_home(case: Case, execution: Answer) -> bool:
    """Whether the way home has to be asked for although the claim does not name it."""
    if execution.finding.outcome is Outcome.MET or case.enquiry.order_records_withheld:
        return False
    moment, day, where = (
        case.claim.accident_time,
        case.claim.accident_day,
        case.claim.place_of_injury,
    )
    standing_of = standings(case.orders, moment, case.terms)
    last = last_ended(standing_of, moment)
    if last is None or last.end_time is None or Standing.TO_COME in standing_of.values():
        return False
    hours = case.law.count("way_home_hours", day, where)
    return moment - last.end_time <= timedelta(hours=hours)


def _way_home(case: Case) -> tuple[Answer, ...]:
    """Back to the usual dwelling from executing orders, and a traffic accident on that way.

    The way to work is not named. An order that is still under way is being executed.
    """
    moment, day = case.claim.accident_time, case.claim.accident_day
    standing_of = standings(case.orders, moment, case.terms)
    if not EXECUTING.isdisjoint(standing_of.values()):
        return (order_execution(case, provisions.ORDER_EXECUTION),)
    last = last_ended(standing_of, moment)
    provision = provisions.WAY_HOME.on(day)
    at = format_moment(moment)
    if last is None or last.end_time is None:
        text = (
            f"No order of the worker had ended before {at}, from which the way led home.",
            f"事故时间 {at} 之前没有已结束的订单, 不属于返回日常居所途中。",
        )
        inputs = facts(accident_time=at, last_order="none")
        return (answer("way_home", provision, Outcome.NOT_MET, text, inputs=inputs),)
    ended = format_moment(last.end_time)
    text = (
        (
            f"The last order had ended at {ended}; whether the worker was on a reasonable way from "
            "it to the usual dwelling is for a person to decide."
        ),
        f"末单于 {ended} 结束; 是否在返回日常居所的合理路线途中须由人工判断。",
    )
    inputs = facts(accident_time=at, last_order=last.name, last_order_ended=ended)
    question = answer("way_home", provision, Outcome.UNCLEAR, text, inputs=inputs)
    return (question, _traffic_fault(case, provisions.WAY_HOME))


def _required_travel(case: Case) -> Answer:
    """The platform had required presence at a set time and place, for its management."""
    travel = case.enquiry.travel_required
    text = (
        (
            "The platform required presence at a fixed time and place.",
            "平台要求在固定时间前往固定地点。",
        )
        if travel
        else (
            "The platform had not required presence at a fixed time and place.",
            "平台未要求在固定时间前往固定地点。",
        )
    )
    return answer(
        "required_travel",
        provisions.REQUIRED_TRAVEL.on(case.claim.accident_day),
        met(travel),
        text,
        inputs=facts(travel_required=travel),
    )


def _traffic_fault(case: Case, dated: DatedProvision) -> Answer:
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
    provision = dated.on(case.claim.accident_day)
    return answer("traffic_fault", provision, outcome, text, inputs=inputs)


def _because_of_service(case: Case) -> Answer:
    text = (
        "Whether the violence came because of the service is for a person to decide.",
        "暴力等意外伤害是否因履行服务职责所致, 须由人工判断。",
    )
    provision = provisions.VIOLENCE.on(case.claim.accident_day)
    return answer("because_of_service", provision, Outcome.UNCLEAR, text)


def _rescue(case: Case) -> Answer:
    text = (
        "Whether the rescue served the public interest is for a person to decide.",
        "抢险救灾等行为是否为维护国家利益、公共利益, 须由人工判断。",
    )
    provision = provisions.RESCUE.on(case.claim.accident_day)
    return answer("public_interest", provision, Outcome.UNCLEAR, text)


def _relapse(case: Case) -> Answer:
    """The old injury of a former soldier with a certificate of disability (残疾军人证) relapses."""
    provision = provisions.RELAPSE.on(case.claim.accident_day)
    certificate = case.has(DocumentKind.VETERAN_CERTIFICATE)
    inputs = facts(veteran_certificate=certificate)
    if not certificate:
        text = (
            "No certificate of a disabled soldier (残疾军人证) is in evidence; add it.",
            "证据中没有残疾军人证。",
        )
        return answer("old_injury", provision, Outcome.NOT_MET, text, inputs=inputs)
    text = (
        "Whether the old injury relapsed while the worker was serving is for a person to decide.",
        "旧伤是否在提供服务期间复发, 须由人工判断。",
    )
    return answer("old_injury", provision, Outcome.UNCLEAR, text, inputs=inputs)


def _other_law(case: Case) -> Answer:
    """A situation that another law or regulation names; which one, the judgement's reason says."""
    text = (
        (
            "Whether another law or regulation makes this accident an occupational injury is for a "
            "person to decide; the reason has to name its article."
        ),
        "是否属于法律、行政法规规定应当认定的其他情形, 须由人工判断, 并在理由中写明条款。",
    )
    provision = provisions.OTHER_LAW.on(case.claim.accident_day)
    return answer("other_law", provision, Outcome.UNCLEAR, text)


def _sudden_illness(case: Case) -> Answer:
    """Sudden illness with death on the spot, or within the hours after the first diagnosis.

    A death that could not be averted any more within the hours counts, whenever it came
    ((2025)最高法行再516号).
    """
    day, where = case.claim.accident_day, case.claim.place_of_injury
    rule = case.law.on("illness_rule", day, where)
    hours = case.law.on("sudden_illness_hours", day, where)
    enquiry = case.enquiry
    inputs = facts(
        illness_rule=rule.value,
        first_diagnosis_time=enquiry.first_diagnosis_time or "not given",
        death_time=enquiry.death_time or "not given",
        irreversible_time=enquiry.irreversible_time or "not given",
        spot_or_direct=enquiry.spot_or_direct,
        death_certificate=case.has(DocumentKind.DEATH_CERTIFICATE),
    )
    outcome, text = _illness_outcome(case, str(rule.value), int(hours.decimal))
    return answer(
        "sudden_illness",
        provisions.SUDDEN_ILLNESS.on(day),
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
        return _within_hours(case, diagnosed, death, hours)
    if enquiry.spot_or_direct and diagnosed is None and case.has(DocumentKind.DEATH_CERTIFICATE):
        return Outcome.MET, ("The worker died on the spot.", "劳动者突发疾病当场死亡。")
    text = (
        "The times of first diagnosis and of death are not both established.",
        "初次诊断时间与死亡时间尚未全部查明。",
    )
    return Outcome.UNCLEAR, text


def _within_hours(
    case: Case, diagnosed: datetime, death: datetime, hours: int
) -> tuple[Outcome, tuple[str, str]]:
    """Whether the death, or that it could not be averted any more, came within the hours."""
    certain = case.enquiry.irreversible_time
    limit = timedelta(hours=hours)
    within = (death if certain is None else certain) - diagnosed <= limit
    en = f"Death came {death - diagnosed} after the first diagnosis"
    zh = f"自初次诊断至死亡历时 {death - diagnosed}"
    if certain is not None:
        en += f" and could not be averted any more {certain - diagnosed} after it"
        zh += f", 至抢救无效死亡不可逆转历时 {certain - diagnosed}"
    elif not within:
        en += ", and nothing says that it could not be averted any more before"
        zh += ", 且无材料表明此前死亡已不可逆转"
    text = (f"{en}; the limit is {hours} hours.", f"{zh}; 时限为 {hours} 小时。")
    if within and not case.has(DocumentKind.DEATH_CERTIFICATE):
        return Outcome.UNCLEAR, (
            f"{text[0]} No death certificate is in evidence.",
            f"{text[1]}证据中没有死亡证明。",
        )
    return met(within), text


ANSWERS: Mapping[Situation, Callable[[Case], tuple[Answer, ...]]] = {
    Situation.ORDER_EXECUTION: _accident,
    Situation.VIOLENCE: lambda case: (
        order_execution(case, provisions.VIOLENCE),
        _because_of_service(case),
    ),
    Situation.MISSING: lambda case: (order_execution(case, provisions.MISSING),),
    Situation.SUDDEN_ILLNESS: lambda case: (
        order_execution(case, provisions.SUDDEN_ILLNESS),
        _sudden_illness(case),
    ),
    Situation.REQUIRED_TRAVEL: lambda case: (
        _required_travel(case),
        _traffic_fault(case, provisions.REQUIRED_TRAVEL),
    ),
    Situation.WAY_HOME: _way_home,
    Situation.RESCUE: lambda case: (_rescue(case),),
    Situation.RELAPSE: lambda case: (_relapse(case),),
    Situation.OTHER_LAW: lambda case: (_other_law(case),),
}
