"""The determination (职业伤害确认结论): one finding a provision, and what follows from them.

A claim is confirmed when every answer that is needed is met and no bar applies. What the facts
leave open is answered by a person or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from services.claims.domain import law as provisions
from services.claims.domain.attribution import Attribution, attribution_of, place_of_cover
from services.claims.domain.case import (
    Answer,
    Case,
    Judgement,
    Weight,
    answer,
    is_refused,
    judged_answers,
    met,
    open_questions,
    with_judgements,
)
from services.claims.domain.due_dates import filing_answer
from services.claims.domain.exclusions import exclusion_answers
from services.claims.domain.order_records import Standing, order_in, standings
from services.claims.domain.situations import situation_answers
from services.kernel import names
from services.kernel.law import Finding, Outcome, facts
from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed, OutOfRange
from services.kernel.workdays import WorkCalendar


class Result(Enum):
    """The outcomes of a determination; numbers as in the proto."""

    CONFIRMED = 1
    REFUSED = 2


@dataclass(frozen=True)
class Decision:
    """What was decided, on which findings, and who is charged with it."""

    result: Result
    findings: tuple[Finding, ...]
    attribution: Attribution | None
    death_date: date | None
    disability_expected: bool


def act_of(decision: Decision) -> str:
    """The act of the table of signatures that a decision is; empty for one that a person decides.

    Nobody alone refuses a claim or confirms a dear one. What a confirmation will cost is not known
    yet: with a death or a lasting disability the least that the law gives is above every sum from
    which a grant is signed; otherwise each bill is granted, and signed, by its own sum.
    """
    if decision.result is Result.REFUSED:
        return "claim-refusal"
    if decision.death_date:
        return "claim-death"
    return "claim-disability" if decision.disability_expected else ""


@dataclass(frozen=True)
class Determination:
    """A decision as it stands on record."""

    claim_id: str
    number: int
    result: Result
    findings: tuple[Finding, ...]
    # The platform that bears the case, and its order; empty if refused, or without an order.
    platform: str
    order_no: str
    adjudicator: str
    create_time: datetime
    revoke_time: datetime | None = None
    service_date: date | None = None

    @property
    def name(self) -> str:
        """`claims/{id}/determinations/{number}`."""
        return names.name("claims", self.claim_id, "determinations", self.number)


@dataclass(frozen=True)
class Preview:
    """What a determination would find; without a decision while a person has to answer."""

    findings: tuple[Finding, ...]
    open_questions: tuple[str, ...]
    decision: Decision | None


def determine(case: Case, judgements: Sequence[Judgement], calendar: WorkCalendar) -> Decision:
    """Decide a case. Raises OpenFindings where a person has to answer first."""
    return _decide(case, with_judgements(_answers(case, calendar), tuple(judgements)))


def preview(case: Case, judgements: Sequence[Judgement], calendar: WorkCalendar) -> Preview:
    """What `determine` would find, with the questions that it would refuse to leave open."""
    answers = judged_answers(_answers(case, calendar), tuple(judgements))
    unanswered = open_questions(answers)
    if unanswered:
        return Preview(tuple(current.finding for current in answers), unanswered, None)
    decision = _decide(case, answers)
    return Preview(decision.findings, (), decision)


def _answers(case: Case, calendar: WorkCalendar) -> tuple[Answer, ...]:
    """The answers of the rules; that on the scheme alone where it was not in force."""
    _require_consistent(case)
    scheme = _scheme(case)
    if scheme.refuses:
        return (scheme,)
    return (
        scheme,
        _enrolled(case),
        *situation_answers(case),
        _harm(case),
        *exclusion_answers(case),
        filing_answer(case, calendar),
    )


def _decide(case: Case, answers: tuple[Answer, ...]) -> Decision:
    findings = tuple(current.finding for current in answers)
    death = _death_date(case)
    if is_refused(answers):
        return Decision(Result.REFUSED, findings, None, death, disability_expected=False)
    met_questions = {
        current.question for current in answers if current.finding.outcome is Outcome.MET
    }
    executed = "order_execution" in met_questions
    attribution = attribution_of(
        case, executed=executed, on_way_home=not executed and "way_home" in met_questions
    )
    return Decision(
        Result.CONFIRMED,
        (*findings, *_attribution_findings(case, attribution)),
        attribution,
        death,
        case.enquiry.disability_expected and death is None,
    )


def _death_date(case: Case) -> date | None:
    if case.claim.death_date is None and case.enquiry.death_time is not None:
        return civil_day(case.enquiry.death_time)
    return case.claim.death_date


def _scheme(case: Case) -> Answer:
    """The scheme was in force on the day of the accident where the order was accepted."""
    day, where = case.claim.accident_day, place_of_cover(case)
    provision = provisions.SCHEME.on(day)
    inputs = facts(accident_date=day, place=where)
    try:
        start = case.law.on("scheme_start", day, where)
    except ParameterNotFound:
        text = (
            f"The scheme has no first day in {where}, so it covers no accident there.",
            f"{where} 尚未公布职业伤害保障施行日期, 不在保障范围。",
        )
        return answer("scheme", provision, Outcome.NOT_MET, text, inputs=inputs)
    holds = date.fromisoformat(start.value) <= day
    text = (
        (
            f"The scheme was in force in {where} on {day}: it began there on {start.value}.",
            f"{where} 自 {start.value} 起施行职业伤害保障, 事故日期 {day} 在施行之后。",
        )
        if holds
        else (
            f"The scheme was not in force in {where} on {day}: it begins there on {start.value}.",
            f"{where} 自 {start.value} 起施行职业伤害保障, 事故日期 {day} 在施行之前。",
        )
    )
    # The instrument that brought the scheme there later is no ground for the time before.
    versions = (start.version,) if holds else ()
    return answer("scheme", provision, met(holds), text, inputs=inputs, versions=versions)


def _require_consistent(case: Case) -> None:
    """Refuse facts that contradict each other."""
    enquiry, claim = case.enquiry, case.claim
    if not 0 <= enquiry.blood_alcohol <= 1000:
        raise OutOfRange.of("enquiry.blood_alcohol_mg_per_100ml", enquiry.blood_alcohol, 0, 1000)
    if enquiry.death_time is not None:
        if enquiry.death_time < claim.accident_time:
            raise Malformed.of(
                "enquiry.death_time",
                "BEFORE_ACCIDENT",
                "it lies before the accident",
                "早于事故; 请核对",
            )
        if claim.death_date not in (None, civil_day(enquiry.death_time)):
            raise Malformed.of(
                "enquiry.death_time",
                "OTHER_DAY_OF_DEATH",
                "the claim says {day}",
                "与申请所载 {day} 不一致; 请核对",
                day=claim.death_date,
            )
        diagnosed = enquiry.first_diagnosis_time
        if diagnosed is not None and diagnosed > enquiry.death_time:
            raise Malformed.of(
                "enquiry.first_diagnosis_time",
                "AFTER_DEATH",
                "it lies after the death",
                "晚于死亡时间; 请核对",
            )
    _require_possible_end(case)
    if enquiry.served_order:
        order_in(enquiry.served_order, "enquiry.served_order")


def _require_possible_end(case: Case) -> None:
    """A death is found to be certain after the accident and the diagnosis, and before it comes."""
    enquiry, field = case.enquiry, "enquiry.irreversible_time"
    certain, diagnosed = enquiry.irreversible_time, enquiry.first_diagnosis_time
    if certain is None:
        return
    if certain < (diagnosed or case.claim.accident_time):
        raise Malformed.of(
            field,
            "BEFORE_DIAGNOSIS",
            "lies before the accident or the first diagnosis; check both",
            "早于事故或初次诊断; 请核对",
        )
    if enquiry.death_time is not None and certain > enquiry.death_time:
        raise Malformed.of(
            field, "AFTER_DEATH", "lies after the death; check both", "晚于死亡时间; 请核对"
        )


def _enrolled(case: Case) -> Answer:
    """The worker was enrolled: before the accident, or by an order accepted on a platform.

    An enrolment that was sent after the day with an earlier date insures nobody backwards.
    """
    day = case.claim.accident_day
    enrolments = case.claim.enrolments
    enrolled = [enrolment.platform for enrolment in enrolments if enrolment.insured_from <= day]
    standing_of = standings(case.orders, case.claim.accident_time, case.terms)
    ordered = [
        order
        for order, standing in standing_of.items()
        if order.accept_time <= case.claim.accident_time and standing is not Standing.REVERSED
    ]
    holds = bool(enrolled or ordered)
    text = (
        ("The worker was enrolled with a platform on the day.", "事故当日劳动者已参保登记。")
        if holds
        else (
            "The worker was enrolled with no platform on the day and had accepted no order.",
            "事故当日劳动者未参保登记, 也未接单。",
        )
    )
    inputs = facts(accident_date=day) + tuple(
        (
            f"platforms/{enrolment.platform}",
            f"enrolled on {enrolment.enrol_date}, sent on {enrolment.send_date}",
        )
        for enrolment in enrolments
    )
    return answer("enrolled", provisions.COVERED_WORKER.on(day), met(holds), text, inputs=inputs)


def _harm(case: Case) -> Answer:
    """Injury, death or disappearance was caused by the accident, as the enquiry established."""
    holds = case.enquiry.harm_established
    text = (
        ("The enquiry established that the accident caused the harm.", "经调查, 伤害系事故所致。")
        if holds
        else (
            "The enquiry did not establish that the accident caused the harm.",
            "经调查, 不能认定伤害系事故所致。",
        )
    )
    documents = ", ".join(
        f"{kind.name} {count}" for kind, count in sorted(case.documents.items(), key=_by_number)
    )
    inputs = facts(harm_established=holds, documents=documents or "none")
    return answer("harm", provisions.HARM, met(holds), text, inputs=inputs)


def _by_number(item: tuple[Enum, int]) -> int:
    return int(item[0].value)


def _attribution_findings(case: Case, attribution: Attribution) -> tuple[Finding, ...]:
    order = names.name("platforms", attribution.platform, "orders", attribution.order_no or "-")
    charged = answer(
        "attribution",
        provisions.SEVERAL_PLATFORMS.on(case.claim.accident_day),
        Outcome.CALCULATED,
        (
            f"The platform is responsible on this basis: {attribution.basis.value}.",
            f"平台责任认定依据: {attribution.basis.zh}。",
        ),
        weight=Weight.MARK,
        inputs=facts(served_order=case.enquiry.served_order or "not named"),
        outputs=((order, "charged"),),
    )
    place = answer(
        "place_charged",
        provisions.PLACE_OF_ACCEPTANCE,
        Outcome.CALCULATED,
        (
            (
                f"The cost is borne by pooling area {attribution.pooling_area}, where the order "
                f"was accepted; the injury happened in {case.claim.place_of_injury}."
            ),
            (
                f"费用由接单地统筹地区 {attribution.pooling_area} 承担; "
                f"受伤地为 {case.claim.place_of_injury}。"
            ),
        ),
        weight=Weight.MARK,
        inputs=facts(place_of_injury=case.claim.place_of_injury),
        outputs=facts(pooling_area=attribution.pooling_area, industry=attribution.industry),
    )
    return (charged.finding, place.finding)
