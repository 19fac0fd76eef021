"""The plan of a case: what the law gives on the facts known, as entitlements.

The plan is recomputed with every new fact and every publication, and `reconcile` compares it with
the awards and payments. The order in which facts arrive therefore does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from services.benefits.domain import disability, reviews
from services.benefits.domain.award import WORKER
from services.benefits.domain.benefit_base import Base, benefit_base
from services.benefits.domain.case import Case, CaseState, Facts
from services.benefits.domain.death_plan import (
    death_entitlements,
    once,
)
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.expenses import treatment_allowance
from services.benefits.domain.figures import earliest
from services.benefits.domain.findings import ExplainedAmount
from services.benefits.domain.indexation import adjustments, indexed
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.phases import (
    Phase,
    before_death,
    grade_in_force,
    phase_in,
    phases_of,
)
from services.benefits.domain.rests import rested, rests
from services.benefits.domain.segments import Segment, amount_in, clip, merge
from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.money import Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import CareDependence


def entitlements(law: Law, facts: Facts, known: date) -> list[Entitlement]:
    """Everything due in a case under the law published by the day `known`."""
    case = facts.case
    if case.state is not CaseState.CONFIRMED:
        return []
    concluded = before_death(case, phases_of(facts.conclusions))
    due = [
        *_treatment(law, case, concluded, known),
        *_disability(law, facts, concluded, known),
        *death_entitlements(law, facts, grade_in_force(concluded), known),
    ]
    cut = (_up_to_fixed_end(entitlement, facts) for entitlement in due)
    return [
        replace(one, segments=clip(one.segments, one.last_month))
        for one in cut
        if one.last_month is None or one.last_month >= one.first_month
    ]


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
    case = facts.case
    accident, where = case.accident_date, case.pooling_area
    base = benefit_base(law, accident, where, known)
    place, because = reviews.grant_over_reviews([phase.grade for phase in phases])
    granting = phases[place]
    if not case.is_relapse:
        grant = disability.disability_grant(law, base, granting.grade, accident, where)
        yield from once(
            BenefitKind.DISABILITY_GRANT,
            WORKER,
            replace(grant, findings=(*grant.findings, *because)),
            Month.of(granting.conclude_date),
            base,
            event=accident,
        )
    resting = rests(facts.ends, facts.conclusions)
    allowance = _allowance(law, facts, phases, base, known)
    if allowance is not None:
        allowance = rested(allowance, resting)
    settlement = next(iter(_settlement(law, case, phases, base, allowance)), None)
    if settlement is not None:
        yield _said(settlement, because, phases[0])
    if allowance is not None:
        reduced = _less_settlement(law, case, phases, allowance, settlement)
        yield _said(reduced, because, phases[0])
    care = _care(law, case, phases, base, known)
    if care is not None:
        yield rested(care, resting)


def _said(entitlement: Entitlement, because: tuple[Finding, ...], first: Phase) -> Entitlement:
    """What a review brought also says what it does not change."""
    if entitlement.first_month <= first.first_month:
        return entitlement
    return replace(entitlement, findings=(*because, *entitlement.findings))


def _less_settlement(
    law: Law,
    case: Case,
    phases: Sequence[Phase],
    allowance: Entitlement,
    settlement: Entitlement | None,
) -> Entitlement:
    """The allowance after a review to grade 1-4, less the one-off sum paid before it."""
    if settlement is None:
        return allowance
    raised = next(
        (
            phase
            for phase in phases
            if phase.grade in disability.ALLOWANCE_GRADES
            and Month.of(phase.conclude_date) >= settlement.first_month
        ),
        None,
    )
    if raised is None:
        return allowance
    segments, because = reviews.allowance_after_review(
        law,
        allowance.segments,
        settlement.amount,
        since=raised.first_month,
        day=raised.conclude_date,
        where=case.pooling_area,
    )
    return replace(allowance, segments=segments, findings=(*allowance.findings, *because))


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
    awaits = list(base.awaits)
    for month in sorted(one for one in months if one >= first):
        phase = phase_in(phases, month)
        computed, reason = _allowance_in(
            law, facts, phase, base, month=month, phases=phases, known=known
        )
        segments.append(Segment(month, computed.amount, reason))
        findings.extend(one for one in computed.findings if one not in findings)
        awaits.extend(computed.awaits)
    return Entitlement(
        BenefitKind.DISABILITY_ALLOWANCE,
        WORKER,
        merge(segments),
        _last_month(case, phases, granting),
        case.accident_date,
        tuple(findings),
        earliest(awaits),
    )


def _allowance_in(
    law: Law,
    facts: Facts,
    phase: Phase,
    base: Base,
    *,
    month: Month,
    phases: Sequence[Phase],
    known: date,
) -> tuple[ExplainedAmount, str]:
    """The allowance of one month, and why it is that of a grade."""
    case, where = facts.case, facts.case.pooling_area
    if phase.grade not in disability.ALLOWANCE_GRADES:
        return ExplainedAmount(Fen(0), ()), f"grade {phase.grade} after review"
    share = law.on("disability_allowance_share", case.accident_date, where)
    granted = base.benefit_base.times(share.at(f"grade_{phase.grade}"))
    first = next(each for each in phases if each.grade in disability.ALLOWANCE_GRADES)
    raised = indexed(
        law,
        granted,
        f"grade_{phase.grade}",
        begun=first.conclude_date,
        month=month,
        where=where,
        known=known,
        key_in=lambda year: f"grade_{phase_in(phases, year).grade}",
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
    findings = (*computed.findings, *raised.findings, *left.findings)
    return ExplainedAmount(left.amount, findings, (*computed.awaits, *raised.awaits)), reason


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
    awaits = list(base.awaits)
    for month in sorted(one for one in months if one >= first):
        phase = phase_in(phases, month)
        computed = disability.care_allowance(law, base, phase.care, case.accident_date, where)
        key = f"care_{phase.care.name.lower()}"
        raised = indexed(
            law,
            computed.amount,
            key,
            begun=granting[0].conclude_date,
            month=month,
            where=where,
            known=known,
            care=phase.care,
            key_in=lambda year: f"care_{phase_in(phases, year).care.name.lower()}",
        )
        segments.append(Segment(month, raised.amount, f"care {phase.care.name.lower()}"))
        awaits.extend(raised.awaits)
        because = (*computed.findings, *raised.findings)
        findings.extend(one for one in because if one not in findings)
    return Entitlement(
        BenefitKind.CARE_ALLOWANCE,
        WORKER,
        merge(segments),
        _last_month(case, phases, granting),
        case.accident_date,
        tuple(findings),
        earliest(awaits),
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
