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
from services.claims.domain.case import (
    Answer,
    Case,
    Judgement,
    Weight,
    answer,
    met,
    with_judgements,
)
from services.claims.domain.claim import Industry
from services.claims.domain.evidence import (
    DOUBTFUL,
    Attribution,
    Charge,
    HostContext,
    OrderEvidence,
    OrderState,
    Standing,
    attribute,
    charge_of,
    latest,
    nearest,
    order_in,
    standings,
)
from services.claims.domain.exclusions import exclusion_answers
from services.claims.domain.filing import filing_answer
from services.claims.domain.situations import situation_answers
from services.kernel import names
from services.kernel.law import Finding, Outcome, facts
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed
from services.kernel.workdays import WorkCalendar


class Result(Enum):
    """What can come out; numbers as in the proto."""

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


@dataclass(frozen=True)
class Determination:
    """A decision as it stands on record."""

    claim_id: str
    number: int
    result: Result
    findings: tuple[Finding, ...]
    charges: tuple[Charge, ...]
    adjudicator: str
    create_time: datetime
    revoke_time: datetime | None = None
    service_date: date | None = None

    @property
    def name(self) -> str:
        """`claims/{id}/determinations/{number}`."""
        return names.name("claims", self.claim_id, "determinations", self.number)


def determine(case: Case, judgements: Sequence[Judgement], calendar: WorkCalendar) -> Decision:
    """Decide a case. Raises OpenFindings where a person has to answer first."""
    _check(case)
    asked = (
        _enrolled(case),
        *situation_answers(case),
        _harm(case),
        *exclusion_answers(case),
        filing_answer(case, calendar),
    )
    answers = with_judgements(asked, tuple(judgements))
    findings = tuple(one.finding for one in answers)
    death = case.death_date
    if death is None and case.enquiry.death_time is not None:
        death = civil_day(case.enquiry.death_time)
    if any(one.refuses for one in answers):
        return Decision(Result.REFUSED, findings, None, death, disability_expected=False)
    attribution = attribution_of(case)
    return Decision(
        Result.CONFIRMED,
        (*findings, *_attribution_findings(case, attribution)),
        attribution,
        death,
        case.enquiry.disability_expected and death is None,
    )


def _check(case: Case) -> None:
    """Refuse facts that contradict each other."""
    enquiry, claim = case.enquiry, case.claim
    if not 0 <= enquiry.blood_alcohol <= 1000:
        raise Malformed.of("enquiry.blood_alcohol_mg_per_100ml", "write 0 to 1000")
    if enquiry.death_time is not None:
        if enquiry.death_time < claim.accident_time:
            raise Malformed.of("enquiry.death_time", "lies before the accident")
        if claim.death_date not in (None, civil_day(enquiry.death_time)):
            raise Malformed.of("enquiry.death_time", f"the claim says {claim.death_date}")
        diagnosed = enquiry.first_diagnosis_time
        if diagnosed is not None and diagnosed > enquiry.death_time:
            raise Malformed.of("enquiry.first_diagnosis_time", "lies after the death")
    if enquiry.served_order:
        order_in(enquiry.served_order, "enquiry.served_order")


def _enrolled(case: Case) -> Answer:
    """The worker was enrolled: before the accident, or by an order accepted on a platform."""
    day = case.claim.accident_day
    enrolled = [one.platform for one in case.claim.enrolments if one.enrol_date <= day]
    stood = standings(case.orders, case.claim.accident_time, case.terms)
    ordered = [
        order
        for order, how in stood.items()
        if order.accept_time <= case.claim.accident_time and how is not Standing.REVERSED
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
        (f"platforms/{one.platform}", f"enrolled on {one.enrol_date}")
        for one in case.claim.enrolments
    )
    return answer("enrolled", provisions.COVERED_WORKER, met(holds), text, inputs=inputs)


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


def attribution_of(case: Case) -> Attribution:
    """Which order bears a confirmed case.

    The orders under way; else those that a person judged to be; else what the enquiry names; else
    the order nearest to the accident. Raises Malformed if nothing says which platform.
    """
    moment, served = case.claim.accident_time, case.enquiry.served_order
    stood = standings(case.orders, moment, case.terms)
    for wanted in ({Standing.UNDER_WAY}, DOUBTFUL):
        found = [order for order, how in stood.items() if how in wanted]
        if found:
            _check_served(served, found)
            return attribute(found, moment, served)
    real = [order for order, how in stood.items() if how is not Standing.REVERSED]
    named = [order for order in real if order.name == served]
    if named:
        return charge_of(named[0], HostContext.ENQUIRY)
    if served:
        return _by_name(case, served, real)
    closest = nearest(real, moment)
    if closest is not None and not case.enquiry.order_records_withheld:
        return charge_of(closest, HostContext.NEAREST)
    return _by_name(case, "", real)


def preliminary_attribution(
    orders: Sequence[OrderEvidence], moment: datetime
) -> Attribution | None:
    """Whom the records alone would charge; None if no order spans the moment."""
    found = [
        order
        for order in latest(orders)
        if order.spans(moment) and order.state is not OrderState.REVERSED
    ]
    return attribute(found, moment) if found else None


def _check_served(served: str, found: Sequence[OrderEvidence]) -> None:
    if served and served not in {order.name for order in found}:
        orders = ", ".join(order.name for order in found)
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
    industry: Industry | None = case.enquiry.industry or (closest.industry if closest else None)
    if industry is None:
        raise Malformed.of("enquiry.industry", "say the industry: no order record does")
    area = case.enquiry.pooling_area or (closest.pooling_area if closest else "")
    if not area:
        area = provisions.pooling_area_of(
            case.claim.place_of_injury, case.claim.accident_day, case.law
        )
    return Attribution(HostContext.NAMED, (Charge(platform, order_no, 100),), area, industry)


def _attribution_findings(case: Case, attribution: Attribution) -> tuple[Finding, ...]:
    shares = tuple(
        (
            names.name("platforms", charge.platform, "orders", charge.order_no or "-"),
            f"{charge.percent} %",
        )
        for charge in attribution.charges
    )
    charged = answer(
        "attribution",
        provisions.SEVERAL_PLATFORMS,
        Outcome.CALCULATED,
        (
            f"The case is charged by this ground: {attribution.ground.value}.",
            f"费用归属依据: {_GROUND_ZH[attribution.ground]}。",
        ),
        weight=Weight.MARK,
        inputs=facts(served_order=case.enquiry.served_order or "not named"),
        outputs=shares,
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


_GROUND_ZH = {
    HostContext.ONLY_ORDER: "事故时仅有一单在执行",
    HostContext.ENQUIRY: "经调查查明正在配送的订单",
    HostContext.LAST_EVENT: "事故前最后一个订单事件所属订单",
    HostContext.EQUAL_SPLIT: "无法确定正在执行的订单, 平均分摊",
    HostContext.NEAREST: "距事故时间最近的订单",
    HostContext.NAMED: "调查指明的平台(无订单记录)",
}
