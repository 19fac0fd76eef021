"""Days of an appraisal: time limits, when it can be asked for again, when an injury is stable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from services.grading.domain.appraisal import (
    Appraisal,
    DeferralTooShort,
    InjuryKind,
    Level,
    LevelWrong,
    ReAppraisalFinal,
    ReAppraisalTooLate,
    ReviewTooEarly,
    State,
    listed,
)
from services.grading.domain.law import RE_APPRAISAL, REVIEW, STABLE, Law, provision_of
from services.kernel.law import Finding, Outcome, facts
from services.kernel.periods import Month, birthday
from services.kernel.problems import Malformed
from services.kernel.workdays import WorkCalendar


@dataclass(frozen=True)
class Days:
    """The law and the working-day calendar that days are counted by."""

    law: Law
    calendar: WorkCalendar

    def after(self, day: date, parameter: str) -> date:
        """So many calendar days later; day 1 is the day after, the last one a working day."""
        return self.calendar.next_working(day + timedelta(days=self.law.count(parameter)))


def conclusion_due(start: date, days: Days) -> date:
    """The last day for the conclusion of an appraisal opened, or to go on, on `start`."""
    return days.after(start, "conclusion_days")


def extended_due(due: date, days: Days) -> date:
    """The last day for the conclusion of a complex case."""
    return days.after(due, "conclusion_extension_days")


def on_time(due: date, concluded: date, days: Days) -> Finding:
    """Whether the conclusion came within its time limit. A late one is valid all the same."""
    late = concluded > due
    value = days.law.value("conclusion_days")
    return Finding(
        provision_of(value),
        Outcome.NOT_MET if late else Outcome.MET,
        f"Concluded on {concluded}, {'after' if late else 'within'} the time limit of {due}.",
        f"于 {concluded} 作出结论, {'超过' if late else '未超过'}办理期限 {due}。",
        inputs=facts(due_date=due, conclude_date=concluded),
        parameters=(value.version,),
    )


def service(concluded: date, days: Days) -> Finding:
    """Until when the conclusion is served on worker and platform; days to object run from then."""
    value = days.law.value("conclusion_service_days")
    last = days.after(concluded, "conclusion_service_days")
    return Finding(
        provision_of(value),
        Outcome.CALCULATED,
        f"The conclusion is to be served by {last}; the days to ask again run from its receipt.",
        f"结论应于 {last} 前送达; 申请再次鉴定的期限自收到之日起算。",
        inputs=facts(conclude_date=concluded),
        outputs=facts(serve_date=last),
        parameters=(value.version,),
    )


def stable_from(accident: date, heals: Iterable[str], law: Law) -> date:
    """The day from which the slowest of these kinds of injury is usually stable."""
    table = law.table("deferral_months")
    months = max((int(table[kind]) for kind in heals), default=0)
    return months_after(accident, months)


def stability(accident: date, heals: Iterable[str], concluded: date, law: Law) -> Finding | None:
    """Whether the usual healing time has passed; None if the injuries have none.

    The usual time does not bind the committee, which sees the person: an earlier conclusion is
    left to its judgement and marked.
    """
    kinds = sorted(heals)
    if not kinds:
        return None
    first = stable_from(accident, kinds, law)
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
        inputs=facts(accident_date=accident, heals=listed(kinds), conclude_date=concluded),
        outputs=facts(stable_date=first),
        parameters=(law.value("deferral_months").version,),
    )


def check_deferral(until: date, kind: InjuryKind | None, accident: date | None, law: Law) -> None:
    """Refuse a deferral to a day before the injury is usually stable."""
    if kind is None or accident is None:
        return
    name = kind.name.lower()
    first = stable_from(accident, [name], law)
    if until < first:
        raise DeferralTooShort(
            field="until_date",
            injury=name.replace("_", " "),
            months=law.table("deferral_months")[name],
            earliest=first,
        )


def re_appraisal_last_day(received: date, days: Days) -> date:
    """The last day to ask for a re-appraisal of a conclusion received on a day."""
    return days.after(received, "re_appraisal_days")


def review_first_day(concluded: date, law: Law) -> date:
    """The first day on which a review appraisal may be asked for."""
    return birthday(concluded, law.count("review_years"))


def check_follows(
    previous: Appraisal, level: Level, asked: date, received: date | None, days: Days
) -> Finding:
    """Whether an appraisal of this level may follow; raises what stands against it."""
    if previous.state is not State.CONCLUDED or level is Level.FIRST:
        raise LevelWrong(field="level", level=level.name, previous=previous.name)
    concluded = previous.conclude_date
    assert concluded is not None
    for field, day in (("application_date", asked), ("receive_date", received)):
        if day is not None and day < concluded:
            raise Malformed.of(field, f"write a day from the conclusion on, {concluded}")
    review = review_first_day(concluded, days.law)
    if level is Level.REVIEW:
        if asked < review:
            raise ReviewTooEarly(first=review)
        return Finding(
            REVIEW,
            Outcome.MET,
            f"Asked for on {asked}, a year or more after the conclusion of {concluded}.",
            f"于 {asked} 申请, 距 {concluded} 的结论已满一年。",
            inputs=facts(conclude_date=concluded, application_date=asked),
            outputs=facts(first_day=review),
            parameters=(days.law.value("review_years").version,),
        )
    if previous.level is Level.RE_APPRAISAL:
        raise ReAppraisalFinal(review=review)
    last = re_appraisal_last_day(received or concluded, days)
    if asked > last:
        raise ReAppraisalTooLate(last=last, review=review)
    return Finding(
        RE_APPRAISAL,
        Outcome.MET,
        f"Asked for on {asked}, within the time limit of {last}.",
        f"于 {asked} 申请, 未超过期限 {last}。",
        inputs=facts(receive_date=received or concluded, application_date=asked),
        outputs=facts(last_day=last),
        parameters=(days.law.value("re_appraisal_days").version,),
    )


def effect(concluded: date, law: Law) -> Finding:
    """From which month on a review's grade counts; one-off sums are neither repeated nor taken."""
    month = Month.of(concluded).plus(law.count("effect_months"))
    return Finding(
        REVIEW,
        Outcome.CALCULATED,
        f"The new grade counts from {month} on; one-off sums are not paid again nor taken back.",
        f"新等级自 {month} 起适用; 一次性待遇不再重复支付, 也不追回。",
        inputs=facts(conclude_date=concluded),
        outputs=facts(first_month=month),
        parameters=(law.value("effect_months").version,),
    )


def months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last day of that month if it has no such day."""
    month = Month.of(day).plus(months)
    return min(month.last_day, month.first_day + timedelta(days=day.day - 1))
