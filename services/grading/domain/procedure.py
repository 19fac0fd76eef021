"""The procedure of an appraisal: each step takes the appraisal before it and returns the next."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from services.grading.domain import times
from services.grading.domain.appraisals import LIFECYCLE, Appraisal, Cause, InjuryKind
from services.grading.domain.law import ADJOURNMENT, STABLE, provision_of
from services.grading.domain.panels import Exclusion
from services.grading.domain.problems import (
    AbsenceRecorded,
    AlreadyExtended,
    AppraisalDeferred,
    NothingToAppraise,
    NotOnPanel,
    NotResumable,
)
from services.grading.domain.times import Days
from services.kernel.law import Finding, Outcome, facts
from services.kernel.problems import Malformed


class AbsenceCode(Enum):
    """What kept the panel from its examination; numbers as in the proto."""

    ABSENT = 1
    REFUSED = 2
    DECEIT = 3


@dataclass(frozen=True)
class Absence:
    """An examination that did not take place; `excused` if there was a good reason."""

    examination: date
    code: AbsenceCode = AbsenceCode.ABSENT
    excused: bool = False


_WHAT = {
    AbsenceCode.ABSENT: "Absent",
    AbsenceCode.REFUSED: "Refused to be examined",
    AbsenceCode.DECEIT: "Deceived the panel",
}
_WHAT_ZH = {
    AbsenceCode.ABSENT: "缺席",
    AbsenceCode.REFUSED: "拒绝配合鉴定",
    AbsenceCode.DECEIT: "弄虚作假",
}
_CAUSES = {
    AbsenceCode.ABSENT: Cause.WORKER_ABSENT,
    AbsenceCode.REFUSED: Cause.WORKER_REFUSED,
    AbsenceCode.DECEIT: Cause.DECEIT,
}


def exclude(appraisal: Appraisal, exclusion: Exclusion, panel: Collection[str]) -> Appraisal:
    """Exclude a specialist; `panel` are the names of the members, if there is one, who then go.

    Raises NotOnPanel if a panel is drawn without the specialist: there is nothing to exclude from.
    """
    if panel and exclusion.name not in panel:
        raise NotOnPanel(
            field="specialist",
            specialist=exclusion.name,
            appraisal=appraisal.name,
            panel=tuple(panel),
        )
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "exclude"))


def recuse(appraisal: Appraisal, finding: Finding) -> Appraisal:
    """A member steps down, and another one was drawn: the panel goes on, explained by `finding`."""
    return _changed(
        appraisal,
        state=LIFECYCLE.after(appraisal.state, "recuse"),
        draw=appraisal.draw + 1,
        findings=(*appraisal.findings, finding),
    )


def release(appraisal: Appraisal, finding: Finding) -> Appraisal:
    """A member steps down, and nobody is left to draw: the panel waits for a new draw."""
    return _changed(
        appraisal,
        state=LIFECYCLE.after(appraisal.state, "exclude"),
        findings=(*appraisal.findings, finding),
    )


def require_may_draw(appraisal: Appraisal, day: date) -> None:
    """Refuse a draw in another state, or before a deferral ends."""
    LIFECYCLE.after(appraisal.state, "draw_panel")
    if appraisal.not_before is not None and day < appraisal.not_before:
        raise AppraisalDeferred(until=appraisal.not_before)


def draw_panel(appraisal: Appraisal, finding: Finding, day: date) -> Appraisal:
    """Draw the panel, explained by `finding`; raises AppraisalDeferred before a deferral ends."""
    require_may_draw(appraisal, day)
    return _changed(
        appraisal,
        state=LIFECYCLE.after(appraisal.state, "draw_panel"),
        draw=appraisal.draw + 1,
        findings=(*appraisal.findings, finding),
    )


def record_opinion(appraisal: Appraisal) -> Appraisal:
    """Record an opinion of a member of the panel."""
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "record_opinion"))


def adjourn(appraisal: Appraisal, until: date, days: Days) -> Appraisal:
    """Adjourn the examination for a further check; the time limit moves by these days.

    Raises Malformed for a day that is not later.
    """
    state = LIFECYCLE.after(appraisal.state, "adjourn")
    if until <= days.day:
        raise Malformed.of(
            "until_date",
            "DAY_TOO_EARLY",
            "write a day after {day}",
            "请填写晚于 {day} 的日期",
            day=days.day,
        )
    due = times.moved_due(appraisal.due_date, until, days)
    finding = Finding(
        ADJOURNMENT.on(days.day),
        Outcome.CALCULATED,
        f"Adjourned until {until} for a further check; the time limit moves from "
        f"{appraisal.due_date} to {due}.",
        f"因需进一步检查, 休会至 {until}; 办理期限由 {appraisal.due_date} 顺延至 {due}。",
        inputs=facts(adjourn_date=days.day, due_date=appraisal.due_date),
        outputs=facts(until_date=until, due_date=due),
    )
    return _changed(appraisal, state=state, due_date=due, findings=(*appraisal.findings, finding))


def defer(
    appraisal: Appraisal,
    *,
    until: date,
    kind: InjuryKind | None,
    accident: date | None,
    days: Days,
) -> Appraisal:
    """Wait for a stable condition until a later day; the time limit moves by these days.

    Raises Malformed for a day that is not later, and DeferralTooShort.
    """
    state = LIFECYCLE.after(appraisal.state, "defer")
    if until <= days.day:
        raise Malformed.of(
            "until_date",
            "DAY_TOO_EARLY",
            "write a day after {day}",
            "请填写晚于 {day} 的日期",
            day=days.day,
        )
    times.require_stable(until, kind, accident, days)
    due = times.moved_due(appraisal.due_date, until, days)
    finding = Finding(
        STABLE,
        Outcome.NOT_MET,
        f"The condition is not stable; the appraisal waits until {until}, its limit is {due}.",
        f"伤情尚未相对稳定, 鉴定延期至 {until}, 办理期限至 {due}。",
        inputs=facts(defer_date=days.day, injury_kind=kind.name.lower() if kind else "not given"),
        outputs=facts(not_before_date=until, due_date=due),
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


def record_absence(appraisal: Appraisal, absence: Absence, days: Days) -> Appraisal:
    """Record what kept the panel from its examination; without a good reason that ends it.

    Raises AbsenceRecorded, and Malformed for a day in the future or an excuse of a refusal.
    """
    state = LIFECYCLE.after(appraisal.state, "record_absence")
    if absence.examination > days.day:
        raise Malformed.of(
            "examination_date",
            "IN_THE_FUTURE",
            "write the day of the examination, {last} or earlier",
            "请填写检查日期, 不晚于 {last}",
            last=days.day,
        )
    if absence.excused and absence.code is not AbsenceCode.ABSENT:
        raise Malformed.leave_out(
            "excused",
            "ONLY_ABSENCE_IS_EXCUSED",
            "only not coming has a good reason",
            "只有缺席可以有正当理由",
        )
    missed = ("examination_date", str(absence.examination))
    if any(missed in past.inputs for past in appraisal.findings):
        raise AbsenceRecorded(field="examination_date", examination=absence.examination)
    value = days.value("absences")
    count = appraisal.absence_count + (0 if absence.excused else 1)
    over = count >= int(value.decimal) or absence.code is not AbsenceCode.ABSENT
    finding = Finding(
        provision_of(value),
        Outcome.MET if over else Outcome.NOT_MET,
        f"{_WHAT[absence.code]} on {absence.examination} "
        f"{'with' if absence.excused else 'without'} a good reason; {count} count"
        f"{', which ends the appraisal' if over else ''}.",
        f"{absence.examination} {'有' if absence.excused else '无'}正当理由"
        f"{_WHAT_ZH[absence.code]}; 累计 {count} 次{', 终止本次鉴定' if over else ''}。",
        inputs=facts(
            examination_date=absence.examination, code=absence.code, excused=absence.excused
        ),
        outputs=facts(absence_count=count),
        parameters=(value.version,),
    )
    recorded = _changed(
        appraisal, state=state, absence_count=count, findings=(*appraisal.findings, finding)
    )
    if not over:
        return recorded
    return replace(end(recorded, _CAUSES[absence.code]), revision=recorded.revision)


def end(appraisal: Appraisal, cause: Cause) -> Appraisal:
    """End the appraisal without a conclusion."""
    return _changed(appraisal, state=LIFECYCLE.after(appraisal.state, "end"), cause=cause)


def require_resumable(appraisal: Appraisal, newest: Appraisal, *, appraisable: bool) -> None:
    """Refuse to resume what the worker did not end, or what another appraisal has followed.

    Raises NotResumable and NothingToAppraise.
    """
    LIFECYCLE.after(appraisal.state, "resume")
    if appraisal.cause not in _CAUSES.values() or newest.name != appraisal.name:
        raise NotResumable(appraisal=appraisal.name)
    if not appraisable:
        raise NothingToAppraise(claim=appraisal.claim)


def resume(appraisal: Appraisal, days: Days) -> Appraisal:
    """Resume what claims ended and confirm again, or what was ended by mistake.

    The time limit restarts today [assumed].
    """
    return _changed(
        appraisal,
        state=LIFECYCLE.after(appraisal.state, "resume"),
        due_date=times.conclusion_due(days.day, days),
        not_before=None,
        extended=False,
        absence_count=0,
        cause=None,
    )


def _changed(appraisal: Appraisal, **changes: object) -> Appraisal:
    return replace(appraisal, revision=appraisal.revision + 1, **changes)  # type: ignore[arg-type]
