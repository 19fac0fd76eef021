"""Changes of benefits: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from services.benefits import events, store
from services.benefits.domain import payments, plan
from services.benefits.domain.expenses import Expense, reimbursement
from services.benefits.domain.law import law_version, load_law
from services.benefits.domain.model import (
    LIFECYCLE,
    WORKER,
    Award,
    Case,
    CaseState,
    Conclusion,
    Facts,
    Segment,
    State,
    award_id,
    clip,
)
from services.benefits.domain.problems import (
    BillGranted,
    CaseNotConfirmed,
    MonthOutOfRange,
    NothingLeft,
    NotPeriodic,
)
from services.benefits.domain.reconcile import reconcile
from services.benefits.store import Debt, Run
from services.kernel.money import Fen
from services.kernel.names import id_from
from services.kernel.periods import Month, civil_day
from services.kernel.problems import NotFound
from services.runtime.events import outbox
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Indexed:
    """What a round of indexation did: cases planned, awards changed, cases left for the next."""

    claim_count: int
    award_count: int
    remaining_count: int


async def record_determination(
    tx: Transaction, case: Case, revision: int, worker: str, now: datetime
) -> None:
    """Keep a determination and grant what follows from it; an older one changes nothing."""
    await _begin(tx, case.claim)
    if await store.save_case(tx, case, revision, worker, now):
        await grant_awards(tx, case.claim, "determination", now)


async def record_revocation(tx: Transaction, claim: str, revision: int, now: datetime) -> None:
    """Keep that a determination was withdrawn: what was not paid ends, what was paid is owed."""
    await _begin(tx, claim)
    if await store.revoke_case(tx, claim, revision, now):
        await grant_awards(tx, claim, "determination withdrawn", now)


async def record_conclusion(
    tx: Transaction, claim: str, conclusion: Conclusion, revision: int, now: datetime
) -> None:
    """Keep an appraisal's conclusion and grant what follows from it.

    It may be heard before the determination: then the grant follows when that is heard.
    """
    await _begin(tx, claim)
    if await store.save_conclusion(tx, claim, conclusion, revision, now):
        await grant_awards(tx, claim, conclusion.level.name.lower().replace("_", "-"), now)


async def grant_awards(tx: Transaction, claim: str, reason: str, now: datetime) -> int:
    """Make the awards of a claim what the law gives, as it stands published today.

    How many awards were granted or changed.
    """
    case = await store.get_case(tx, claim)
    if case is None:
        return 0
    held = await store.hold_awards(tx, claim)
    facts = Facts(
        case=case,
        conclusions=await store.list_conclusions(tx, claim),
        stops={
            (one.award.kind, one.award.beneficiary): one.award.stop_month
            for one in held
            if one.award.stop_month is not None
        },
        pensions=await store.list_pensions(tx, claim),
    )
    day = civil_day(now)
    planned = plan.entitlements(load_law(), facts, day)
    changes = reconcile(case, planned, held, Month.of(day), reason)
    await store.insert_awards(tx, changes.grant, now)
    for award in changes.change:
        await store.update_award(tx, award, now)
    await store.insert_recoveries(tx, changes.recover, now)
    await store.mark_planned(tx, claim, law_version(load_law(), day))
    await _tell(tx, (*changes.grant, *changes.change), now)
    return len(changes.grant) + len(changes.change)


async def index_awards(tx: Transaction, claim_count: int, now: datetime) -> Indexed:
    """Plan up to so many cases anew on the law as published today; again until none is left.

    This is how an adjustment, a minimum wage or an average wage reaches awards in payment.
    """
    await store.share_front(tx)
    version = law_version(load_law(), civil_day(now))
    claims = await store.claims_behind(tx, version, claim_count)
    changed = 0
    for claim in claims:
        await store.lock_claim(tx, claim)
        changed += await grant_awards(tx, claim, "adjustment", now)
    return Indexed(len(claims), changed, await store.count_behind(tx, version))


async def record_pension(
    tx: Transaction, claim: str, since: Month, pension: Fen, now: datetime
) -> Award:
    """Keep the worker's basic pension; the allowance shrinks to the difference."""
    await _begin(tx, claim)
    case = await _confirmed(tx, claim)
    await store.save_pension(tx, claim, since, pension, now)
    await grant_awards(tx, claim, "basic pension", now)
    for one in await store.hold_awards(tx, case.claim):
        if one.award.beneficiary == WORKER and one.award.periodic:
            return one.award
    raise NotFound(name=f"monthly award of {claim}")


async def grant_expense(
    tx: Transaction, request_id: str, claim: str, expense: Expense, now: datetime
) -> Award:
    """Reimburse a bill in a confirmed case; the same bill, by its number, once."""
    await _begin(tx, claim)
    case = await _confirmed(tx, claim)
    source = ("bill", expense.bill_number) if expense.bill_number else ("request", request_id)
    award_key = award_id(claim, expense.kind, WORKER, id_from(claim, *source))
    if await store.get_award(tx, award_key) is not None:
        raise BillGranted(
            field="bill_number", bill_number=expense.bill_number, name=f"awards/{award_key}"
        )
    computed = reimbursement(load_law(), expense, case.accident_date, case.pooling_area)
    if not computed.amount:
        raise NothingLeft
    month = Month.of(civil_day(now))
    award = Award(
        award=award_key,
        claim=claim,
        kind=expense.kind,
        beneficiary=WORKER,
        state=State.IN_PAYMENT,
        amount=computed.amount,
        first_month=month,
        last_month=month,
        pooling_area=case.pooling_area,
        industry=case.industry,
        event_date=expense.day,
        segments=(Segment(month, computed.amount, "once"),),
        findings=computed.findings,
        create_time=now,
    )
    await store.insert_awards(tx, [award], now)
    await _tell(tx, [award], now)
    return award


async def suspend_award(
    tx: Transaction, award_name: str, first_month: Month, reason: str, now: datetime
) -> Award:
    """Stop payment from a month on."""
    award = await _periodic(tx, award_name)
    _require_month(award, first_month)
    changed = replace(
        award, state=LIFECYCLE.after(award.state, "suspend"), revision=award.revision + 1
    )
    await store.update_award(tx, changed, now)
    await store.suspend(tx, award.award, first_month, reason, now)
    await _tell(tx, [changed], now)
    return changed


async def resume_award(
    tx: Transaction, award_name: str, first_month: Month, now: datetime
) -> Award:
    """Let payment go on from a month; the months between stay unpaid."""
    award = await _periodic(tx, award_name)
    changed = replace(
        award, state=LIFECYCLE.after(award.state, "resume"), revision=award.revision + 1
    )
    since = await store.open_suspension(tx, award.award)
    if since is None or first_month < since:
        raise MonthOutOfRange(
            field="first_month",
            name=award.name,
            month=first_month,
            first=since or award.first_month,
            last="open",
        )
    await store.update_award(tx, changed, now)
    await store.resume(tx, award.award, first_month)
    await _tell(tx, [changed], now)
    return changed


async def terminate_award(
    tx: Transaction, award_name: str, last_month: Month, reason: str, now: datetime
) -> Award:
    """End an award after a month; survivors who stay are recomputed from the month after."""
    award = await _periodic(tx, award_name)
    _require_month(award, last_month, earliest=award.first_month.plus(-1))
    changed = replace(
        award,
        state=LIFECYCLE.after(award.state, "terminate"),
        stop_month=last_month,
        last_month=last_month,
        segments=clip(award.segments, last_month),
        revision=award.revision + 1,
    )
    await store.update_award(tx, changed, now)
    await _tell(tx, [changed], now)
    await grant_awards(tx, award.claim, reason, now)
    held = await store.get_award(tx, award.award)
    assert held is not None
    return held


async def instruct_payments(tx: Transaction, month: Month, now: datetime) -> Run:
    """Instruct all payments due up to a month: each award, kind and month once, ever."""
    day = civil_day(now)
    payments.check_month(month, day)
    latest = await store.lock_front(tx)
    for claim in await store.provisional_claims(tx, law_version(load_law(), day)):
        await grant_awards(tx, claim, "true-up", now)
    debts = [
        Debt(number, person, owed, load_law().on("set_off_share", day, where).decimal)
        for number, person, where, owed in await store.open_debts(tx)
    ]
    revision, parts = await store.insert_payments(tx, month, latest, debts, now)
    for part in parts:
        await outbox.add(tx, events.payment_instructed(month, revision, part), now)
    return await store.get_run(tx, month)


async def _begin(tx: Transaction, claim: str) -> None:
    """One decision about a claim at a time, and no run beside it."""
    await store.share_front(tx)
    await store.lock_claim(tx, claim)


async def _confirmed(tx: Transaction, claim: str) -> Case:
    case = await store.get_case(tx, claim)
    if case is None or case.state is not CaseState.CONFIRMED:
        raise CaseNotConfirmed(claim=claim)
    return case


async def _periodic(tx: Transaction, name: str) -> Award:
    """The award, with its claim locked; raises NotFound or NotPeriodic."""
    award = await store.get_award(tx, name)
    if award is None:
        raise NotFound(name=f"awards/{name}")
    await _begin(tx, award.claim)
    award = await store.get_award(tx, name)
    assert award is not None
    if not award.periodic:
        raise NotPeriodic(name=award.name)
    return award


def _require_month(award: Award, month: Month, earliest: Month | None = None) -> None:
    first = earliest or award.first_month
    if month < first or (award.last_month is not None and month > award.last_month):
        raise MonthOutOfRange(
            field="month",
            name=award.name,
            month=month,
            first=award.first_month,
            last=award.last_month or "open",
        )


async def _tell(tx: Transaction, changed: Iterable[Award], now: datetime) -> None:
    for award in changed:
        await outbox.add(tx, events.award_granted(award), now)
