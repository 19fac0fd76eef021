"""The conclusion of an appraisal (鉴定结论): reached, served, corrected, revoked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum

from services.grading.domain import panels, times
from services.grading.domain.appraisals import (
    LIFECYCLE,
    Appraisal,
    Injury,
    Service,
    State,
)
from services.grading.domain.care import CareItem, care_dependence
from services.grading.domain.grades import Impairment, grade_of
from services.grading.domain.law import WRONG_CONCLUSION, provision_of
from services.grading.domain.panels import Opinion, Specialist
from services.grading.domain.problems import (
    AppraisalChanged,
    ConclusionContested,
    CorrectionChangesNothing,
)
from services.grading.domain.times import Days
from services.kernel.law import Finding, Outcome, facts
from services.kernel.problems import require_within
from services.kernel.scheme import AppraisalLevel


class CorrectionCode(Enum):
    """What is wrong with a conclusion; numbers as in the proto."""

    WRONG_ITEM = 1
    WRONG_STANDARD = 2
    WRONG_SCOPE = 3


CORRECTION_CODES_ZH = {
    CorrectionCode.WRONG_ITEM: "条目适用错误",
    CorrectionCode.WRONG_STANDARD: "标准适用错误",
    CorrectionCode.WRONG_SCOPE: "鉴定范围错误",
}


@dataclass(frozen=True)
class Correction:
    """What the committee states in the place of a wrong conclusion, and what was wrong with it."""

    code: CorrectionCode
    reason: str
    impairments: tuple[Impairment, ...]
    care_items: frozenset[CareItem]


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
    _require_read(appraisal, read_revision)
    day = days.day
    decision = panels.decide(panel, opinions, appraisal.level, days.law, day)
    further = [times.on_time(appraisal.due_date, day, days), times.serve_by(day, days)]
    if injury.accident_date is not None:
        stable = times.stability(injury.accident_date, decision.heals, day, days)
        further += [stable] if stable is not None else []
    if appraisal.level is AppraisalLevel.REVIEW:
        further.append(times.effect(day, days))
    return replace(
        appraisal,
        state=state,
        grade=decision.grade,
        care_dependence=decision.care_dependence,
        conclude_date=day,
        serve_due_date=times.serve_day(day, days),
        conclusion_number=1,
        findings=(*appraisal.findings, *decision.findings, *further),
        revision=appraisal.revision + 1,
    )


def serve(appraisal: Appraisal, service: Service, days: Days) -> Appraisal:
    """Record the service of the conclusion in force.

    One that was corrected is served from the day of the correction on. Raises OutOfRange for an
    earlier day, or one in the future.
    """
    state = LIFECYCLE.after(appraisal.state, "serve")
    reached = appraisal.correct_date or appraisal.conclude_date
    assert reached is not None
    assert appraisal.serve_due_date is not None
    require_within("serve_date", service.day, reached, days.day)
    late = service.day > appraisal.serve_due_date
    value = days.value("conclusion_service_days")
    who = service.recipient.name.lower()
    who_zh = {"worker": "本人", "platform": "平台企业"}[who]
    last = times.re_appraisal_last_day(service.day, days)
    finding = Finding(
        provision_of(value),
        Outcome.NOT_MET if late else Outcome.MET,
        f"Served on the {who} on {service.day}, {'after' if late else 'within'} the time limit of "
        f"{appraisal.serve_due_date}; the last day to apply for a re-appraisal is {last}.",
        f"于 {service.day} 送达{who_zh}, {'超过' if late else '未超过'}送达期限 "
        f"{appraisal.serve_due_date}; 申请再次鉴定的期限至 {last}。",
        inputs=facts(
            recipient=service.recipient,
            means=service.means,
            serve_date=service.day,
            conclusion=appraisal.conclusion_number,
        ),
        outputs=facts(last_day=last),
        parameters=(value.version, days.value("re_appraisal_days").version),
    )
    return replace(
        appraisal,
        state=state,
        findings=(*appraisal.findings, finding),
        revision=appraisal.revision + 1,
    )


def correct(
    appraisal: Appraisal,
    read_revision: int,
    correction: Correction,
    *,
    followers: Collection[Appraisal],
    days: Days,
) -> Appraisal:
    """Correct a gravely wrong conclusion; it counts from the day of the wrong one.

    `followers` are the appraisals of this conclusion. The standard is that of the day of the
    conclusion. Raises AppraisalChanged, ConclusionContested, CorrectionChangesNothing, and as
    `grades.grade_of` does.
    """
    state = LIFECYCLE.after(appraisal.state, "correct")
    _require_read(appraisal, read_revision)
    _require_in_force(appraisal, followers)
    concluded = appraisal.conclude_date
    assert concluded is not None
    graded = grade_of(correction.impairments, appraisal.level, days.law, concluded)
    care, care_finding = care_dependence(correction.care_items, days.law, concluded)
    if (graded.grade, care) == (appraisal.grade, appraisal.care_dependence):
        raise CorrectionChangesNothing(grade=graded.grade)
    code, serve_day = correction.code, times.serve_day(days.day, days)
    finding = Finding(
        WRONG_CONCLUSION.on(days.day),
        Outcome.MET,
        f"Grade {appraisal.grade} is corrected to grade {graded.grade} "
        f"({code.name.lower().replace('_', ' ')}); it counts from {concluded} and is to be served "
        f"by {serve_day}.",
        f"原结论 {_grade_zh(appraisal.grade)} 更正为 {_grade_zh(graded.grade)} "
        f"({CORRECTION_CODES_ZH[code]}); 自 {concluded} 起适用, 应于 {serve_day} 前送达。",
        inputs=facts(grade=appraisal.grade, care_dependence=appraisal.care_dependence, code=code),
        outputs=facts(grade=graded.grade, care_dependence=care, correct_date=days.day),
    )
    return replace(
        appraisal,
        state=state,
        grade=graded.grade,
        care_dependence=care,
        correct_date=days.day,
        serve_due_date=serve_day,
        conclusion_number=appraisal.conclusion_number + 1,
        findings=(*appraisal.findings, finding, *graded.findings, care_finding),
        revision=appraisal.revision + 1,
    )


def revoke(
    appraisal: Appraisal, read_revision: int, *, followers: Collection[Appraisal], day: date
) -> Appraisal:
    """Revoke a conclusion that was obtained by fraud: it counts as if it had never been.

    Raises AppraisalChanged and ConclusionContested.
    """
    state = LIFECYCLE.after(appraisal.state, "revoke")
    _require_read(appraisal, read_revision)
    _require_in_force(appraisal, followers)
    finding = Finding(
        WRONG_CONCLUSION.on(day),
        Outcome.MET,
        f"The conclusion of {appraisal.conclude_date} is revoked, because it was obtained by "
        f"fraud; the injury may be appraised again on application.",
        f"{appraisal.conclude_date} 的结论系骗取, 予以撤销; 可重新申请鉴定。",
        inputs=facts(grade=appraisal.grade, care_dependence=appraisal.care_dependence),
        outputs=facts(revoke_date=day),
    )
    return replace(
        appraisal,
        state=state,
        findings=(*appraisal.findings, finding),
        revision=appraisal.revision + 1,
    )


def republish(appraisal: Appraisal) -> Appraisal:
    """Give an unchanged conclusion a new revision, so that consumers take it again."""
    return replace(appraisal, revision=appraisal.revision + 1)


def _require_read(appraisal: Appraisal, read_revision: int) -> None:
    if read_revision != appraisal.revision:
        raise AppraisalChanged(field="revision", current=appraisal.revision, read=read_revision)


def _require_in_force(appraisal: Appraisal, followers: Collection[Appraisal]) -> None:
    """A conclusion that a re-appraisal has replaced is not in force."""
    for follower in followers:
        if follower.level is AppraisalLevel.RE_APPRAISAL and follower.state is State.CONCLUDED:
            raise ConclusionContested(appraisal=appraisal.name, re_appraisal=follower.name)


def _grade_zh(grade: int) -> str:
    return f"{grade} 级" if grade else "未达等级"
