"""Days of an appraisal: time limits, when another one may follow, when an injury is stable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from services.grading.domain.appraisals import Appraisal, InjuryKind, State
from services.grading.domain.law import REVIEW_EFFECT, STABLE, provision_of
from services.grading.domain.problems import (
    DeferralTooShort,
    LevelWrong,
    ReAppraisalFinal,
    ReAppraisalTooLate,
    ReviewTooEarly,
)
from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.parameters import Value
from services.kernel.periods import Month, birthday
from services.kernel.problems import Malformed
from services.kernel.scheme import AppraisalLevel
from services.kernel.workdays import WorkCalendar


@dataclass(frozen=True)
class Days:
    """How days are counted: by the law of a place as in force on `day`, and by working days.

    `day` is the day on which the panel or the committee acts.
    """

    law: Law
    day: date
    calendar: WorkCalendar

    def value(self, parameter: str) -> Value:
        """A parameter's value in force."""
        return self.law.on(parameter, self.day)

    def after(self, start: date, parameter: str) -> date:
        """The last day of a time limit of calendar days.

        Day 1 is the day after `start`; a limit that ends on a rest day ends on the next working
        day.
        """
        days = self.law.count(parameter, self.day)
        return self.calendar.next_working(start + timedelta(days=days))


def conclusion_due(start: date, days: Days) -> date:
    """The last day for the conclusion of an appraisal applied for, or resumed, on `start`."""
    return days.after(start, "conclusion_days")


def documents_request_day(application_date: date, days: Days) -> date:
    """The last day to ask for missing documents, in working days from the application."""
    count = days.law.count("documents_request_days", days.day)
    return days.calendar.plus(application_date, count)


def moved_due(due: date, until: date, days: Days) -> date:
    """The last day for the conclusion when the procedure rests from today until a later day."""
    return days.calendar.next_working(due + (until - days.day))


def extended_due(due: date, days: Days) -> date:
    """The last day for the conclusion of a complex case."""
    return days.after(due, "conclusion_extension_days")


def on_time(due: date, concluded: date, days: Days) -> Finding:
    """Whether the conclusion came within its time limit; a late one is valid all the same."""
    late = concluded > due
    value = days.value("conclusion_days")
    return Finding(
        provision_of(value),
        Outcome.NOT_MET if late else Outcome.MET,
        f"Concluded on {concluded}, {'after' if late else 'within'} the time limit of {due}.",
        f"于 {concluded} 作出结论, {'超过' if late else '未超过'}办理期限 {due}。",
        inputs=facts(due_date=due, conclude_date=concluded),
        parameters=(value.version,),
    )


def serve_day(concluded: date, days: Days) -> date:
    """The last day to serve a conclusion."""
    return days.after(concluded, "conclusion_service_days")


def serve_by(concluded: date, days: Days) -> Finding:
    """The last day to serve the conclusion on worker and platform."""
    value = days.value("conclusion_service_days")
    last = serve_day(concluded, days)
    return Finding(
        provision_of(value),
        Outcome.CALCULATED,
        f"The conclusion is to be served by {last}. It is contested by an application for a "
        f"re-appraisal alone, within the days that run from its service; neither reconsideration "
        f"nor a lawsuit is open.",
        f"结论应于 {last} 前送达; 不服的只能自收到之日起在期限内申请再次鉴定, "
        f"不能申请行政复议或提起行政诉讼。",
        inputs=facts(conclude_date=concluded),
        outputs=facts(serve_date=last),
        parameters=(value.version,),
    )


def stable_from(accident: date, heals: Iterable[str], days: Days) -> date:
    """The day from which the slowest of these kinds of injury is usually stable."""
    table = days.law.table("deferral_months", days.day)
    months = max((int(table[kind]) for kind in heals), default=0)
    return months_after(accident, months)


def stability(accident: date, heals: Iterable[str], concluded: date, days: Days) -> Finding | None:
    """Whether the usual healing time has passed; None if the injuries have none.

    The usual time does not bind the committee, which examines the person: an earlier conclusion is
    valid, and its finding is marked for a person to review.
    """
    kinds = sorted(heals)
    if not kinds:
        return None
    first = stable_from(accident, kinds, days)
    early = concluded < first
    if early:
        text = f"The usual healing time ends on {first}; the committee found the state stable."
        text_zh = f"一般稳定期至 {first}; 委员会认定伤情已相对稳定, 请复核。"
    else:
        text = f"The usual healing time ended on {first}."
        text_zh = f"一般稳定期已于 {first} 届满。"
    return Finding(
        STABLE,
        Outcome.UNCLEAR if early else Outcome.MET,
        text,
        text_zh,
        inputs=facts(accident_date=accident, heals=", ".join(kinds), conclude_date=concluded),
        outputs=facts(stable_date=first),
        parameters=(days.value("deferral_months").version,),
    )


def require_stable(until: date, kind: InjuryKind | None, accident: date | None, days: Days) -> None:
    """Refuse a deferral to a day before the injury is usually stable; raises DeferralTooShort."""
    if kind is None or accident is None:
        return
    name = kind.name.lower()
    first = stable_from(accident, [name], days)
    if until < first:
        raise DeferralTooShort(
            field="until_date",
            injury=kind,
            months=days.law.table("deferral_months", days.day)[name],
            earliest=first,
        )


def re_appraisal_last_day(serve_date: date, days: Days) -> date:
    """The last day to apply for a re-appraisal of a conclusion served on a day."""
    return days.after(serve_date, "re_appraisal_days")


def review_first_day(concluded: date, days: Days) -> date:
    """The first day to apply for a review appraisal."""
    return birthday(concluded, days.law.count("review_years", days.day))


def require_may_follow(
    previous: Appraisal,
    level: AppraisalLevel,
    application_date: date,
    serve_date: date | None,
    days: Days,
) -> Finding:
    """Refuse an appraisal of this level that may not follow; the finding says why it may.

    `serve_date` is the day on which the conclusion was served on the applicant; before it the days
    for a re-appraisal have not begun. Raises LevelWrong, ReviewTooEarly, ReAppraisalFinal,
    ReAppraisalTooLate, and Malformed for a day before the conclusion.
    """
    if previous.state is not State.CONCLUDED or level is AppraisalLevel.FIRST:
        raise LevelWrong(field="level", level=level, previous=previous.name)
    concluded = previous.conclude_date
    assert concluded is not None
    if application_date < concluded:
        raise Malformed.of(
            "application_date",
            "BEFORE_CONCLUSION",
            "write {first}, the day of the conclusion, or later",
            "请填写不早于结论日期 {first} 的日期",
            first=concluded,
        )
    review = review_first_day(concluded, days)
    if level is AppraisalLevel.REVIEW:
        return _review(concluded, application_date, review, days)
    if previous.level is AppraisalLevel.RE_APPRAISAL:
        raise ReAppraisalFinal(review=review)
    value = days.value("re_appraisal_days")
    if serve_date is None:
        return Finding(
            provision_of(value),
            Outcome.MET,
            f"Applied for on {application_date}, before the service of the conclusion is recorded.",
            f"于 {application_date} 申请, 结论送达尚未登记, 期限未起算。",
            inputs=facts(application_date=application_date),
            parameters=(value.version,),
        )
    last = re_appraisal_last_day(serve_date, days)
    if application_date > last:
        raise ReAppraisalTooLate(last=last, review=review)
    return Finding(
        provision_of(value),
        Outcome.MET,
        f"Applied for on {application_date}, within the time limit of {last}.",
        f"于 {application_date} 申请, 未超过期限 {last}。",
        inputs=facts(serve_date=serve_date, application_date=application_date),
        outputs=facts(last_day=last),
        parameters=(value.version,),
    )


def _review(concluded: date, application_date: date, first: date, days: Days) -> Finding:
    if application_date < first:
        raise ReviewTooEarly(first=first)
    value = days.value("review_years")
    return Finding(
        provision_of(value),
        Outcome.MET,
        f"Applied for on {application_date}, a year or more after the conclusion of {concluded}.",
        f"于 {application_date} 申请, 距 {concluded} 的结论已满一年。",
        inputs=facts(conclude_date=concluded, application_date=application_date),
        outputs=facts(first_day=first),
        parameters=(value.version,),
    )


def effect(concluded: date, days: Days) -> Finding:
    """The first month in which a review's grade counts; one-off sums are not paid again."""
    month = Month.of(concluded).plus(days.law.count("effect_months", days.day))
    return Finding(
        REVIEW_EFFECT,
        Outcome.CALCULATED,
        f"The new grade counts from {month} on; one-off sums are not paid again nor taken back.",
        f"新等级自 {month} 起适用; 一次性待遇不再重复支付, 也不追回。",
        inputs=facts(conclude_date=concluded),
        outputs=facts(first_month=month),
        parameters=(days.value("effect_months").version,),
    )


def months_after(day: date, months: int) -> date:
    """The same day `months` later, or the last day of that month if it has no such day."""
    month = Month.of(day).plus(months)
    return min(month.last_day, month.first_day + timedelta(days=day.day - 1))
