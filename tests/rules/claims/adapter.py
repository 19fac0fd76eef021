"""Turns a case's facts into a call of a rule of claims, and its result into plain values.

Times are written `10:20`, `10:20:30` (on the case's day in Shanghai) or as a whole moment,
`2025-07-31T23:59:30`. Platforms are A, B and C. What a case leaves out is the plain case: one order
of A accepted at 10:00 in 440100 and completed at 10:40, an accident at 10:20 whose harm is
established, filed by the worker on the next day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

from services.claims.domain import accidents, due_dates
from services.claims.domain.alerts import CLOSER_ENQUIRY, alerts
from services.claims.domain.case import Case, Enquiry, Exclusion, Judgement
from services.claims.domain.claim import Claim, ClaimantKind, Enrolment, Situation
from services.claims.domain.confirmation import determine
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.evidence import DocumentKind, missing_documents
from services.claims.domain.law import LAW, pooling_area_of
from services.claims.domain.order_records import OrderEvidence, OrderState
from services.claims.domain.reports import is_reported_late
from services.claims.domain.time_limits import Due, Pause, Step, StepClock, TimeLimit
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.parameters import Parameter
from services.kernel.periods import SHANGHAI, first_moment
from services.kernel.scheme import Industry, Relation, Survivor
from services.runtime.base.holidays import work_calendar

PLATFORMS = {
    "A": "91350100M000100Y43",
    "B": "91110108MA01ABCD2H",
    "C": "91460100MA5T00003T",
}
LETTERS = {code: letter for letter, code in PLATFORMS.items()}
ONE_DAY = timedelta(days=1)


def confirmation(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A whole determination: outcome, each question's answer, platform, place and industry."""
    case = a_case(day, facts)
    judgements = tuple(
        Judgement(question, met, "established in the hearing")
        for question, met in facts.get("judgements", {}).items()
    )
    decision = determine(case, judgements, work_calendar())
    answers = {
        dict(finding.inputs)["question"]: finding.outcome.name for finding in decision.findings
    }
    result: dict[str, Any] = {
        **answers,
        "outcome": decision.result.name,
        "disability_expected": decision.disability_expected,
        "death_date": decision.death_date,
        "text": " ".join(finding.text for finding in decision.findings),
        "provisions": [str(finding.provision) for finding in decision.findings],
    }
    if decision.attribution is not None:
        result |= {
            "platform": LETTERS[decision.attribution.platform],
            "order_no": decision.attribution.order_no,
            "basis": decision.attribution.basis.name,
            "pooling_area": decision.attribution.pooling_area,
            "industry": decision.attribution.industry.name,
        }
    return result


def time_limit(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Any step's clock: `day` is the event; pauses are pairs of days; `today` is when one looks."""
    value = law_for(facts, day).on(facts["limit"], day, facts.get("place", "440100"))
    clock = StepClock(
        Step.DETERMINATION,
        day,
        TimeLimit.of(value),
        tuple(Pause(*pause) for pause in facts.get("pauses", [])),
    )
    calendar, today = work_calendar(), facts.get("today", day)
    return {
        **_due(clock.due(calendar)),
        "remaining": clock.remaining(calendar, today),
        "limit": str(clock.limit),
        "provisions": [value.source],
    }


def filing_time(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Filing after an accident on `day`."""
    filing = due_dates.filing_time(
        ClaimantKind[facts["by"]],
        day,
        facts["filed"],
        where=facts.get("place", "440100"),
        law=law_for(facts, day),
        calendar=work_calendar(),
    )
    return {
        **_due(filing.due),
        "late": filing.is_late,
        "too_late": filing.is_too_late,
        "provisions": [limit.version.source for limit in filing.limits if limit.version],
    }


def acceptance(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The time for a determination after acceptance on `day`."""
    small = facts.get("small")
    clock = due_dates.determination_clock(
        day,
        facts.get("place", "440100"),
        law_for(facts, day),
        accident=facts.get("accident_day", day),
        clear=facts.get("clear", False),
        small=SmallInjury(Fen.of_yuan(small["cost_yuan"]), small["stay"], small["appraisal"])
        if small
        else None,
    )
    assert clock.limit.version is not None
    return {
        **_due(clock.due(work_calendar())),
        "limit": str(clock.limit),
        "provisions": [clock.limit.version.source],
    }


def remedies(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The last days against a conclusion served on `day`."""
    law = law_for(facts, day)
    remedy = due_dates.remedies(day, "440100", law, work_calendar())
    names = ("review_request_time", "reconsideration_request_time", "litigation_direct_time")
    return {
        "review": remedy.review.day,
        "reconsideration": remedy.reconsideration.day,
        "litigation": remedy.litigation.day,
        "provisions": [law.on(name, day, "440100").source for name in names],
    }


def report(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Whether the first report came late."""
    law = law_for(facts, day)
    accident, reported = _moment(day, facts["accident"]), _moment(day, facts["reported"])
    value = law.on("accident_report_grace_hours", day, "440100")
    late = is_reported_late(accident, reported, "440100", law)
    return {"late": late, "provisions": [value.source]}


def pooling_area(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """The pooling area of a place."""
    return {"pooling_area": pooling_area_of(facts["place"], day, law_for(facts, day))}


def alerts_of(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """What advises a closer enquiry; `others` are the days of the worker's other accidents."""
    case = a_case(day, facts)
    found = alerts(case.claim, case.orders, facts.get("others", []), case.law)
    return {
        "alerts": [dict(finding.inputs)["question"] for finding in found],
        "provisions": [str(CLOSER_ENQUIRY)],
    }


def explained(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """A step's clock in words: `day` is the day of filing or acceptance."""
    law = law_for(facts, day)
    accident = facts.get("accident_day", day)
    clocks: dict[str, Callable[[date, str, Law], StepClock]] = {
        "DOCUMENT_CHECK": due_dates.document_check,
        "EVIDENCE_REPLY": due_dates.evidence_reply,
        "DETERMINATION": partial(due_dates.determination_clock, accident=accident),
    }
    clock = clocks[facts["step"]](day, "440100", law)
    clock = replace(clock, pauses=tuple(Pause(*pause) for pause in facts.get("pauses", [])))
    finding = due_dates.clock_finding(clock, accident, work_calendar())
    return {
        "text": finding.text,
        "text_zh": finding.text_zh,
        **dict(finding.outputs),
        "provisions": [str(finding.provision)],
    }


def documents_missing(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Documents that a claim usually needs and that are not in evidence."""
    case = a_case(day, facts)
    child = Survivor("child-1", Relation.CHILD, date(2019, 2, 28))
    claim = replace(case.claim, survivors=(child,)) if facts.get("survivors") else case.claim
    source = case.law.on("needed_documents", day, claim.place_of_injury).source
    missing = missing_documents(claim, case.documents, case.law)
    return {"missing": [kind.name for kind in missing], "provisions": [source]}


def filing_of_accident(day: date, facts: dict[str, Any]) -> dict[str, Any]:
    """Where a filing belongs; `accidents` are the moments of the person's other accidents."""
    case = a_case(day, facts)
    window = accidents.window_of(case.law, case.claim.accident_time, "440100")
    standing = [
        replace(
            accidents.accident_of(case.claim, case.law, case.claim.create_time),
            id=str(moment),
            accident_time=moment,
            window=accidents.window_of(case.law, moment, "440100"),
        )
        for moment in (_moment(day, text) for text in facts["accidents"])
    ]
    near = [
        accident
        for accident in standing
        if accident.window.start < window.end and window.start < accident.window.end
    ]
    placement = accidents.place_filing(case.claim, near, case.orders, case.law)
    joined, questioned = placement.joined, placement.questioned
    return {
        "filing": "JOINS" if joined else "QUESTIONED" if questioned else "OPENS",
        "provisions": [str(accidents.question(case.claim, case.law).provision)],
    }


RULES = {
    "filing_of_accident": filing_of_accident,
    "documents_missing": documents_missing,
    "alerts": alerts_of,
    "explained": explained,
    "confirmation": confirmation,
    "time_limit": time_limit,
    "filing_time": filing_time,
    "acceptance": acceptance,
    "remedies": remedies,
    "report": report,
    "pooling_area": pooling_area,
}


def a_case(day: date, facts: Mapping[str, Any]) -> Case:
    """The plain case with what is given put in its place."""
    filed = facts.get("filed", day + ONE_DAY)
    enrolled = facts.get("enrolled", {"A": day - 30 * ONE_DAY, "B": day - 30 * ONE_DAY})
    sent = facts.get("sent", {})
    claim = Claim(
        id="c1",
        claimant_kind=ClaimantKind[facts.get("by", "WORKER")],
        worker=7,
        accident_time=_moment(day, facts.get("accident", "10:20")),
        place_of_injury=facts.get("place", "440100"),
        situation=Situation[facts.get("situation", "ORDER_EXECUTION")],
        enrolments=tuple(
            Enrolment(PLATFORMS[one], since, sent.get(one, since))
            for one, since in enrolled.items()
        ),
        clock=None,
        create_time=first_moment(filed) + timedelta(hours=9),
        death_date=facts.get("death_date"),
    )
    return Case(
        claim=claim,
        filings=tuple(
            replace(claim, id=f"f{number}", accident_time=_moment(day, told))
            for number, told in enumerate(facts.get("other_times", []))
        ),
        orders=tuple(an_order(day, row) for row in facts.get("orders", [{}])),
        documents={DocumentKind[kind]: 1 for kind in facts.get("documents", ["DIAGNOSIS"])},
        enquiry=_enquiry(day, facts.get("enquiry", {})),
        law=law_for(facts, filed + 10 * ONE_DAY),
    )


def an_order(day: date, row: Mapping[str, Any]) -> OrderEvidence:
    """An order of A from 10:00 to 10:40 with what is given put in its place."""
    accept, end = row.get("accept", "10:00"), row.get("end", "10:40")
    pick_up = row.get("pick_up", "")
    return OrderEvidence(
        platform=PLATFORMS[row.get("platform", "A")],
        order_no=row.get("order_no", "1"),
        revision=row.get("revision", 1),
        state=OrderState[row.get("state", "COMPLETED")],
        accept_time=_moment(day, accept),
        pooling_area=row.get("pooling_area", "440100"),
        industry=Industry[row.get("industry", "INSTANT_DELIVERY")],
        pick_up_time=_moment(day, pick_up) if pick_up else None,
        end_time=_moment(day, end) if end else None,
        receive_time=_moment(day, row.get("received", accept)),
        late=row.get("late", False),
        is_supplementary=row.get("beside", False),
        other_worker=row.get("other_worker", False),
    )


def law_for(facts: Mapping[str, Any], known: date) -> Law:
    """The law as known on a day, with the switches that a case sets."""
    parameters = dict(LAW.parameters)
    for name, value in facts.get("parameters", {}).items():
        parameter = parameters[name]
        values = tuple(replace(dated, value=value) for dated in parameter.values)
        parameters[name] = Parameter(parameter.name, parameter.unit, values)
    return Law(parameters, known=known)


def _enquiry(day: date, row: Mapping[str, Any]) -> Enquiry:
    facts = dict(row)
    for name in ("first_diagnosis_time", "death_time", "irreversible_time"):
        if name in facts:
            facts[name] = _moment(day, facts[name])
    facts["exclusions"] = frozenset(Exclusion[one] for one in facts.get("exclusions", []))
    if "industry" in facts:
        facts["industry"] = Industry[facts["industry"]]
    if "served_order" in facts:
        platform, _, number = facts["served_order"].partition("/")
        facts["served_order"] = f"platforms/{PLATFORMS[platform]}/orders/{number}"
    return Enquiry(**{"harm_established": True, **facts})


def _moment(day: date, text: str) -> datetime:
    if "T" in text:
        return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)
    return datetime.combine(day, time.fromisoformat(text), SHANGHAI)


def _due(due: Due | None) -> dict[str, Any]:
    if due is None:
        return {"due": "none", "provisional": False}
    return {"due": due.day, "provisional": due.provisional}
