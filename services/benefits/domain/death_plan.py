"""What a death gives in a case: funeral grant, death grant and survivors' pensions over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from services.benefits.domain import death as deaths
from services.benefits.domain import survivors
from services.benefits.domain.award import KIN
from services.benefits.domain.benefit_base import Base, benefit_base
from services.benefits.domain.case import Absence, CaseState, Facts
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.figures import earliest
from services.benefits.domain.findings import ExplainedAmount
from services.benefits.domain.indexation import adjustments, indexed
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.phases import before_death, grade_in_force, phases_of
from services.benefits.domain.segments import Segment, clip, merge
from services.kernel.law import Finding, Outcome
from services.kernel.lawbook import Law
from services.kernel.periods import Month
from services.kernel.scheme import Survivor


def once(
    kind: BenefitKind,
    beneficiary: str,
    computed: ExplainedAmount,
    month: Month,
    base: Base,
    *,
    event: date,
) -> list[Entitlement]:
    """A benefit paid once, or nothing if it comes to zero."""
    if not computed.amount:
        return []
    segment = Segment(month, computed.amount, "once")
    return [
        Entitlement(kind, beneficiary, (segment,), month, event, computed.findings, base.awaits)
    ]


def death_entitlements(
    law: Law, facts: Facts, grade: int | None, known: date
) -> Iterable[Entitlement]:
    """What the death or the absence of the worker gives; `grade` is the one concluded before."""
    case, pensions = facts.case, dict[str, Entitlement]()
    if facts.absence is not None:
        rights = rights_of_absence(law, facts, facts.absence, known)
        pensions = _pensions_while_missing(law, facts, facts.absence, rights, known)
        if case.death_date is None:
            yield from _advance(facts, facts.absence, rights)
    if case.death_date is not None and facts.bears_death:
        rights_on_death = deaths.rights_on_death(
            law, case.death_date, case.pooling_area, grade, facts.cause
        )
        yield from _grants(law, facts, rights_on_death, case.death_date, known)
        if rights_on_death.pension:
            of_death = _pensions(
                law,
                facts,
                case.survivors,
                case.death_date,
                begin=Month.of(case.death_date).plus(1),
                begun=case.death_date,
                known=known,
            )
            pensions |= {
                survivor: _joined(pensions.get(survivor), pension)
                for survivor, pension in of_death.items()
            }
    yield from pensions.values()


def accident_of_death(law: Law, all_facts: Sequence[Facts]) -> str:
    """The accident from which the death of a worker with several accidents is compensated.

    A person dies once: the accident that gives most comes first, one with a death grant before one
    with pensions alone; then the latest one. Empty without a confirmed case that knows of a death.
    """
    ranked = []
    for facts in all_facts:
        case, rights = facts.case, rights_on_death_of(law, facts)
        if rights is not None and case.state is CaseState.CONFIRMED:
            ranked.append((rights.grant, rights.pension, case.accident_date, case.accident))
    return max(ranked)[-1] if ranked else ""


def rights_on_death_of(law: Law, facts: Facts) -> deaths.DeathRights | None:
    """What the death of the worker gives for one accident; None while the worker lives."""
    case = facts.case
    if case.death_date is None:
        return None
    grade = grade_in_force(before_death(case, phases_of(facts.conclusions)))
    return deaths.rights_on_death(law, case.death_date, case.pooling_area, grade, facts.cause)


def explain_life(law: Law, facts: Facts, known: date) -> tuple[Finding, ...]:
    """Why a death or an absence gives what it gives, and who is supported."""
    findings: list[Finding] = []
    if facts.absence is not None and facts.case.death_date is None:
        findings.append(rights_of_absence(law, facts, facts.absence, known).finding)
    rights = rights_on_death_of(law, facts)
    if rights is not None:
        findings.append(rights.finding)
    return (*findings, *(each.finding for _, each in qualify(law, facts)))


def qualify(law: Law, facts: Facts) -> list[tuple[Survivor, survivors.Qualification]]:
    """The survivors of the dead or missing worker, each with whether they are supported."""
    case, day, named = facts.case, facts.case.death_date, facts.case.survivors
    if day is None:
        day = case.accident_date
        named = facts.absence.survivors if facts.absence else ()
    return [
        (survivor, survivors.qualification(law, survivor, named, day, case.pooling_area))
        for survivor in named
    ]


def _grants(
    law: Law, facts: Facts, rights: deaths.DeathRights, day: date, known: date
) -> Iterable[Entitlement]:
    """Funeral grant and death grant, paid in the month of the decision that knows of the death."""
    case, where = facts.case, facts.case.pooling_area
    month = Month.of(max(case.determine_date, day))
    if rights.funeral:
        base = benefit_base(law, day, where, known, accident=case.accident_date)
        computed = deaths.funeral_grant(law, base, day, where, accident=case.accident_date)
        others = [q.finding for _, q in qualify(law, facts) if q.outcome is not Outcome.MET]
        because = (rights.finding, *computed.findings, *others)
        computed = ExplainedAmount(computed.amount, because)
        yield from once(BenefitKind.FUNERAL_GRANT, KIN, computed, month, base, event=day)
    if rights.grant:
        grant = deaths.death_grant(law, day, where, known, accident=case.accident_date)
        yield Entitlement(
            BenefitKind.DEATH_GRANT,
            KIN,
            (Segment(month, grant.amount, "once"),),
            month,
            day,
            (rights.finding, *grant.findings),
            grant.awaits,
        )


def rights_of_absence(
    law: Law, facts: Facts, absence: Absence, known: date
) -> deaths.MissingRights:
    """The rights of the family of a missing worker."""
    where, day = facts.case.pooling_area, facts.case.accident_date
    grant = deaths.death_grant(law, day, where, known, accident=day)
    return deaths.rights_when_missing(law, day, where, grant, hardship=absence.hardship)


def _advance(facts: Facts, absence: Absence, rights: deaths.MissingRights) -> Iterable[Entitlement]:
    """What is advanced of the death grant; the rest follows when the death is declared."""
    if rights.advance:
        month = Month.of(max(facts.case.determine_date, absence.record_date))
        yield Entitlement(
            BenefitKind.DEATH_GRANT,
            KIN,
            (Segment(month, rights.advance, "in advance"),),
            month,
            facts.case.accident_date,
            (*rights.grant.findings, rights.finding),
            rights.grant.awaits,
        )


def _pensions_while_missing(
    law: Law, facts: Facts, absence: Absence, rights: deaths.MissingRights, known: date
) -> dict[str, Entitlement]:
    """Pensions of the months in which the worker is missing, up to the month of a death."""
    case = facts.case
    pensions = _pensions(
        law,
        facts,
        absence.survivors,
        case.accident_date,
        begin=rights.pension_first_month,
        begun=rights.pension_first_month.first_day,
        known=known,
    )
    explained = {
        survivor: replace(pension, findings=(rights.finding, *pension.findings))
        for survivor, pension in pensions.items()
    }
    if case.death_date is None:
        return explained
    last = Month.of(case.death_date)
    return {
        survivor: replace(
            pension,
            segments=clip(pension.segments, last),
            last_month=min(pension.last_month or last, last),
        )
        for survivor, pension in explained.items()
        if pension.first_month <= last
    }


def _joined(missing: Entitlement | None, dead: Entitlement) -> Entitlement:
    """The pension of a survivor while the worker was missing, followed by the one on the death."""
    if missing is None or missing.first_month >= dead.first_month:
        return dead
    return replace(
        dead,
        segments=merge((*missing.segments, *dead.segments)),
        findings=(*missing.findings, *dead.findings),
        awaits=earliest((*missing.awaits, *dead.awaits)),
    )


def _pensions(
    law: Law,
    facts: Facts,
    named: Sequence[Survivor],
    day: date,
    *,
    begin: Month,
    begun: date,
    known: date,
) -> dict[str, Entitlement]:
    """The pensions from a month on, by survivor.

    `day` is that of the death, or of the accident of a missing worker; `begun` the day that gave
    the right.
    """
    where, accident = facts.case.pooling_area, facts.case.accident_date
    base = benefit_base(law, day, where, known, accident=accident)
    members: list[survivors.Member] = []
    because: dict[str, Finding] = {}
    shares = law.on("survivor_share", accident, where)
    for survivor in named:
        qualification = survivors.qualification(law, survivor, named, day, where)
        if qualification.outcome is not Outcome.MET:
            continue
        # A posthumous child is paid from the month of birth.
        first = max(begin, Month.of(survivor.birth_date or day))
        fixed = facts.ended_by_officer.get((BenefitKind.SURVIVOR_PENSION, survivor.survivor_id))
        last = min((end for end in (qualification.last_month, fixed) if end), default=None)
        if last is not None and last < first:
            continue
        share, _ = survivors.share_of(law, survivor, accident, where)
        members.append(survivors.Member(survivor.survivor_id, share, first, last))
        because[survivor.survivor_id] = qualification.finding
    lines = survivors.timeline(base.benefit_base, members, shares.at("cap"))
    births = {survivor.survivor_id: survivor.birth_date or day for survivor in named}
    pensions = {}
    for member in members:
        right = max(begun, births[member.survivor_id])
        segments, raised = _raise(law, lines[member.survivor_id], right, where, known)
        pensions[member.survivor_id] = Entitlement(
            BenefitKind.SURVIVOR_PENSION,
            member.survivor_id,
            segments,
            member.last_month,
            day,
            (
                because[member.survivor_id],
                base.finding,
                survivors.pension_finding(
                    base.benefit_base,
                    member,
                    members,
                    lines[member.survivor_id][0].amount,
                    shares,
                    accident=accident,
                ),
                *raised,
            ),
            base.awaits,
        )
    return pensions


def _raise(
    law: Law, line: tuple[Segment, ...], begun: date, where: str, known: date
) -> tuple[tuple[Segment, ...], tuple[Finding, ...]]:
    """The amounts of one survivor with every adjustment of benefits in payment."""
    months = {
        *(segment.since for segment in line),
        *(Month.of(one.since) for one in adjustments(law, where, known)),
    }
    segments: list[Segment] = []
    findings: list[Finding] = []
    for month in sorted(one for one in months if one >= line[0].since):
        plain = next(segment for segment in reversed(line) if segment.since <= month)
        raised = indexed(
            law,
            plain.amount,
            "survivor",
            begun=begun,
            month=month,
            where=where,
            known=known,
        )
        segments.append(Segment(month, raised.amount, plain.reason))
        findings.extend(one for one in raised.findings if one not in findings)
    return merge(segments), tuple(findings)
