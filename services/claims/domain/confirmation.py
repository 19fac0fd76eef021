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
from services.claims.domain.attribution import Attribution, Charge, attribution_of
from services.claims.domain.case import (
    Answer,
    Case,
    Judgement,
    Weight,
    answer,
    met,
    with_judgements,
)
from services.claims.domain.due_dates import filing_answer
from services.claims.domain.exclusions import exclusion_answers
from services.claims.domain.order_records import Standing, order_in, standings
from services.claims.domain.situations import situation_answers
from services.kernel import names
from services.kernel.law import Finding, Outcome, facts
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed
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
    _require_consistent(case)
    answers = (
        _enrolled(case),
        *situation_answers(case),
        _harm(case),
        *exclusion_answers(case),
        filing_answer(case, calendar),
    )
    answers = with_judgements(answers, tuple(judgements))
    findings = tuple(current.finding for current in answers)
    death = case.claim.death_date
    if death is None and case.enquiry.death_time is not None:
        death = civil_day(case.enquiry.death_time)
    if any(current.refuses for current in answers):
        return Decision(Result.REFUSED, findings, None, death, disability_expected=False)
    attribution = attribution_of(case)
    return Decision(
        Result.CONFIRMED,
        (*findings, *_attribution_findings(case, attribution)),
        attribution,
        death,
        case.enquiry.disability_expected and death is None,
    )


def _require_consistent(case: Case) -> None:
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
    enrolments = case.claim.enrolments
    enrolled = [enrolment.platform for enrolment in enrolments if enrolment.enrol_date <= day]
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
        (f"platforms/{enrolment.platform}", f"enrolled on {enrolment.enrol_date}")
        for enrolment in enrolments
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
            f"The case is charged on this basis: {attribution.basis.value}.",
            f"费用归属依据: {attribution.basis.zh}。",
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
