"""The procedure of an appraisal: each step takes the appraisal before it and returns the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from services.grading.domain import panels, times
from services.grading.domain.appraisals import (
    LIFECYCLE,
    Appraisal,
    Cause,
    Injury,
    InjuryKind,
    State,
)
from services.grading.domain.law import ABSENCE, STABLE, provision_of
from services.grading.domain.panels import Opinion, Specialist
from services.grading.domain.problems import (
    AbsenceRecorded,
    AlreadyExtended,
    AppraisalChanged,
    AppraisalDeferred,
)
from services.grading.domain.times import Days
from services.kernel.law import Finding, Outcome, facts
from services.kernel.problems import Malformed
from services.kernel.scheme import AppraisalLevel


def open_first(appraisal_id: str, injury: Injury, now: datetime, days: Days) -> Appraisal:
    """The first appraisal of a confirmed injury; its time limit runs from today."""
    return Appraisal(
        id=appraisal_id,
        claim=injury.claim,
        level=AppraisalLevel.FIRST,
        state=State.OPENED,
        due_date=times.conclusion_due(days.day, days),
        create_time=now,
    )


def open_next(
    appraisal_id: str,
    previous: Appraisal,
    level: AppraisalLevel,
    *,
    application_date: date,
    receive_date: date | None,
    now: datetime,
    days: Days,
) -> Appraisal:
    """A re-appraisal or a review; raises as `times.require_may_follow` does."""
    finding = times.require_may_follow(previous, level, application_date, receive_date, days)
    return Appraisal(
        id=appraisal_id,
        claim=previous.claim,
        level=level,
        state=State.OPENED,
        due_date=times.conclusion_due(application_date, days),
        create_time=now,
        previous=previous.name,
        findings=(finding,),
    )


def draw_panel(appraisal: Appraisal, finding: Finding, day: date) -> Appraisal:
    """Draw the panel, explained by `finding`; raises AppraisalDeferred before a deferral ends."""
    state = LIFECYCLE.after(appraisal.state, "draw_panel")
    if appraisal.not_before is not None and day < appraisal.not_before:
        raise AppraisalDeferred(until=appraisal.not_before)
    return _changed(
        appraisal,
        state=state,
        draw=appraisal.draw + 1,
        findings=(*appraisal.findings, finding),
    )


def record_opinion(appraisal: Appraisal) -> Appraisal:
    """Record an opinion of a member of the panel."""
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "record_opinion"))


def conclude(
    appraisal: Appraisal,
    read_revision: int,
    *,
    injury: Injury,
    panel: Sequence[Specialist],
    opinions: Sequence[Opinion],
    days: Days,
) -> Appraisal:
    """The committee concludes on its panel's opinions.

    `read_revision` is the revision that the committee has read. Raises AppraisalChanged if there is
    a newer one, and OpinionsMissing.
    """
    state = LIFECYCLE.after(appraisal.state, "conclude")
    if read_revision != appraisal.revision:
        raise AppraisalChanged(field="revision", current=appraisal.revision, read=read_revision)
    day = days.day
    decision = panels.decide(panel, opinions, appraisal.level, days.law, day)
    further = [times.on_time(appraisal.due_date, day, days), times.serve_by(day, days)]
    if injury.accident_date is not None:
        stable = times.stability(injury.accident_date, decision.heals, day, days)
        further += [stable] if stable is not None else []
    if appraisal.level is AppraisalLevel.REVIEW:
        further.append(times.effect(day, days))
    return _changed(
        appraisal,
        state=state,
        grade=decision.grade,
        care_dependence=decision.care_dependence,
        conclude_date=day,
        findings=(*appraisal.findings, *decision.findings, *further),
    )


def defer(
    appraisal: Appraisal,
    *,
    until: date,
    kind: InjuryKind | None,
    accident: date | None,
    days: Days,
) -> Appraisal:
    """Wait for a stable condition until a later day, when the time limit restarts [assumed].

    Raises Malformed for a day that is not later, and DeferralTooShort.
    """
    state = LIFECYCLE.after(appraisal.state, "defer")
    if until <= days.day:
        raise Malformed.of("until_date", f"write a day after {days.day}")
    times.require_stable(until, kind, accident, days)
    due = times.conclusion_due(until, days)
    finding = Finding(
        STABLE,
        Outcome.NOT_MET,
        f"The condition is not stable; the appraisal waits until {until}, its limit is {due}.",
        f"伤情尚未相对稳定, 鉴定延期至 {until}, 办理期限至 {due}。",
        inputs=facts(defer_date=days.day, injury_kind=kind.name.lower() if kind else "not given"),
        outputs=facts(not_before_date=until, due_date=due),
        parameters=(days.value("conclusion_days").version,),
    )
    return _changed(
        appraisal,
        state=state,
        not_before=until,
        due_date=due,
        findings=(*appraisal.findings, finding),
    )


def extend(appraisal: Appraisal, days: Days) -> Appraisal:
    """Extend the time limit of a complex case, once; raises AlreadyExtended."""
    state = LIFECYCLE.after(appraisal.state, "extend")
    if appraisal.extended:
        raise AlreadyExtended(due=appraisal.due_date)
    due = times.extended_due(appraisal.due_date, days)
    value = days.value("conclusion_extension_days")
    finding = Finding(
        provision_of(value),
        Outcome.CALCULATED,
        f"The case is complex; the time limit moves from {appraisal.due_date} to {due}.",
        f"伤情复杂, 办理期限由 {appraisal.due_date} 延长至 {due}。",
        inputs=facts(due_date=appraisal.due_date),
        outputs=facts(due_date=due),
        parameters=(value.version,),
    )
    return _changed(
        appraisal,
        state=state,
        due_date=due,
        extended=True,
        findings=(*appraisal.findings, finding),
    )


def record_absence(
    appraisal: Appraisal, examination: date, days: Days, *, excused: bool
) -> Appraisal:
    """Record that the worker missed an examination; enough absences without a reason end it.

    Raises AbsenceRecorded, and Malformed for a day in the future.
    """
    state = LIFECYCLE.after(appraisal.state, "record_absence")
    if examination > days.day:
        what = f"write the day of the examination, {days.day} or earlier"
        raise Malformed.of("examination_date", what)
    missed = ("examination_date", str(examination))
    if any(past.provision == ABSENCE and missed in past.inputs for past in appraisal.findings):
        raise AbsenceRecorded(field="examination_date", examination=examination)
    value = days.value("absences")
    count = appraisal.absence_count + (0 if excused else 1)
    over = count >= int(value.decimal)
    reason = "with" if excused else "without"
    finding = Finding(
        ABSENCE,
        Outcome.MET if over else Outcome.NOT_MET,
        f"Absent on {examination} {reason} a reason; {count} absences count"
        f"{', which ends the procedure' if over else ''}.",
        f"{examination} {'有' if excused else '无'}正当理由缺席; 累计 {count} 次"
        f"{', 终止鉴定程序' if over else ''}。",
        inputs=facts(examination_date=examination, excused=excused),
        outputs=facts(absence_count=count),
        parameters=(value.version,),
    )
    recorded = _changed(
        appraisal, state=state, absence_count=count, findings=(*appraisal.findings, finding)
    )
    if not over:
        return recorded
    return replace(end(recorded, Cause.WORKER_ABSENT), revision=recorded.revision)


def end(appraisal: Appraisal, cause: Cause) -> Appraisal:
    """End the appraisal without a conclusion."""
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "end"), cause=cause)


def reopen(appraisal: Appraisal, day: date, days: Days) -> Appraisal:
    """Reopen an appraisal that ended; absences and the time limit restart on `day`."""
    return _changed(
        appraisal,
        state=LIFECYCLE.after(appraisal.state, "reopen"),
        due_date=times.conclusion_due(day, days),
        not_before=None,
        extended=False,
        absence_count=0,
        cause=None,
    )


def republish(appraisal: Appraisal) -> Appraisal:
    """Give an unchanged conclusion a new revision, so that consumers take it again."""
    return _changed(appraisal)


def _changed(appraisal: Appraisal, **changes: object) -> Appraisal:
    return replace(appraisal, revision=appraisal.revision + 1, **changes)  # type: ignore[arg-type]
