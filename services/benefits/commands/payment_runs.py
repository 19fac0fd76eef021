"""The payment run of a month."""

from __future__ import annotations

from services.benefits import events
from services.benefits.commands.awards import grant_awards, list_outdated
from services.benefits.domain import law as rules
from services.benefits.domain.payments import require_begun
from services.benefits.store import law_bases as basis_store
from services.benefits.store import payment_runs as run_store
from services.benefits.store import recoveries as recovery_store
from services.benefits.store import true_ups as true_up_store
from services.benefits.store.payment_runs import Debt, Run
from services.kernel.lawbook import UsedValues, law_version
from services.kernel.money import total
from services.kernel.periods import Month
from services.runtime.events import outbox
from services.runtime.events.ended_months import accounting_month
from services.runtime.service import signatures
from services.runtime.service.confirmations import record_use
from services.runtime.service.context import CommandContext
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


async def instruct_payments(tx: Transaction, month: Month, context: CommandContext) -> Run:
    """Instruct all payments due up to a month: each award, kind and month once, ever.

    The run names the assumed values on which its payments rest; in production it is refused unless
    the province has confirmed them. Awards whose figures have come, or that rest on values which
    have changed since, are planned again first.
    """
    today = context.today
    used = UsedValues()
    law = rules.LAW.noting(used)
    require_begun(month, today, law.day("scheme_start", today, context.province))
    last_month = await run_store.lock_for_run(tx)
    newest = await run_store.find_newest_award(tx)
    version = law_version(rules.LAW, today)
    for worker in await _workers_to_plan(tx, version, context):
        await grant_awards(tx, worker, "true-up", context)
    await run_store.update_law(tx, version, today)
    debts = [
        Debt(
            number=debt.number,
            person=debt.person,
            owed=debt.owed,
            cap=law.decimal("set_off_share", today, debt.pooling_area),
        )
        for debt in await recovery_store.list_open_debts(tx)
    ]
    added = await run_store.insert(tx, month, last_month, debts, context.now)
    if added.parts:
        versions = {*used.versions, *await basis_store.list_values(tx, added.bases)}
        await record_use(tx, f"paymentRuns/{month}/revisions/{added.revision}", versions, context)
    digest = await run_store.get_digest(tx, month, added.revision, newest)
    revisions.note(f"paymentRuns/{month}", digest)
    signatures.note_sum(total(part.amount for part in added.parts))
    accounting = await accounting_month(tx, month)
    instructed = [
        (events.payment_instructed(month, added.revision, part, accounting), part.amount)
        for part in added.parts
    ]
    await outbox.add_all(tx, instructed, context.now, month=accounting)
    return await run_store.get(tx, month)


async def _workers_to_plan(tx: Transaction, version: str, context: CommandContext) -> list[str]:
    """The workers whose figures have come, or whose awards rest on values no longer in the law."""
    in_law = [value.version.digest for value in rules.LAW.assumed]
    return sorted(
        {
            *await true_up_store.list_waiting(tx, await list_outdated(tx, context)),
            *await basis_store.list_workers_on_other(tx, in_law, version),
        }
    )


async def latest_month(tx: Transaction, current: Month) -> Month | None:
    """The last month that may end while `current` runs: its payment run is done and it is over."""
    latest = await run_store.find_latest_month(tx)
    return None if latest is None else min(latest, current.plus(-1))
