"""The steps of an appraisal: each takes it as it is and gives it as it is afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from services.grading.domain import panel as panels
from services.grading.domain import times
from services.grading.domain.appraisal import (
    LIFECYCLE,
    AbsenceRecorded,
    AlreadyExtended,
    Appraisal,
    AppraisalChanged,
    AppraisalDeferred,
    Cause,
    Injury,
    InjuryKind,
    Level,
    Opinion,
    Specialist,
    State,
)
from services.grading.domain.law import ABSENCE, STABLE, provision_of
from services.grading.domain.times import Days
from services.kernel.law import Finding, Outcome, facts
from services.kernel.problems import Malformed


def open_first(
    appraisal_id: str, injury: Injury, day: date, now: datetime, days: Days
) -> Appraisal:
    """The first appraisal of a confirmed injury; its time limit runs from this day."""
    return Appraisal(
        id=appraisal_id,
        claim=injury.claim,
        level=Level.FIRST,
        state=State.OPENED,
        due_date=times.conclusion_due(day, days),
        create_time=now,
    )


def open_next(
    appraisal_id: str,
    previous: Appraisal,
    level: Level,
    *,
    asked: date,
    received: date | None,
    now: datetime,
    days: Days,
) -> Appraisal:
    """A re-appraisal or a review; raises what stands against it."""
    finding = times.check_follows(previous, level, asked, received, days)
    return Appraisal(
        id=appraisal_id,
        claim=previous.claim,
        level=level,
        state=State.OPENED,
        due_date=times.conclusion_due(asked, days),
        create_time=now,
        previous=previous.name,
        findings=(finding,),
    )


def draw_panel(appraisal: Appraisal, finding: Finding, day: date) -> Appraisal:
    """A panel was drawn. Raises AppraisalDeferred before the day it was deferred to."""
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
    """A member of the panel gave an opinion."""
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "record_opinion"))


def conclude(
    appraisal: Appraisal,
    read_revision: int,
    *,
    injury: Injury,
    panel: Sequence[Specialist],
    opinions: Sequence[Opinion],
    day: date,
    days: Days,
) -> Appraisal:
    """The committee concludes on its panel's opinions.

    `read_revision` is the revision that it has read; raises AppraisalChanged for another one, and
    OpinionsMissing.
    """
    state = LIFECYCLE.after(appraisal.state, "conclude")
    if read_revision != appraisal.revision:
        raise AppraisalChanged(field="revision", held=appraisal.revision, read=read_revision)
    decision = panels.decide(panel, opinions, appraisal.level, days.law)
    further = [times.on_time(appraisal.due_date, day, days), times.service(day, days)]
    if injury.accident_date is not None:
        stable = times.stability(injury.accident_date, decision.heals, day, days.law)
        further += [stable] if stable is not None else []
    if appraisal.level is Level.REVIEW:
        further.append(times.effect(day, days.law))
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
    day: date,
    days: Days,
) -> Appraisal:
    """Not yet stable: a later day, from which the time limit runs anew [assumed]."""
    state = LIFECYCLE.after(appraisal.state, "defer")
    if until <= day:
        raise Malformed.of("until_date", f"write a day after {day}")
    times.check_deferral(until, kind, accident, days.law)
    due = times.conclusion_due(until, days)
    finding = Finding(
        STABLE,
        Outcome.NOT_MET,
        f"The condition is not stable; the appraisal waits until {until}, its limit is {due}.",
        f"伤情尚未相对稳定, 鉴定延期至 {until}, 办理期限至 {due}。",
        inputs=facts(defer_date=day, injury_kind=kind.name.lower() if kind else "not given"),
        outputs=facts(not_before_date=until, due_date=due),
        parameters=(days.law.value("conclusion_days").version,),
    )
    return _changed(
        appraisal,
        state=state,
        not_before=until,
        due_date=due,
        findings=(*appraisal.findings, finding),
    )


def extend(appraisal: Appraisal, days: Days) -> Appraisal:
    """A complex case gets more time, once."""
    state = LIFECYCLE.after(appraisal.state, "extend")
    if appraisal.extended:
        raise AlreadyExtended(due=appraisal.due_date)
    due = times.extended_due(appraisal.due_date, days)
    value = days.law.value("conclusion_extension_days")
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
    appraisal: Appraisal, examination: date, day: date, days: Days, *, excused: bool
) -> Appraisal:
    """The worker did not come; so many absences without a reason end the procedure."""
    state = LIFECYCLE.after(appraisal.state, "record_absence")
    if examination > day:
        raise Malformed.of("examination_date", f"write the day of the examination, {day} at most")
    missed = ("examination_date", str(examination))
    if any(one.provision == ABSENCE and missed in one.inputs for one in appraisal.findings):
        raise AbsenceRecorded(field="examination_date", examination=examination)
    value = days.law.value("absences")
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
    counted = _changed(
        appraisal, state=state, absence_count=count, findings=(*appraisal.findings, finding)
    )
    return (
        replace(_end(counted, Cause.WORKER_ABSENT), revision=counted.revision) if over else counted
    )


def withdraw(appraisal: Appraisal) -> Appraisal:
    """There is nothing to appraise any more, because the determination was withdrawn."""
    return _end(appraisal, Cause.DETERMINATION_WITHDRAWN)


def reopen(appraisal: Appraisal, day: date, days: Days) -> Appraisal:
    """An appraisal that ended goes on; absences and the time limit begin anew."""
    return _changed(
        appraisal,
        state=LIFECYCLE.after(appraisal.state, "reopen"),
        due_date=times.conclusion_due(day, days),
        not_before=None,
        extended=False,
        absence_count=0,
        cause=None,
    )


def tell_again(appraisal: Appraisal) -> Appraisal:
    """A conclusion that stands is told once more, under a new revision."""
    return _changed(appraisal)


def _end(appraisal: Appraisal, cause: Cause) -> Appraisal:
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "end"), cause=cause)


def _changed(appraisal: Appraisal, **changes: object) -> Appraisal:
    return replace(appraisal, revision=appraisal.revision + 1, **changes)  # type: ignore[arg-type]
