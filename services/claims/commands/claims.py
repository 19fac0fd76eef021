"""Changes of claims on their way to a determination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from services.claims.domain import due_dates, transitions
from services.claims.domain.attribution import preliminary_attribution
from services.claims.domain.claim import Claim
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.law import law_as_known
from services.claims.domain.order_records import OrderEvidence
from services.claims.domain.problems import ClaimExists
from services.claims.store import claims as claim_store
from services.claims.store import order_records as record_store
from services.claims.store import reports as report_store
from services.kernel.names import name
from services.kernel.problems import Malformed
from services.kernel.scheme import Survivor
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def create_claim(
    tx: Transaction,
    context: CommandContext,
    claim: Claim,
    description: str,
    orders: Sequence[OrderEvidence],
) -> Claim:
    """File a claim with the order records near the accident as its evidence.

    Raises ClaimExists if the accident has a claim already.
    """
    law, where = law_as_known(context.today), claim.place_of_injury
    await _require_own_report(tx, claim)
    filing_time = due_dates.filing_time(
        claim.claimant_kind,
        claim.accident_day,
        context.today,
        where=where,
        law=law,
        calendar=context.calendar,
    )
    attribution = preliminary_attribution(orders, claim.accident_time)
    claim = replace(
        claim,
        filed_late=filing_time.is_late,
        clock=due_dates.document_check(context.today, where, law),
        pooling_area=attribution.pooling_area if attribution else "",
        industry=attribution.industry if attribution else None,
    )
    queue_date = due_dates.queue_date(claim, context.calendar)
    if not await claim_store.insert(tx, context.cipher, claim, description, queue_date):
        existing = await claim_store.find_id_of_accident(tx, claim)
        raise ClaimExists(claim=name("claims", existing) if existing else "filed by another party")
    await record_store.insert(tx, claim.id, orders, context.now)
    return claim


async def accept_claim(
    tx: Transaction,
    context: CommandContext,
    claim_id: str,
    orders: Sequence[OrderEvidence],
    *,
    clear: bool = False,
    small: SmallInjury | None = None,
) -> Claim:
    """Accept a claim; order records that arrived since it was filed come into evidence."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    law = law_as_known(context.today)
    accepted = transitions.accept(claim, context.today, law, clear=clear, small=small)
    in_evidence = await record_store.find_of_claim(tx, claim_id)
    new_records = transitions.new_records(in_evidence, orders)
    await record_store.insert(tx, claim_id, new_records, context.now)
    return await save(tx, context, accepted)


async def request_evidence(
    tx: Transaction, context: CommandContext, claim_id: str, items: tuple[str, ...]
) -> Claim:
    """Request everything that is missing, once."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    law = law_as_known(context.today)
    requested = transitions.request_evidence(claim, items, context.today, law)
    return await save(tx, context, requested)


async def record_death(
    tx: Transaction,
    context: CommandContext,
    claim_id: str,
    death_date: date,
    survivors: tuple[Survivor, ...],
) -> Claim:
    """Record that the worker died of the injury, and who was supported."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    recorded = transitions.record_death(claim, death_date, survivors, context.now)
    return await save(tx, context, recorded)


async def stay_claim(tx: Transaction, context: CommandContext, claim_id: str, reason: str) -> Claim:
    """Stop the time while another body decides."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    stayed = transitions.stay(claim, context.today)
    await claim_store.insert_stay(
        tx, context.cipher, stayed, reason, stayed_by=context.actor, now=context.now
    )
    return await save(tx, context, stayed)


async def resume_claim(tx: Transaction, context: CommandContext, claim_id: str) -> Claim:
    """Let the time run again."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    return await save(tx, context, transitions.resume(claim, context.today))


async def save(tx: Transaction, context: CommandContext, claim: Claim) -> Claim:
    """Save the next revision of a locked claim."""
    await claim_store.update(
        tx, context.cipher, claim, due_dates.queue_date(claim, context.calendar)
    )
    return claim


async def _require_own_report(tx: Transaction, claim: Claim) -> None:
    """A claim may name only a report of the same worker."""
    if not claim.accident_report:
        return
    report = await report_store.get(tx, claim.accident_report)
    if report.worker != claim.worker:
        raise Malformed.of("accident_report", "is of another worker; name theirs, or none")
