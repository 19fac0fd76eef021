"""Awards and payments compared with the entitlements: the changes that close the gap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from services.benefits.domain import law as rules
from services.benefits.domain.award import LIFECYCLE, Award, State, award_id, correction_id
from services.benefits.domain.case import Case, CaseState
from services.benefits.domain.entitlement import Entitlement, in_month_paid, without_months
from services.benefits.domain.findings import calculation
from services.benefits.domain.kinds import EXPENSES, BenefitKind
from services.benefits.domain.recovery import Recovery
from services.benefits.domain.segments import Segment, amount_in
from services.kernel.law import Finding
from services.kernel.money import ZERO, Fen, total
from services.kernel.names import id_from
from services.kernel.periods import Month


@dataclass(frozen=True)
class PaidAward:
    """An award with the payments and recoveries made under it.

    `paid` is the sum of each month before set-off. `recovered` is what is marked for recovery of
    this award less releases, and `recovery_count` the number of these records; `withheld` is what
    was set off from its payments for any debt of the person. `is_suspended` says that an officer
    suspended it and nobody resumed it, also where it has ended since.
    """

    award: Award
    paid: Mapping[Month, Fen] = field(default_factory=dict)
    recovered: Fen = ZERO
    recovery_count: int = 0
    withheld: Fen = ZERO
    is_suspended: bool = False

    @property
    def paid_sum(self) -> Fen:
        """The sum of all months paid."""
        return total(self.paid.values())


@dataclass(frozen=True)
class Changes:
    """The changes that make the awards of a case what the law gives."""

    grant: tuple[Award, ...] = ()
    change: tuple[Award, ...] = ()
    recover: tuple[Recovery, ...] = ()


def reconcile(
    case: Case,
    planned: Sequence[Entitlement],
    awards: Sequence[PaidAward],
    month: Month,
    reason: str,
    *,
    remark: str = "",
) -> Changes:
    """The changes from the awards as they stand to the plan, for a decision taken in `month`.

    `reason` is the kind of decision; recoveries say in its place what the officer wrote, the
    `remark`, if there is one.

    Months not paid yet follow the plan. For months paid, the difference is granted as a separate
    award (back pay) or marked for recovery; nothing paid is ever rewritten.
    """
    gap = _Gap(case, awards, month, reason, remark or reason)
    groups: dict[tuple[BenefitKind, str], list[PaidAward]] = defaultdict(list)
    for paid in awards:
        if _is_planned(paid):
            groups[paid.award.kind, paid.award.beneficiary].append(paid)
    for entitlement in planned:
        group = groups.pop((entitlement.kind, entitlement.beneficiary), [])
        if group:
            gap.follow(group, entitlement)
        else:
            gap.grant.append(_granted(case, entitlement))
    for group in groups.values():
        gap.end(group)
    for paid in awards:
        if paid.award.kind in EXPENSES and not paid.award.adjusts:
            is_due = case.state is CaseState.CONFIRMED and not paid.award.is_reversed
            award = _restored(paid.award) if is_due else _ended(paid.award)
            due = total(award.amount_in(each) for each in paid.paid)
            gap.close([paid], award, due)
    return Changes(tuple(gap.grant), tuple(gap.change), tuple(gap.recover))


class _Gap:
    """The difference between the awards of a case and its plan, collected award by award."""

    def __init__(
        self, case: Case, awards: Sequence[PaidAward], month: Month, reason: str, remark: str
    ) -> None:
        self.grant: list[Award] = []
        self.change: list[Award] = []
        self.recover: list[Recovery] = []
        self._case = case
        self._awards = awards
        self._month = month
        self._reason = reason
        self._remark = remark
        # What each person still owes: marked, and not set off yet.
        self._open: dict[str, Fen] = defaultdict(lambda: ZERO)
        for paid in awards:
            self._open[paid.award.beneficiary] += paid.recovered - paid.withheld

    def follow(self, group: Sequence[PaidAward], entitlement: Entitlement) -> None:
        """Let the award of a kind follow its plan; the payments of merged awards count for it."""
        first, *merged = _carrying_on_first(group)
        paid = _paid_by_month(group)
        due = in_month_paid(entitlement, paid)
        covered = set(paid) - set(first.paid)
        is_suspended = any(each.is_suspended for each in group)
        award = _follow(
            first.award, without_months(due, covered), self._case, is_suspended=is_suspended
        )
        sum_due = total(amount_in(due.segments, due.last_month, month) for month in paid)
        self.close([first, *merged], award, sum_due)

    def end(self, group: Sequence[PaidAward]) -> None:
        """End the award of a kind to which the plan gives nothing."""
        first, *merged = _carrying_on_first(group)
        self.close([first, *merged], _ended(first.award), ZERO)

    def close(self, group: Sequence[PaidAward], award: Award, due: Fen) -> None:
        """Store how the first award changes, and correct what was paid against what is due."""
        first, *merged = group
        changed = [(first.award, award)] + [
            (paid.award, _merged(paid.award, award.id)) for paid in merged
        ]
        self.change.extend(after for before, after in changed if after != before)
        of_first = [paid for paid in self._awards if paid.award.adjusts == award.id]
        of_merged = [
            paid
            for paid in self._awards
            if paid.award.adjusts in {each.award.id for each in merged}
        ]
        in_force = [each for each in (*of_first, *of_merged) if each.award.pays]
        received = (
            total(paid.paid_sum for paid in group)
            + total(correction.award.amount for correction in in_force)
            - total(paid.recovered for paid in group)
        )
        for correction in in_force:
            if not correction.paid and (due < received or correction in of_merged):
                self.change.append(_ended(correction.award))
                received -= correction.award.amount
        whole = _as_one(group)
        if due < received:
            self._mark(whole, award, due=due, received=received)
        elif due > received:
            left = self._release(whole, award, due - received)
            if left:
                number = len(of_first) + 1
                self.grant.append(
                    _back_pay(
                        award,
                        left,
                        whole,
                        self._month,
                        accident=self._case.accident_date,
                        reason=self._reason,
                        number=number,
                    )
                )

    def _mark(self, parent: PaidAward, award: Award, *, due: Fen, received: Fen) -> None:
        amount = received - due
        finding = calculation(
            rules.RECOVERY.on(self._case.accident_date),
            f"{amount.yuan} yuan were paid that are not due and have to be given back.",
            f"多发待遇 {amount.yuan} 元, 应予退回。",
            f"{received} - {due} = {amount}",
            inputs={"due": due, "paid": received},
            outputs={"to_recover": amount},
        )
        self._open[award.beneficiary] += amount
        self.recover.append(_recovery(parent, award, amount, self._remark, finding))

    def _release(self, parent: PaidAward, award: Award, amount: Fen) -> Fen:
        """Release what was marked and not set off yet; the fen that remain to be paid."""
        released = min(amount, parent.recovered, max(ZERO, self._open[award.beneficiary]))
        if released > ZERO:
            finding = calculation(
                rules.RECOVERY.on(self._case.accident_date),
                f"{released.yuan} yuan need not be given back any more.",
                f"不再追回 {released.yuan} 元。",
                f"min({amount}, {parent.recovered}) = {released}",
                inputs={"due": amount, "marked": parent.recovered},
                outputs={"released": released},
            )
            self._open[award.beneficiary] -= released
            self.recover.append(_recovery(parent, award, -released, self._remark, finding))
            return amount - released
        return amount


def _granted(case: Case, entitlement: Entitlement) -> Award:
    return Award(
        id=award_id(case.claim, entitlement.kind, entitlement.beneficiary),
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
        awaits=entitlement.awaits,
        worker=case.worker,
        accident=case.accident,
    )


def _follow(award: Award, entitlement: Entitlement, case: Case, *, is_suspended: bool) -> Award:
    """The award with the planned amounts and months; its first amount stays on record.

    A suspension lasts until an officer ends it, whatever becomes of the award. The pooling area and
    the industry follow the case from the next month on; months paid stay where they were charged.
    """
    state = award.state
    if state is State.TERMINATED and award.stop_month is None:
        state = LIFECYCLE.after(state, "reinstate")
    if is_suspended and state is State.IN_PAYMENT:
        state = LIFECYCLE.after(state, "suspend")
    same = (
        award.segments == entitlement.segments
        and award.last_month == entitlement.last_month
        and award.awaits == entitlement.awaits
        and award.event_date == entitlement.event_date
        and (award.pooling_area, award.industry) == (case.pooling_area, case.industry)
        and (award.worker, award.accident) == (case.worker, case.accident)
        and not award.merged_into
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
        awaits=entitlement.awaits,
        event_date=entitlement.event_date,
        pooling_area=case.pooling_area,
        industry=case.industry,
        worker=case.worker,
        accident=case.accident,
        merged_into="",
        revision=award.revision + 1,
    )


def _ended(award: Award) -> Award:
    """The award without a month to pay: its last month lies before its first."""
    if not award.pays:
        return award
    return replace(
        award,
        state=State.TERMINATED,
        last_month=award.first_month.plus(-1),
        segments=(),
        awaits=(),
        revision=award.revision + 1,
    )


def _merged(award: Award, into: str) -> Award:
    """The award of a merged claim: it ends, and what it paid counts for another."""
    if award.merged_into == into and not award.pays:
        return award
    return replace(_ended(award), merged_into=into, revision=award.revision + 1)


def _carrying_on_first(group: Sequence[PaidAward]) -> list[PaidAward]:
    """The awards of a kind, that one first which is paid from now on."""
    return sorted(group, key=lambda paid: bool(paid.award.merged_into))


def _paid_by_month(group: Iterable[PaidAward]) -> dict[Month, Fen]:
    paid: dict[Month, Fen] = defaultdict(lambda: ZERO)
    for each in group:
        for month, fen in each.paid.items():
            paid[month] += fen
    return dict(paid)


def _as_one(group: Sequence[PaidAward]) -> PaidAward:
    """Awards of a kind as one award that made all their payments."""
    return replace(
        group[0],
        paid=_paid_by_month(group),
        recovered=total(paid.recovered for paid in group),
        withheld=total(paid.withheld for paid in group),
    )


def _back_pay(
    award: Award,
    amount: Fen,
    parent: PaidAward,
    month: Month,
    *,
    accident: date,
    reason: str,
    number: int,
) -> Award:
    months = sorted(parent.paid)
    finding = calculation(
        rules.INDEXATION if reason == "adjustment" else rules.BASE.on(accident),
        f"For {months[0]} to {months[-1]}, which were paid already, {amount.yuan} yuan are due "
        f"besides ({reason}).",
        f"{months[0]} 至 {months[-1]} 已发待遇应补发 {amount.yuan} 元。",
        f"due - paid = {amount}",
        inputs={"paid_months": len(months), "paid": parent.paid_sum},
        outputs={"amount": amount},
    )
    return replace(
        award,
        id=correction_id(award.id, number),
        state=State.IN_PAYMENT,
        amount=amount,
        first_month=month,
        last_month=month,
        segments=(Segment(month, amount, reason),),
        findings=(finding, *award.findings),
        awaits=(),
        adjusts=award.id,
        stop_month=None,
        create_time=None,
        revision=1,
    )


def _recovery(
    parent: PaidAward, award: Award, amount: Fen, reason: str, finding: Finding
) -> Recovery:
    return Recovery(
        id=id_from(award.id, str(parent.recovery_count + 1)),
        award=award.id,
        claim=award.claim,
        beneficiary=award.beneficiary,
        amount=amount,
        reason=reason,
        findings=(finding,),
    )


def _restored(award: Award) -> Award:
    """The award of a bill whose claim is confirmed again: it is due again."""
    if award.pays:
        return award
    return replace(
        award,
        state=LIFECYCLE.after(award.state, "reinstate"),
        last_month=award.first_month,
        segments=(Segment(award.first_month, award.amount, "once"),),
        revision=award.revision + 1,
    )


def _is_planned(paid: PaidAward) -> bool:
    """Whether the plan decides on an award: neither a correction nor a reimbursed bill."""
    return not paid.award.adjusts and paid.award.kind not in EXPENSES
