"""What was granted and paid, held against what the law gives: the changes that close the gap."""

from __future__ import annotations

from collections import defaultdict
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
    correction_id,
)
from services.kernel.law import Finding
from services.kernel.money import ZERO, Fen, total
from services.kernel.names import id_from
from services.kernel.periods import Month


@dataclass(frozen=True)
class Held:
    """An award as it stands: what each month was paid, and what was marked and set off of it.

    `paid` is before set-off. `recovered` is what is marked for recovery of this award, releases
    taken off, and `recovery_count` how often; `withheld` is what was set off from its payments for
    whatever the person owes.
    """

    award: Award
    paid: Mapping[Month, Fen] = field(default_factory=dict)
    recovered: Fen = ZERO
    recovery_count: int = 0
    withheld: Fen = ZERO

    @property
    def paid_sum(self) -> Fen:
        """All that was paid under it."""
        return total(self.paid.values())


@dataclass(frozen=True)
class Recovery:
    """Money paid that was not due, to be given back or set off (追回).

    A negative one releases what is no longer owed: it corrects by adding.
    """

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
    gap = _Gap(held, month, reason)
    parents = {(one.award.kind, one.award.beneficiary): one for one in held if _is_parent(one)}
    for entitlement in planned:
        key = (entitlement.kind, entitlement.beneficiary)
        if key in parents:
            parent = parents.pop(key)
            gap.close(parent, _follow(parent.award, entitlement, case))
        else:
            gap.grant.append(_granted(case, entitlement))
    for parent in parents.values():
        gap.close(parent, _ended(parent.award))
    for one in held:
        if one.award.kind in EXPENSES and not one.award.adjusts:
            confirmed = case.state is CaseState.CONFIRMED
            gap.close(one, _restored(one.award) if confirmed else _ended(one.award))
    return Changes(tuple(gap.grant), tuple(gap.change), tuple(gap.recover))


class _Gap:
    """What is between the awards of a case and its plan, gathered award by award."""

    def __init__(self, held: Sequence[Held], month: Month, reason: str) -> None:
        self.grant: list[Award] = []
        self.change: list[Award] = []
        self.recover: list[Recovery] = []
        self._held = held
        self._month = month
        self._reason = reason
        # What each person still owes: marked, and not set off yet.
        self._open: dict[str, Fen] = defaultdict(lambda: ZERO)
        for one in held:
            self._open[one.award.beneficiary] += one.recovered - one.withheld

    def close(self, parent: Held, award: Award) -> None:
        """Let an award follow its plan, and make good what paid months brought differently."""
        if award != parent.award:
            self.change.append(award)
        corrections = [one for one in self._held if one.award.adjusts == award.award]
        standing = [one for one in corrections if _is_open(one.award)]
        owed = total(award.amount_in(paid) for paid in parent.paid)
        given = parent.paid_sum + total(one.award.amount for one in standing) - parent.recovered
        for one in standing:
            if owed < given and not one.paid:
                self.change.append(_ended(one.award))
                given -= one.award.amount
        if owed < given:
            self._mark(parent, award, owed=owed, given=given)
        elif owed > given:
            left = self._release(parent, award, owed - given)
            if left:
                number = len(corrections) + 1
                self.grant.append(
                    _back_pay(award, left, parent, self._month, reason=self._reason, number=number)
                )

    def _mark(self, parent: Held, award: Award, *, owed: Fen, given: Fen) -> None:
        amount = given - owed
        finding = calculated(
            rules.RECOVERY,
            f"{amount.yuan} yuan were paid that are not due and have to be given back.",
            f"多发待遇 {amount.yuan} 元, 应予退回。",
            f"{given} - {owed} = {amount}",
            inputs={"due": owed, "paid": given},
            outputs={"to_recover": amount},
        )
        self._open[award.beneficiary] += amount
        self.recover.append(_recovery(parent, award, amount, self._reason, finding))

    def _release(self, parent: Held, award: Award, amount: Fen) -> Fen:
        """Take back what was marked and not set off yet; what is left is paid."""
        released = min(amount, parent.recovered, max(ZERO, self._open[award.beneficiary]))
        if released > ZERO:
            finding = calculated(
                rules.RECOVERY,
                f"{released.yuan} yuan need not be given back any more.",
                f"不再追回 {released.yuan} 元。",
                f"min({amount}, {parent.recovered}) = {released}",
                inputs={"due": amount, "marked": parent.recovered},
                outputs={"released": released},
            )
            self._open[award.beneficiary] -= released
            self.recover.append(_recovery(parent, award, -released, self._reason, finding))
            return amount - released
        return amount


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


def _follow(award: Award, entitlement: Entitlement, case: Case) -> Award:
    """The award with the planned amounts and months; its first amount stays on record.

    Who bears it follows the case for the months to come; months paid stay where they were charged.
    """
    state = award.state
    if state is State.TERMINATED and award.stop_month is None:
        state = LIFECYCLE.after(state, "reinstate")
    same = (
        award.segments == entitlement.segments
        and award.last_month == entitlement.last_month
        and award.provisional == entitlement.provisional
        and award.event_date == entitlement.event_date
        and (award.pooling_area, award.industry) == (case.pooling_area, case.industry)
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
        event_date=entitlement.event_date,
        pooling_area=case.pooling_area,
        industry=case.industry,
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
        award=correction_id(award.award, number),
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


def _recovery(parent: Held, award: Award, amount: Fen, reason: str, finding: Finding) -> Recovery:
    return Recovery(
        recovery=id_from(award.award, str(parent.recovery_count + 1)),
        award=award.award,
        claim=award.claim,
        beneficiary=award.beneficiary,
        amount=amount,
        reason=reason,
        findings=(finding,),
    )


def _restored(award: Award) -> Award:
    """A bill whose claim is confirmed again is due again."""
    if _is_open(award):
        return award
    return replace(
        award,
        state=LIFECYCLE.after(award.state, "reinstate"),
        last_month=award.first_month,
        segments=(Segment(award.first_month, award.amount, "once"),),
        revision=award.revision + 1,
    )


def _is_parent(one: Held) -> bool:
    return not one.award.adjusts and one.award.kind not in EXPENSES


def _is_open(award: Award) -> bool:
    return award.last_month is None or award.last_month >= award.first_month
