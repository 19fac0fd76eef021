"""Changes of awards: granting what the law gives, suspension, resumption, termination."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.benefits import events
from services.benefits.domain import law as rules
from services.benefits.domain.award import LIFECYCLE, Award
from services.benefits.domain.case import Facts
from services.benefits.domain.plan import entitlements
from services.benefits.domain.problems import MonthOutOfRange, NotPeriodic
from services.benefits.domain.reconciliation import reconcile
from services.benefits.domain.segments import clip
from services.benefits.store import awards as award_store
from services.benefits.store import cases as case_store
from services.benefits.store import payment_runs as run_store
from services.benefits.store import pensions as pension_store
from services.benefits.store import recoveries as recovery_store
from services.kernel.lawbook import law_version
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def lock_claim(tx: Transaction, claim: str) -> None:
    """Allow one decision about a claim at a time, and no payment run meanwhile."""
    await run_store.lock_for_decision(tx)
    await case_store.lock(tx, claim)


async def grant_awards(tx: Transaction, claim: str, reason: str, context: CommandContext) -> int:
    """Bring the awards of a claim to what the law published by today gives.

    Returns the number of awards granted or changed.
    """
    case = await case_store.find(tx, claim)
    if case is None:
        return 0
    paid_awards = await award_store.list_paid_awards(tx, claim)
    facts = Facts(
        case=case,
        conclusions=await case_store.list_conclusions(tx, claim),
        ended_by_officer={
            (paid.award.kind, paid.award.beneficiary): paid.award.stop_month
            for paid in paid_awards
            if paid.award.stop_month is not None
        },
        pensions=await pension_store.list_pensions(tx, claim),
    )
    planned = entitlements(rules.LAW, facts, context.today)
    changes = reconcile(case, planned, paid_awards, Month.of(context.today), reason)
    await award_store.insert(tx, changes.grant, context.now)
    for award in changes.change:
        await award_store.update(tx, award, context.now)
    await recovery_store.insert(tx, changes.recover, context.now)
    await case_store.update_law_version(tx, claim, law_version(rules.LAW, context.today))
    await publish_awards(tx, (*changes.grant, *changes.change), context)
    return len(changes.grant) + len(changes.change)


async def suspend_award(
    tx: Transaction, award_id: str, first_month: Month, reason: str, context: CommandContext
) -> Award:
    """Stop payment from a month on."""
    award = await _lock_periodic(tx, award_id)
    _require_month(award, first_month)
    changed = replace(
        award, state=LIFECYCLE.after(award.state, "suspend"), revision=award.revision + 1
    )
    await award_store.update(tx, changed, context.now)
    await award_store.insert_suspension(tx, award.id, first_month, reason, context.now)
    await publish_awards(tx, [changed], context)
    return changed


async def resume_award(
    tx: Transaction, award_id: str, first_month: Month, context: CommandContext
) -> Award:
    """Continue payment from a month on; the months between stay unpaid."""
    award = await _lock_periodic(tx, award_id)
    changed = replace(
        award, state=LIFECYCLE.after(award.state, "resume"), revision=award.revision + 1
    )
    since = await award_store.find_open_suspension(tx, award.id)
    if since is None or first_month < since:
        raise MonthOutOfRange(
            field="first_month",
            name=award.name,
            month=first_month,
            first=since or award.first_month,
            last="open",
        )
    await award_store.update(tx, changed, context.now)
    await award_store.update_suspension(tx, award.id, first_month)
    await publish_awards(tx, [changed], context)
    return changed


async def terminate_award(
    tx: Transaction, award_id: str, last_month: Month, reason: str, context: CommandContext
) -> Award:
    """End an award after a month; the shares of other survivors are recomputed from the next."""
    award = await _lock_periodic(tx, award_id)
    _require_month(award, last_month, earliest=award.first_month.plus(-1))
    changed = replace(
        award,
        state=LIFECYCLE.after(award.state, "terminate"),
        stop_month=last_month,
        last_month=last_month,
        segments=clip(award.segments, last_month),
        revision=award.revision + 1,
    )
    await award_store.update(tx, changed, context.now)
    await publish_awards(tx, [changed], context)
    await grant_awards(tx, award.claim, reason, context)
    terminated = await award_store.find(tx, award.id)
    assert terminated is not None
    return terminated


async def publish_awards(
    tx: Transaction, changed: Iterable[Award], context: CommandContext
) -> None:
    """Publish an event for each award granted or changed."""
    for award in changed:
        await outbox.add(tx, events.award_granted(award), context.now)


async def _lock_periodic(tx: Transaction, award_id: str) -> Award:
    """The award, with its claim locked; raises NotFound or NotPeriodic."""
    award = await award_store.find(tx, award_id)
    if award is None:
        raise NotFound(name=f"awards/{award_id}")
    await lock_claim(tx, award.claim)
    award = await award_store.find(tx, award_id)
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
