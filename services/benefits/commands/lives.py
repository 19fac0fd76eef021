"""Deaths and absences of workers after the determination."""

from __future__ import annotations

from dataclasses import replace

from services.benefits.commands.awards import grant_awards, list_facts, lock_claims
from services.benefits.commands.cases import require_confirmed_case
from services.benefits.domain import law as rules
from services.benefits.domain.case import Facts
from services.benefits.domain.death_plan import explain_life, rights_on_death_of
from services.benefits.domain.life import LifeEvent, LifeState, require_cause, require_possible
from services.benefits.store import life_events as life_store
from services.runtime.service.context import CommandContext
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction

_REASONS = {
    LifeState.DEAD: "death",
    LifeState.MISSING: "missing",
    LifeState.ALIVE: "alive after all",
}


async def record_life_event(
    tx: Transaction, event: LifeEvent, context: CommandContext
) -> LifeEvent:
    """Record that a worker has died, is missing or is alive, and grant what follows from it.

    The event counts for all accidents of the worker; a later one replaces it. Raises
    CaseNotConfirmed or CauseNeeded, or Malformed for what cannot be.
    """
    await lock_claims(tx, event.claim)
    case = await require_confirmed_case(tx, event.claim, context)
    earlier = await life_store.list_of_worker(tx, context.cipher, case.worker)
    require_possible(event, case, earlier, context.today)
    recorded = replace(
        event,
        worker=case.worker,
        record_date=context.today,
        member=context.member,
        create_time=context.now,
    )
    facts = await _facts_of(tx, recorded, earlier, case.accident, context)
    # What it gives rests on these; a conclusion in between voids a signature.
    revisions.note(f"{case.claim}/conclusions", facts.conclusions)
    findings = explain_life(rules.LAW, facts, context.today)
    require_cause(recorded, rights_on_death_of(rules.LAW, facts))
    recorded = replace(recorded, findings=findings)
    await life_store.insert(tx, context.cipher, recorded)
    await grant_awards(tx, case.worker, _REASONS[event.state], context)
    return recorded


async def _facts_of(
    tx: Transaction,
    event: LifeEvent,
    earlier: list[LifeEvent],
    accident: str,
    context: CommandContext,
) -> Facts:
    """The facts of the accident on which an event is recorded, with the event."""
    all_facts = await list_facts(tx, event.worker, [*earlier, event], context.cipher)
    return next(facts for facts in all_facts if facts.case.accident == accident)
