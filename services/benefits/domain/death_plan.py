"""What a death gives in a case: funeral grant, death grant and survivors' pensions over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from services.benefits.domain import death as deaths
from services.benefits.domain import survivors
from services.benefits.domain.award import KIN
from services.benefits.domain.benefit_base import Base, benefit_base
from services.benefits.domain.case import Facts
from services.benefits.domain.entitlement import Entitlement
from services.benefits.domain.findings import ExplainedAmount
from services.benefits.domain.indexation import adjustments, indexed
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.segments import Segment, merge
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
        Entitlement(
            kind, beneficiary, (segment,), month, event, computed.findings, base.provisional
        )
    ]


def death_entitlements(
    law: Law, facts: Facts, grade: int | None, known: date
) -> Iterable[Entitlement]:
    """What the death of the worker gives; `grade` is the one concluded before it, if any."""
    case = facts.case
    if case.death_date is None:
        return
    day, where = case.death_date, case.pooling_area
    rights = deaths.rights_on_death(day, grade)
    base = benefit_base(law, day, where, known)
    # Paid in the month of the determination that knows of the death.
    month = Month.of(max(case.determine_date, day))
    qualified = [
        (survivor, survivors.qualification(law, survivor, case.survivors, day, where))
        for survivor in case.survivors
    ]
    others = tuple(q.finding for _, q in qualified if q.outcome is not Outcome.MET)
    if rights.funeral:
        computed = deaths.funeral_grant(law, base, day, where)
        because = (rights.finding, *computed.findings, *others)
        computed = ExplainedAmount(computed.amount, because)
        yield from once(BenefitKind.FUNERAL_GRANT, KIN, computed, month, base, event=day)
    if rights.grant:
        grant = deaths.death_grant(law, day, where, known)
        yield Entitlement(
            BenefitKind.DEATH_GRANT,
            KIN,
            (Segment(month, grant.amount, "once"),),
            month,
            day,
            (rights.finding, *grant.findings),
            grant.provisional,
        )
    if rights.pension:
        yield from _pensions(law, facts, qualified, base, known)


def _pensions(
    law: Law,
    facts: Facts,
    qualified: Sequence[tuple[Survivor, survivors.Qualification]],
    base: Base,
    known: date,
) -> Iterable[Entitlement]:
    case = facts.case
    assert case.death_date is not None
    day, where = case.death_date, case.pooling_area
    members: list[survivors.Member] = []
    because: dict[str, Finding] = {}
    shares = law.on("survivor_share", day, where)
    for survivor, qualification in qualified:
        if qualification.outcome is not Outcome.MET:
            continue
        # A posthumous child is paid from the month of birth.
        first = max(Month.of(day).plus(1), Month.of(survivor.birth_date or day))
        fixed = facts.ended_by_officer.get((BenefitKind.SURVIVOR_PENSION, survivor.survivor_id))
        last = min((end for end in (qualification.last_month, fixed) if end), default=None)
        if last is not None and last < first:
            continue
        share, _ = survivors.share_of(law, survivor, day, where)
        members.append(survivors.Member(survivor.survivor_id, share, first, last))
        because[survivor.survivor_id] = qualification.finding
    lines = survivors.timeline(base.benefit_base, members, shares.at("cap"))
    for member in members:
        segments, raised = _raise(law, lines[member.survivor_id], member.first_month, where, known)
        yield Entitlement(
            BenefitKind.SURVIVOR_PENSION,
            member.survivor_id,
            segments,
            member.last_month,
            day,
            (
                because[member.survivor_id],
                base.finding,
                survivors.pension_finding(
                    base.benefit_base, member, members, lines[member.survivor_id][0].amount, shares
                ),
                *raised,
            ),
            base.provisional,
        )


def _raise(
    law: Law, line: tuple[Segment, ...], first: Month, where: str, known: date
) -> tuple[tuple[Segment, ...], tuple[Finding, ...]]:
    """The amounts of one survivor with every adjustment of benefits in payment."""
    months = {
        *(segment.since for segment in line),
        *(Month.of(one.since) for one in adjustments(law, where, known)),
    }
    segments: list[Segment] = []
    findings: list[Finding] = []
    for month in sorted(one for one in months if one >= first):
        plain = next(segment for segment in reversed(line) if segment.since <= month)
        raised = indexed(
            law,
            plain.amount,
            "survivor",
            first_month=first,
            month=month,
            where=where,
            known=known,
        )
        segments.append(Segment(month, raised.amount, plain.reason))
        findings.extend(one for one in raised.findings if one not in findings)
    return merge(segments), tuple(findings)
