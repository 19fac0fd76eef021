"""Months in which the monthly benefits of a worker rest, because an appraisal was refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.benefits.domain import law as rules
from services.benefits.domain.award import WORKER
from services.benefits.domain.case import AppraisalEnd, Conclusion
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.findings import condition
from services.benefits.domain.segments import pause
from services.benefits.domain.stops import Event, stop_of_worker
from services.kernel.law import Finding, Outcome
from services.kernel.periods import Month


@dataclass(frozen=True)
class Rest:
    """Months without payment, up to but not including `until`; open without it."""

    since: Month
    until: Month | None
    findings: tuple[Finding, ...]


def rests(ends: Iterable[AppraisalEnd], conclusions: Sequence[Conclusion]) -> list[Rest]:
    """The months in which monthly benefits rest: from a refusal to the next conclusion.

    The month of the refusal is paid in full, and payment goes on in the month after the conclusion;
    the months between are not paid later. 工伤保险条例 art. 42.
    """
    months_at_rest = []
    for end in sorted(ends, key=lambda each: (each.end_date, each.appraisal)):
        stop = stop_of_worker(Event.REFUSED_APPRAISAL, end.end_date)
        if not end.is_refusal or stop.last_month is None:
            continue
        since, findings = stop.last_month.plus(1), (stop.finding,)
        later = [each.conclude_date for each in conclusions if each.conclude_date > end.end_date]
        if not later:
            months_at_rest.append(Rest(since, None, findings))
            continue
        until = Month.of(min(later)).plus(1)
        if since < until:
            months_at_rest.append(Rest(since, until, (*findings, _resumed(min(later), until))))
    return months_at_rest


def rested(entitlement: Entitlement, resting: Iterable[Rest]) -> Entitlement:
    """A monthly benefit of the worker without the months in which it rests."""
    segments, findings = entitlement.segments, entitlement.findings
    for rest in resting:
        paused = pause(segments, rest.since, rest.until, "rests: an appraisal was refused")
        if paused != segments:
            segments, findings = paused, (*findings, *rest.findings)
    return replace(entitlement, segments=segments, findings=findings)


def _resumed(concluded: date, first: Month) -> Finding:
    return condition(
        rules.STOP,
        Outcome.MET,
        f"An appraisal was concluded on {concluded}; the benefit is paid again from {first}.",
        f"已于 {concluded} 作出鉴定结论, 待遇自 {first} 起恢复发放。",
        inputs={"beneficiary": WORKER, "conclude_date": concluded},
        outputs={"first_month": first},
    )
