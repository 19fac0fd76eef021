"""When things are due: filing, each step of a claim, and the remedies against a conclusion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from services.claims.domain import law as provisions
from services.claims.domain.case import Answer, Case, Weight, answer
from services.claims.domain.claim import Claim, ClaimantKind
from services.claims.domain.problems import NotASmallInjury
from services.claims.domain.time_limits import Due, Step, StepClock, TimeLimit, due_day
from services.kernel.law import DatedProvision, Finding, Outcome, Tag, facts
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.periods import civil_day
from services.kernel.phrases import Phrase
from services.kernel.workdays import WorkCalendar

# Claims without a running clock stand last in the queue.
NEVER = date.max


@dataclass(frozen=True)
class SmallInjury:
    """What makes an injury small."""

    treatment_cost: Fen
    hospital_stay: bool
    appraisal_expected: bool


@dataclass(frozen=True)
class FilingTime:
    """How a filing stands to the time for filing; late is a mark, never a bar by itself."""

    due: Due
    last: Due
    is_late: bool
    is_too_late: bool
    limits: tuple[TimeLimit, TimeLimit]


def filing_time(
    kind: ClaimantKind,
    accident: date,
    filed: date,
    *,
    where: str,
    law: Law,
    calendar: WorkCalendar,
) -> FilingTime:
    """Whether a claim was filed in time (申请时限), counted from the accident."""
    name = "platform_filing_time" if kind is ClaimantKind.PLATFORM else "worker_filing_time"
    limit = TimeLimit.of(law.on(name, accident, where))
    longest = TimeLimit.of(law.on("longest_filing_time", accident, where))
    due, last = due_day(accident, limit, calendar), due_day(accident, longest, calendar)
    return FilingTime(due, last, filed > due.day, filed > last.day, (limit, longest))


def filing_answer(case: Case, calendar: WorkCalendar) -> Answer:
    """The finding on filing: in time, late (a mark), or so late that a person has to decide."""
    claim = case.claim
    filed = civil_day(claim.create_time)
    time = filing_time(
        claim.claimant_kind,
        claim.accident_day,
        filed,
        where=claim.place_of_injury,
        law=case.law,
        calendar=calendar,
    )
    weight = Weight.MARK
    certainty, certainty_zh = _certainty(time.limits[0])
    within, within_zh = _certainty(time.limits[1])
    ended = f"{time.due.day}, the end of {time.limits[0]} from the accident"
    ended_zh = f"{time.due.day} (自事故起 {time.limits[0].in_chinese})"
    if time.is_too_late:
        weight, outcome = Weight.NEEDED, Outcome.UNCLEAR
        text = (
            (
                f"Filed on {filed}, after the longest time of {time.limits[1]} that ended on "
                f"{time.last.day}{within}; whether the reasons excuse it is for a person to decide."
            ),
            (
                f"{filed} 提出申请, 超过最长时限 {time.limits[1].in_chinese} ({time.last.day} 届满)"
                f"{within_zh}; 是否有正当理由须由人工判断。"
            ),
        )
    elif time.is_late:
        outcome = Outcome.NOT_MET
        text = (
            f"Filed on {filed}, after {ended}{certainty}; a mark that bars nothing.",
            f"{filed} 提出申请, 已超过 {ended_zh}{certainty_zh}; 仅作标注, 不影响受理。",
        )
    else:
        outcome = Outcome.MET
        text = (
            f"Filed on {filed}, by {ended}{certainty}.",
            f"{filed} 提出申请, 在时限 {ended_zh} 之内{certainty_zh}。",
        )
    return answer(
        "filing_time",
        provisions.FILING,
        outcome,
        text,
        weight=weight,
        inputs=facts(accident_date=claim.accident_day, filed=filed, by=claim.claimant_kind),
        outputs=facts(due_date=time.due.day, provisional=time.due.provisional),
        versions=tuple(limit.version for limit in time.limits if limit.version),
    )


def _certainty(limit: TimeLimit) -> tuple[str, str]:
    """How certain the source of a limit is, for people; nothing for an official text."""
    tag = limit.version.tag if limit.version else Tag.ASSUMED
    if tag is Tag.LAW:
        return "", ""
    if tag is Tag.COMMON:
        return " (as in work-injury insurance)", "(参照工伤保险)"
    return " (assumed: no text for this place was seen)", "(暂定时限, 未见本地区文件)"


def document_check(filed: date, where: str, law: Law) -> StepClock:
    """The clock for checking the documents of a new claim."""
    limit = TimeLimit.of(law.on("document_check_time", filed, where))
    return StepClock(Step.DOCUMENT_CHECK, filed, limit)


def evidence_reply(notified: date, where: str, law: Law) -> StepClock:
    """The clock for answering an evidence request (补正期限)."""
    limit = TimeLimit.of(law.on("evidence_reply_time", notified, where))
    return StepClock(Step.EVIDENCE_REPLY, notified, limit)


def determination_clock(
    start: date,
    where: str,
    law: Law,
    *,
    accident: date,
    clear: bool = False,
    small: SmallInjury | None = None,
) -> StepClock:
    """The clock for the determination, from a day on; the day of the accident sets the limit.

    Raises NotASmallInjury if `small` is given and the place has no such path or the injury is not.
    """
    name = "determination_time_clear" if clear else "determination_time"
    if small is not None:
        _require_small(small, accident, where, law)
        name = "determination_time_small"
    return StepClock(Step.DETERMINATION, start, TimeLimit.of(law.on(name, accident, where)))


def first_determination_clock(
    claim: Claim,
    accepted: date,
    law: Law,
    *,
    clear: bool = False,
    small: SmallInjury | None = None,
) -> StepClock:
    """The clock after acceptance (受理), from the day that the law of the accident's day names.

    Counted from receipt, the pauses of the document check are left out of it too.
    """
    accident, where = claim.accident_day, claim.place_of_injury
    by_receipt = law.on("determination_time_from", accident, where).value == "RECEIPT"
    start = civil_day(claim.create_time) if by_receipt else accepted
    clock = determination_clock(start, where, law, accident=accident, clear=clear, small=small)
    pauses = claim.clock.resumed(accepted).pauses if by_receipt and claim.clock else ()
    return replace(clock, pauses=pauses)


def _require_small(small: SmallInjury, day: date, where: str, law: Law) -> None:
    terms = law.on("small_injury", day, where)
    if terms.value["path"] != "open":
        raise NotASmallInjury(
            why=Phrase("NO_SUCH_PATH", "this place has no such path", "本地区未设该程序")
        )
    if small.hospital_stay:
        raise NotASmallInjury(
            why=Phrase("HOSPITAL_STAY", "there was a stay in hospital", "有住院治疗")
        )
    if small.appraisal_expected:
        raise NotASmallInjury(
            why=Phrase(
                "APPRAISAL_EXPECTED", "an appraisal is to be expected", "可能需要劳动能力鉴定"
            )
        )
    ceiling = terms.value["cost_below_yuan"]
    if ceiling != "none" and small.treatment_cost >= Fen.of_yuan(ceiling):
        raise NotASmallInjury(
            why=Phrase.of(
                "COST_TOO_HIGH",
                "treatment costs {cost} yuan, not below {ceiling}",
                "医疗费用 {cost} 元, 未低于 {ceiling} 元",
                cost=small.treatment_cost.yuan,
                ceiling=ceiling,
            )
        )


STEP_PROVISIONS = {
    Step.DOCUMENT_CHECK: DatedProvision(provisions.DOCUMENT_CHECK),
    Step.EVIDENCE_REPLY: DatedProvision(provisions.EVIDENCE_REPLY),
    Step.DETERMINATION: provisions.DETERMINATION,
}


def clock_finding(clock: StepClock, accident: date, calendar: WorkCalendar) -> Finding:
    """How a step's last day was found: limit, beginning, pauses, and what they give."""
    due = clock.due(calendar)
    pauses = ", ".join(
        f"after {pause.start} up to {pause.end or 'further notice'}" for pause in clock.pauses
    )
    start = f"{clock.limit}, counted from the day after {clock.start}"
    if due is None:
        text = f"The time of {start}, is stopped."
        text_zh = f"时限 {clock.limit.in_chinese}, 自 {clock.start} 次日起算, 现已中止。"
    else:
        open_year = " That year's holiday notice is not known yet." if due.provisional else ""
        open_year_zh = "该年度放假通知尚未公布, 为暂定日期。" if due.provisional else ""
        text = f"The time of {start}, ends on {due.day}.{open_year}"
        text_zh = (
            f"时限 {clock.limit.in_chinese}, 自 {clock.start} 次日起算, "
            f"于 {due.day} 届满。{open_year_zh}"
        )
    return Finding(
        STEP_PROVISIONS[clock.step].on(accident),
        Outcome.CALCULATED,
        text,
        text_zh,
        facts(step=clock.step, start_date=clock.start, not_counted=pauses or "none"),
        facts(due_date=due.day if due else "none", provisional=bool(due and due.provisional)),
        (clock.limit.version,) if clock.limit.version else (),
    )


@dataclass(frozen=True)
class Remedies:
    """The last days for what a party may do against a conclusion served on a day."""

    review: Due
    reconsideration: Due
    litigation: Due


def remedies(served: date, where: str, law: Law, calendar: WorkCalendar) -> Remedies:
    """Review (复查), reconsideration (行政复议), direct litigation (行政诉讼): none compulsory."""

    def due(name: str) -> Due:
        return due_day(served, TimeLimit.of(law.on(name, served, where)), calendar)

    return Remedies(
        due("review_request_time"),
        due("reconsideration_request_time"),
        due("litigation_direct_time"),
    )


def procedure_due(name: str, start: date, where: str, law: Law, calendar: WorkCalendar) -> Due:
    """The last day of a step whose limit is the parameter `name`, as `conclusion_service_time`."""
    return due_day(start, TimeLimit.of(law.on(name, start, where)), calendar)


def queue_date(claim: Claim, calendar: WorkCalendar) -> date:
    """The day by which the queue is sorted: the end of the claim's running time, or never."""
    due = claim.running_clock.due(calendar) if claim.running_clock else None
    return due.day if due else NEVER
