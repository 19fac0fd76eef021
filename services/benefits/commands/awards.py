"""Changes of awards: granting what the law gives, suspension, resumption, termination."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.benefits import events
from services.benefits.domain import law as rules
from services.benefits.domain.award import LIFECYCLE, Award, accident_of, ended_by_officer
from services.benefits.domain.case import Facts, facts_of_case
from services.benefits.domain.death_plan import accident_of_death
from services.benefits.domain.figures import AwaitedFigure
from services.benefits.domain.life import LifeEvent, life_of, with_life
from services.benefits.domain.plan import entitlements
from services.benefits.domain.problems import MonthOutOfRange, NotPeriodic
from services.benefits.domain.reconciliation import Changes, PaidAward, reconcile
from services.benefits.domain.segments import clip
from services.benefits.domain.true_ups import TrueUp, moved, true_ups
from services.benefits.store import awards as award_store
from services.benefits.store import cases as case_store
from services.benefits.store import law_bases as basis_store
from services.benefits.store import life_events as life_store
from services.benefits.store import payment_runs as run_store
from services.benefits.store import pensions as pension_store
from services.benefits.store import recoveries as recovery_store
from services.benefits.store import suspensions as suspension_store
from services.benefits.store import true_ups as true_up_store
from services.kernel.law import ParameterVersion
from services.kernel.lawbook import UsedValues, law_version
from services.kernel.money import ZERO, Fen
from services.kernel.periods import MONTHS_PER_YEAR, Month
from services.kernel.problems import NotFound
from services.runtime.events import outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def lock_claims(tx: Transaction, *claims: str, worker: str = "") -> list[str]:
    """Allow one decision about claims and their workers at a time, and no payment run meanwhile.

    Claims are locked before workers, each in order, so that decisions never wait in a circle.
    Returns the workers of the claims, without one that is not determined, and `worker`.
    """
    await run_store.lock_for_decision(tx)
    for claim in sorted(set(claims)):
        await case_store.lock(tx, claim)
    workers = sorted({worker, *await case_store.list_workers(tx, claims)} - {""})
    for each in workers:
        await case_store.lock(tx, each)
    return workers


@dataclass(frozen=True)
class AccidentPlan:
    """The awards of one accident, the changes to what the law gives, and the values it used."""

    accident: str
    awards: list[PaidAward]
    changes: Changes
    used: set[ParameterVersion]


@dataclass(frozen=True)
class Replanned:
    """What the plan of a worker changed: awards, true-ups among them, and the money moved."""

    changed_count: int
    true_ups: tuple[TrueUp, ...]
    moved: Fen


async def grant_awards(
    tx: Transaction, worker: str, reason: str, context: CommandContext, *, remark: str = ""
) -> Replanned:
    """Bring the awards of a worker to what the law published by today gives.

    Where that replaces a figure that stood in, each award keeps a record of it. `reason` is the
    kind of decision, `remark` what an officer wrote of it, which only recoveries show.
    """
    month, changed_count, moved_sum = Month.of(context.today), 0, ZERO
    records: list[TrueUp] = []
    for plan in await plan_awards(tx, worker, reason, context, remark=remark):
        awards, changes = plan.awards, plan.changes
        # An award ends before another takes its place.
        for award in sorted(changes.change, key=lambda each: each.pays):
            await award_store.update(tx, context.cipher, award, context.now)
        await award_store.insert(tx, context.cipher, changes.grant, context.now)
        await recovery_store.insert(tx, context.cipher, worker, changes.recover, context.now)
        await basis_store.update_case(tx, worker, plan.accident, plan.used)
        await publish_awards(tx, (*changes.grant, *changes.change), context)
        changed_count += len(changes.grant) + len(changes.change)
        moved_sum = moved_sum + moved(awards, changes, month)
        records += true_ups(awards, changes, month)
    await true_up_store.insert(tx, records, context.member, context.now)
    await suspension_store.update_merged(tx, worker, context.now)
    await case_store.update_law_version(tx, worker, law_version(rules.LAW, context.today))
    return Replanned(changed_count, tuple(records), moved_sum)


async def list_outdated(tx: Transaction, context: CommandContext) -> list[str]:
    """The figures waited for that are published by today, or for which another one stands in."""
    return [
        figure
        for figure, _ in await true_up_store.list_awaited(tx)
        if AwaitedFigure.parse(figure).is_outdated(rules.LAW, context.today)
    ]


async def plan_awards(
    tx: Transaction, worker: str, reason: str, context: CommandContext, *, remark: str = ""
) -> list[AccidentPlan]:
    """The awards of each accident of a worker, with the changes to what the law gives today.

    One accident is one case with one set of awards, whatever the number of claims; the death of a
    person is compensated once, whatever the number of accidents.
    """
    paid_awards = await award_store.list_paid_awards(tx, context.cipher, worker)
    events = await life_store.list_of_worker(tx, context.cipher, worker)
    all_facts = await list_facts(tx, worker, events, context.cipher, paid_awards)
    of_all = UsedValues()
    of_death = accident_of_death(rules.LAW.noting(of_all), all_facts)
    plans = []
    for facts in all_facts:
        accident = facts.case.accident
        used = UsedValues(set(of_all.versions))
        planned = entitlements(
            rules.LAW.noting(used),
            replace(facts, bears_death=accident == of_death),
            context.today,
        )
        awards = [paid for paid in paid_awards if accident_of(paid.award, of_death) == accident]
        changes = reconcile(
            facts.case, planned, awards, Month.of(context.today), reason, remark=remark
        )
        plans.append(AccidentPlan(accident, awards, changes, used.versions))
    return plans


async def list_facts(
    tx: Transaction,
    worker: str,
    events: Sequence[LifeEvent],
    cipher: ColumnCipher,
    paid_awards: Sequence[PaidAward] = (),
) -> list[Facts]:
    """The facts of each accident of a worker, with what the life events say."""
    life = life_of(events)
    cases = await case_store.list_of_worker(tx, cipher, worker)
    claims = [case.claim for case in cases]
    conclusions = await case_store.list_conclusions(tx, claims)
    pensions = await pension_store.list_pensions(tx, claims)
    ends = await case_store.list_appraisal_ends(tx, claims)
    all_facts = []
    for accident in sorted({case.accident for case in cases}):
        about = [case for case in cases if case.accident == accident]
        ended = ended_by_officer(
            paid.award for paid in paid_awards if paid.award.accident == accident
        )
        facts = facts_of_case(about, conclusions, pensions, ended, ends)
        all_facts.append(with_life(facts, life, {case.claim for case in about}))
    return all_facts


async def suspend_award(
    tx: Transaction, award_id: str, first_month: Month, reason: str, context: CommandContext
) -> Award:
    """Stop payment from a month on."""
    award = await _lock_periodic(tx, award_id, context)
    _require_month(award, first_month, context.today)
    changed = replace(
        award, state=LIFECYCLE.after(award.state, "suspend"), revision=award.revision + 1
    )
    await award_store.update(tx, context.cipher, changed, context.now)
    await suspension_store.insert(
        tx, context.cipher, award, first_month, reason=reason, now=context.now
    )
    await publish_awards(tx, [changed], context)
    return changed


async def resume_award(
    tx: Transaction, award_id: str, first_month: Month, context: CommandContext
) -> Award:
    """Continue payment from a month on; the months between stay unpaid."""
    award = await _lock_periodic(tx, award_id, context)
    changed = replace(
        award, state=LIFECYCLE.after(award.state, "resume"), revision=award.revision + 1
    )
    since = await suspension_store.find_open(tx, award.id)
    _require_month(award, first_month, context.today, earliest=since)
    await award_store.update(tx, context.cipher, changed, context.now)
    await suspension_store.update_resumed(tx, award.id, first_month)
    await publish_awards(tx, [changed], context)
    return changed


async def terminate_award(
    tx: Transaction, award_id: str, last_month: Month, reason: str, context: CommandContext
) -> Award:
    """End an award after a month; the shares of other survivors are recomputed from the next."""
    award = await _lock_periodic(tx, award_id, context)
    _require_month(award, last_month, context.today, earliest=award.first_month.plus(-1))
    changed = replace(
        award,
        state=LIFECYCLE.after(award.state, "terminate"),
        stop_month=last_month,
        last_month=last_month,
        segments=clip(award.segments, last_month),
        revision=award.revision + 1,
    )
    await award_store.update(tx, context.cipher, changed, context.now)
    await publish_awards(tx, [changed], context)
    await grant_awards(tx, award.worker, "terminated", context, remark=reason)
    terminated = await award_store.find(tx, context.cipher, award.id)
    assert terminated is not None
    return terminated


async def publish_awards(
    tx: Transaction, changed: Iterable[Award], context: CommandContext
) -> None:
    """Publish an event for each award granted or changed."""
    for award in changed:
        await outbox.add(tx, events.award_granted(award), context.now)


async def lock_award(tx: Transaction, award_id: str, context: CommandContext) -> Award:
    """The award, with its claim locked; raises NotFound."""
    award = await award_store.find(tx, context.cipher, award_id)
    if award is None:
        raise NotFound(name=f"awards/{award_id}")
    await lock_claims(tx, award.claim, worker=award.worker)
    award = await award_store.find(tx, context.cipher, award_id)
    assert award is not None
    return award


async def _lock_periodic(tx: Transaction, award_id: str, context: CommandContext) -> Award:
    """The award, with its claim locked; raises NotFound or NotPeriodic."""
    award = await lock_award(tx, award_id, context)
    if not award.periodic:
        raise NotPeriodic(name=award.name)
    return award


def _require_month(award: Award, month: Month, today: date, earliest: Month | None = None) -> None:
    """Refuse a month outside those of the award, or more than a year ahead."""
    first = earliest or award.first_month
    a_year_on = Month.of(today).plus(MONTHS_PER_YEAR)
    last = a_year_on if award.last_month is None else award.last_month
    if not first <= month <= last:
        raise MonthOutOfRange(field="month", name=award.name, month=month, first=first, last=last)
