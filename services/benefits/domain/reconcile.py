"""What was granted and paid, held against what the law gives: the changes that close the gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.benefits.domain import law as rules
from services.benefits.domain.law import calculated
from services.benefits.domain.model import (
    EXPENSES,
    LIFECYCLE,
    Award,
    Case,
    CaseState,
    Entitlement,
    Segment,
    State,
    award_id,
)
from services.kernel.law import Finding
from services.kernel.money import ZERO, Fen, total
from services.kernel.names import id_from
from services.kernel.periods import Month


@dataclass(frozen=True)
class Held:
    """An award as it stands: what each month was paid, and what was recovered of it so far."""

    award: Award
    paid: Mapping[Month, Fen] = field(default_factory=dict)
    recovered: Fen = ZERO

    @property
    def paid_sum(self) -> Fen:
        """All that was paid under it."""
        return total(self.paid.values())


@dataclass(frozen=True)
class Recovery:
    """Money paid that was not due, to be given back or set off (追回)."""

    recovery: str
    award: str
    claim: str
    beneficiary: str
    amount: Fen
    reason: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Changes:
    """What has to change for the awards of a case to be as the law has it."""

    grant: tuple[Award, ...] = ()
    change: tuple[Award, ...] = ()
    recover: tuple[Recovery, ...] = ()


def reconcile(
    case: Case, planned: Sequence[Entitlement], held: Sequence[Held], month: Month, reason: str
) -> Changes:
    """The changes from what is held to what is planned, for a decision taken in `month`.

    Months not paid yet simply follow the plan. For months paid, the difference is granted as an
    award of its own (back pay), or marked for recovery: nothing paid is ever rewritten.
    """
    parents = {(one.award.kind, one.award.beneficiary): one for one in held if _is_parent(one)}
    grant: list[Award] = []
    change: list[Award] = []
    recover: list[Recovery] = []
    for entitlement in planned:
        key = (entitlement.kind, entitlement.beneficiary)
        if key not in parents:
            grant.append(_granted(case, entitlement))
            continue
        parent = parents.pop(key)
        changed = _follow(parent.award, entitlement)
        if changed != parent.award:
            change.append(changed)
        _settle(
            changed,
            parent,
            held=held,
            month=month,
            reason=reason,
            changes=(grant, change, recover),
        )
    for parent in parents.values():
        changed = _ended(parent.award)
        if changed != parent.award:
            change.append(changed)
        _settle(
            changed,
            parent,
            held=held,
            month=month,
            reason=reason,
            changes=(grant, change, recover),
        )
    if case.state is not CaseState.CONFIRMED:
        for one in held:
            if one.award.kind in EXPENSES:
                _withdraw(one, reason, change, recover)
    return Changes(tuple(grant), tuple(change), tuple(recover))


def _settle(
    award: Award,
    parent: Held,
    *,
    held: Sequence[Held],
    month: Month,
    reason: str,
    changes: tuple[list[Award], list[Award], list[Recovery]],
) -> None:
    """Make good, or mark for recovery, what paid months brought too little or too much."""
    grant, change, recover = changes
    corrections = [one for one in held if one.award.adjusts == award.award]
    standing = [one for one in corrections if _is_open(one.award)]
    owed = total(award.amount_in(paid) for paid in parent.paid)
    recovered = total([parent.recovered, *(one.recovered for one in corrections)])
    given = (
        total(
            [parent.paid_sum, *(one.award.amount for one in standing)],
        )
        - recovered
    )
    if owed < given:
        for one in standing:
            if not one.paid:
                change.append(_ended(one.award))
                given -= one.award.amount
    difference = owed - given
    if difference > ZERO:
        grant.append(
            _back_pay(
                award,
                difference,
                parent,
                month,
                reason=reason,
                number=len(corrections) + 1,
            )
        )
    elif difference < ZERO:
        recover.append(_recovery(award, owed=owed, given=given, reason=reason, before=recovered))


def _withdraw(one: Held, reason: str, change: list[Award], recover: list[Recovery]) -> None:
    ended = _ended(one.award)
    if ended != one.award:
        change.append(ended)
    left = one.paid_sum - one.recovered
    if left:
        recover.append(_recovery(ended, owed=ZERO, given=left, reason=reason, before=one.recovered))


def _granted(case: Case, entitlement: Entitlement) -> Award:
    return Award(
        award=award_id(case.claim, entitlement.kind, entitlement.beneficiary),
        claim=case.claim,
        kind=entitlement.kind,
        beneficiary=entitlement.beneficiary,
        state=State.IN_PAYMENT,
        amount=entitlement.amount,
        first_month=entitlement.first_month,
        last_month=entitlement.last_month,
        pooling_area=case.pooling_area,
        industry=case.industry,
        event_date=entitlement.event_date,
        segments=entitlement.segments,
        findings=entitlement.findings,
        provisional=entitlement.provisional,
    )


def _follow(award: Award, entitlement: Entitlement) -> Award:
    """The award with the planned amounts and months; its first amount and month stay on record."""
    state = award.state
    if state is State.TERMINATED and award.stop_month is None:
        state = LIFECYCLE.after(state, "reinstate")
    same = (
        award.segments == entitlement.segments
        and award.last_month == entitlement.last_month
        and award.provisional == entitlement.provisional
        and award.state is state
    )
    if same:
        return award
    return replace(
        award,
        state=state,
        first_month=min(award.first_month, entitlement.first_month),
        segments=entitlement.segments,
        last_month=entitlement.last_month,
        findings=entitlement.findings,
        provisional=entitlement.provisional,
        revision=award.revision + 1,
    )


def _ended(award: Award) -> Award:
    """The award without a month to pay: its last month lies before its first."""
    if not _is_open(award):
        return award
    return replace(
        award,
        state=State.TERMINATED,
        last_month=award.first_month.plus(-1),
        segments=(),
        provisional=False,
        revision=award.revision + 1,
    )


def _back_pay(
    award: Award, amount: Fen, parent: Held, month: Month, *, reason: str, number: int
) -> Award:
    months = sorted(parent.paid)
    finding = calculated(
        rules.INDEXATION if reason == "adjustment" else rules.BASE,
        f"For {months[0]} to {months[-1]}, which were paid already, {amount.yuan} yuan are due "
        f"besides ({reason}).",
        f"{months[0]} 至 {months[-1]} 已发待遇应补发 {amount.yuan} 元。",
        f"due - paid = {amount}",
        inputs={"paid_months": len(months), "paid": parent.paid_sum},
        outputs={"amount": amount},
    )
    return replace(
        award,
        award=award_id(award.claim, award.kind, award.beneficiary, f"a{number}"),
        state=State.IN_PAYMENT,
        amount=amount,
        first_month=month,
        last_month=month,
        segments=(Segment(month, amount, reason),),
        findings=(finding, *award.findings),
        provisional=False,
        adjusts=award.award,
        stop_month=None,
        create_time=None,
        revision=1,
    )


def _recovery(award: Award, *, owed: Fen, given: Fen, reason: str, before: Fen) -> Recovery:
    amount = given - owed
    return Recovery(
        recovery=id_from(award.award, str(before), str(award.revision)),
        award=award.award,
        claim=award.claim,
        beneficiary=award.beneficiary,
        amount=amount,
        reason=reason,
        findings=(
            calculated(
                rules.RECOVERY,
                f"{amount.yuan} yuan were paid that are not due and have to be given back.",
                f"多发待遇 {amount.yuan} 元, 应予退回。",
                f"{given} - {owed} = {amount}",
                inputs={"due": owed, "paid": given},
                outputs={"to_recover": amount},
            ),
        ),
    )


def _is_parent(one: Held) -> bool:
    return not one.award.adjusts and one.award.kind not in EXPENSES


def _is_open(award: Award) -> bool:
    return award.last_month is None or award.last_month >= award.first_month
