"""The plan of a case: what the law gives on the facts known, as entitlements.

The plan is recomputed with every new fact and every publication, and `reconcile` compares it with
the awards and payments. The order in which facts arrive therefore does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.benefits.domain import disability
from services.benefits.domain.award import WORKER
from services.benefits.domain.benefit_base import Base, benefit_base
from services.benefits.domain.case import Case, CaseState, Conclusion, Facts
from services.benefits.domain.death_plan import death_entitlements, once
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.expenses import treatment_allowance
from services.benefits.domain.indexation import adjustments, indexed
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.segments import Segment, amount_in, clip, merge
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import AppraisalLevel, CareDependence


@dataclass(frozen=True)
class Phase:
    """A grade and a dependence on care, from a month on."""

    grade: int
    care: CareDependence
    conclude_date: date

    @property
    def first_month(self) -> Month:
        """The month after the conclusion, from which monthly benefits follow it."""
        return Month.of(self.conclude_date).plus(1)


def entitlements(law: Law, facts: Facts, known: date) -> list[Entitlement]:
    """Everything due in a case under the law published by the day `known`."""
    case = facts.case
    if case.state is not CaseState.CONFIRMED:
        return []
    phases = phases_of(facts.conclusions)
    before_death = [
        phase
        for phase in phases
        if case.death_date is None or phase.conclude_date < case.death_date
    ]
    due = [
        *_treatment(law, case, before_death, known),
        *_disability(law, facts, before_death, known),
        *death_entitlements(law, facts, _grade(before_death), known),
    ]
    cut = (_up_to_fixed_end(entitlement, facts) for entitlement in due)
    return [
        replace(one, segments=clip(one.segments, one.last_month))
        for one in cut
        if one.last_month is None or one.last_month >= one.first_month
    ]


def phases_of(conclusions: Iterable[Conclusion]) -> list[Phase]:
    """The grades in force over time, oldest first.

    A re-appraisal replaces the conclusion before it, from the same month; a review opens a
    further phase.
    """
    phases: list[Phase] = []
    for one in sorted(conclusions, key=lambda each: (each.conclude_date, each.level.value)):
        if one.level is AppraisalLevel.RE_APPRAISAL and phases:
            last = phases.pop()
            phases.append(Phase(one.grade, one.care, last.conclude_date))
        else:
            phases.append(Phase(one.grade, one.care, one.conclude_date))
    return phases


def _treatment(law: Law, case: Case, phases: Sequence[Phase], known: date) -> list[Entitlement]:
    """The treatment allowance, once the treatment has ended in a conclusion or a death."""
    if not law.is_on("treatment_allowance", case.accident_date, case.pooling_area):
        return []
    ends = [phases[0].conclude_date] if phases else []
    ends += [case.death_date] if case.death_date and not phases else []
    if not ends:
        return []
    base = benefit_base(law, case.accident_date, case.pooling_area, known)
    computed = treatment_allowance(law, base, case.accident_date, ends[0], case.pooling_area)
    return once(
        BenefitKind.TREATMENT_ALLOWANCE,
        WORKER,
        computed,
        Month.of(ends[0]),
        base,
        event=case.accident_date,
    )


def _disability(
    law: Law, facts: Facts, phases: Sequence[Phase], known: date
) -> Iterable[Entitlement]:
    if not phases:
        return
    case, first = facts.case, phases[0]
    accident, where = case.accident_date, case.pooling_area
    base = benefit_base(law, accident, where, known)
    month = Month.of(first.conclude_date)
    grant = disability.disability_grant(law, base, first.grade, accident, where)
    yield from once(
        BenefitKind.DISABILITY_GRANT, WORKER, grant, month, base, event=case.accident_date
    )
    allowance = _allowance(law, facts, phases, base, known)
    if allowance is not None:
        yield allowance
    yield from _settlement(law, case, phases, base, allowance)
    care = _care(law, case, phases, base, known)
    if care is not None:
        yield care


def _allowance(
    law: Law, facts: Facts, phases: Sequence[Phase], base: Base, known: date
) -> Entitlement | None:
    """Disability allowance over all phases with grades 1 to 4, with every change of amount."""
    case = facts.case
    granting = [phase for phase in phases if phase.grade in disability.ALLOWANCE_GRADES]
    if not granting:
        return None
    where, first = case.pooling_area, granting[0].first_month
    months = {
        first,
        *(phase.first_month for phase in phases),
        *law.change_months("minimum_wage", where, first, known),
        *(Month.of(one.since) for one in adjustments(law, where, known)),
        *(since for since, _ in facts.pensions),
    }
    segments: list[Segment] = []
    findings: list[Finding] = []
    for month in sorted(one for one in months if one >= first):
        phase = next(one for one in reversed(phases) if one.first_month <= month)
        segment, because = _allowance_in(
            law, facts, phase, base, month=month, first=first, known=known
        )
        segments.append(segment)
        findings.extend(one for one in because if one not in findings)
    return Entitlement(
        BenefitKind.DISABILITY_ALLOWANCE,
        WORKER,
        merge(segments),
        _last_month(case, phases, granting),
        case.accident_date,
        tuple(findings),
        base.provisional,
    )


def _allowance_in(
    law: Law,
    facts: Facts,
    phase: Phase,
    base: Base,
    *,
    month: Month,
    first: Month,
    known: date,
) -> tuple[Segment, tuple[Finding, ...]]:
    case, where = facts.case, facts.case.pooling_area
    if phase.grade not in disability.ALLOWANCE_GRADES:
        return Segment(month, Fen(0), f"grade {phase.grade} after review"), ()
    share = law.on("disability_allowance_share", case.accident_date, where)
    granted = base.benefit_base.times(share.at(f"grade_{phase.grade}"))
    raised = indexed(
        law,
        granted,
        f"grade_{phase.grade}",
        first_month=first,
        month=month,
        where=where,
        known=known,
    )
    computed = disability.disability_allowance(
        law,
        base,
        phase.grade,
        case.accident_date,
        where=where,
        month=month,
        added=raised.amount - granted,
        known=known,
    )
    pension = next((sum_ for since, sum_ in reversed(facts.pensions) if since <= month), None)
    left = disability.after_pension(law, computed.amount, pension, month, where)
    reason = f"grade {phase.grade}"
    if raised.findings:
        reason += ", adjusted"
    if computed.amount > raised.amount:
        reason += ", raised to the minimum wage"
    if left.findings:
        reason += ", difference to the pension"
    return Segment(month, left.amount, reason), (
        *computed.findings,
        *raised.findings,
        *left.findings,
    )


def _settlement(
    law: Law,
    case: Case,
    phases: Sequence[Phase],
    base: Base,
    allowance: Entitlement | None,
) -> Iterable[Entitlement]:
    """The further one-off sum of the first phase that gives it; it is never paid twice."""
    where = case.pooling_area
    for index, phase in enumerate(phases):
        computed = disability.disability_settlement(
            law, base, phase.grade, case.accident_date, where
        )
        if not computed.amount:
            continue
        if index:
            paid = _allowance_before(allowance, phase.first_month)
            computed = disability.settlement_after_review(
                law, computed, paid, phase.conclude_date, where
            )
        month = Month.of(phase.conclude_date)
        yield from once(
            BenefitKind.DISABILITY_SETTLEMENT,
            WORKER,
            computed,
            month,
            base,
            event=case.accident_date,
        )
        return


def _allowance_before(allowance: Entitlement | None, month: Month) -> Fen:
    if allowance is None:
        return Fen(0)
    return total(
        amount_in(allowance.segments, allowance.last_month, one)
        for one in allowance.first_month.until(month)
    )


def _care(
    law: Law, case: Case, phases: Sequence[Phase], base: Base, known: date
) -> Entitlement | None:
    granting = [phase for phase in phases if phase.care is not CareDependence.NONE]
    if not granting:
        return None
    where, first = case.pooling_area, granting[0].first_month
    months = {
        *(phase.first_month for phase in phases),
        *(Month.of(one.since) for one in adjustments(law, where, known)),
    }
    segments: list[Segment] = []
    findings: list[Finding] = []
    for month in sorted(one for one in months if one >= first):
        phase = next(one for one in reversed(phases) if one.first_month <= month)
        computed = disability.care_allowance(law, base, phase.care, case.accident_date, where)
        key = f"care_{phase.care.name.lower()}"
        raised = indexed(
            law,
            computed.amount,
            key,
            first_month=first,
            month=month,
            where=where,
            known=known,
            care=phase.care,
        )
        segments.append(Segment(month, raised.amount, f"care {phase.care.name.lower()}"))
        because = (*computed.findings, *raised.findings)
        findings.extend(one for one in because if one not in findings)
    return Entitlement(
        BenefitKind.CARE_ALLOWANCE,
        WORKER,
        merge(segments),
        _last_month(case, phases, granting),
        case.accident_date,
        tuple(findings),
        base.provisional,
    )


def _last_month(case: Case, phases: Sequence[Phase], granting: Sequence[Phase]) -> Month | None:
    """The month of death, or the month of the review that ended the condition; else open."""
    ends = [] if case.death_date is None else [Month.of(case.death_date)]
    if granting[-1] is not phases[-1]:
        following = phases[phases.index(granting[-1]) + 1]
        ends.append(Month.of(following.conclude_date))
    return min(ends, default=None)


def _up_to_fixed_end(entitlement: Entitlement, facts: Facts) -> Entitlement:
    """The entitlement up to the last month that an officer has fixed."""
    fixed = facts.ended_by_officer.get((entitlement.kind, entitlement.beneficiary))
    if fixed is None or (entitlement.last_month is not None and entitlement.last_month <= fixed):
        return entitlement
    return replace(entitlement, last_month=fixed)


def _grade(phases: Sequence[Phase]) -> int | None:
    """The grade in force; None before a conclusion."""
    return phases[-1].grade if phases else None
