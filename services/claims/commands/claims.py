"""Changes of claims on their way to a determination."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from services.claims.domain import accidents, due_dates, transitions
from services.claims.domain.attribution import preliminary_attribution
from services.claims.domain.claim import Claim, ClaimState
from services.claims.domain.due_dates import SmallInjury
from services.claims.domain.law import law_as_known
from services.claims.domain.order_records import OrderEvidence
from services.claims.domain.problems import OwnFiling
from services.claims.store import accidents as accident_store
from services.claims.store import claims as claim_store
from services.claims.store import order_records as record_store
from services.claims.store import reports as report_store
from services.kernel.problems import Malformed
from services.kernel.scheme import Survivor
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction, seeing_everything


async def create_claim(
    tx: Transaction,
    context: CommandContext,
    claim: Claim,
    description: str,
    orders: Sequence[OrderEvidence],
) -> Claim:
    """File a claim with the order records near the accident as its evidence.

    One transaction at a time says what the accidents of a person are, so that filings at the same
    moment find each other. The filing opens its accident, or joins the claim that the accident
    has, or waits for a person's answer.
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
        pooling_area=attribution.pooling_area if attribution else "",
        industry=attribution.industry if attribution else None,
    )
    await accident_store.lock_person(tx, claim.worker)
    window = accidents.window_of(law, claim.accident_time, where)
    async with seeing_everything(tx):
        near = await accident_store.find_near(tx, claim.worker, window)
    placement = accidents.place_filing(claim, near, orders, law)
    accident = accidents.accident_of(claim, law, context.now, part_of=placement.joined)
    if placement.joined is not None:
        claim = transitions.join_filing(claim, placement.joined.claim_id)
    elif placement.questioned:
        claim = transitions.question_filing(claim)
    else:
        claim = transitions.open_filing(claim, accident.id, context.today, law)
    queue_date = due_dates.queue_date(claim, context.calendar)
    filer = claim_store.Filer(context.member, context.account)
    await claim_store.insert(tx, context.cipher, claim, description, queue_date, filer=filer)
    await record_store.insert(tx, claim.id, orders, context.now)
    if claim.state is not ClaimState.PENDING:
        await accident_store.insert(tx, accident)
    if claim.merged_into:
        async with seeing_everything(tx):
            await take_in_filing(tx, context, claim)
    return claim


async def take_in_filing(tx: Transaction, context: CommandContext, filing: Claim) -> Claim:
    """Take a filing into the claim that it is part of, which has to be read again.

    The filing's platforms are admitted, and the order records near its moment come into evidence.
    """
    await claim_store.update_platforms_by_filing(tx, filing.merged_into, filing.id)
    records = transitions.new_records(
        await record_store.find_of_claim(tx, filing.merged_into),
        await record_store.find_of_claim(tx, filing.id),
    )
    await record_store.insert(tx, filing.merged_into, records, context.now)
    claim = await claim_store.lock(tx, context.cipher, filing.merged_into)
    return await save(tx, context, transitions.take_in_filing(claim, filing))


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
    await require_not_own(tx, context, claim)
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
    await require_not_own(tx, context, claim)
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
    await require_not_own(tx, context, claim)
    recorded = transitions.record_death(claim, death_date, survivors, context.now)
    return await save(tx, context, recorded)


async def stay_claim(tx: Transaction, context: CommandContext, claim_id: str, reason: str) -> Claim:
    """Stop the time while another body decides."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    await require_not_own(tx, context, claim)
    stayed = transitions.stay(claim, context.today)
    await claim_store.insert_stay(
        tx, context.cipher, stayed, reason, stayed_by=context.actor, now=context.now
    )
    return await save(tx, context, stayed)


async def resume_claim(tx: Transaction, context: CommandContext, claim_id: str) -> Claim:
    """Let the time run again."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    return await save(tx, context, transitions.resume(claim, context.today))


async def require_not_own(tx: Transaction, context: CommandContext, claim: Claim) -> None:
    """No official decides or signs anything about what they filed; raises OwnFiling.

    Kin who filed may report the death: they decide nothing.
    """
    officials = (context.official, signatures.signer())
    if not await claim_store.update_officials(tx, claim.id, officials):
        raise OwnFiling(claim=claim.name)


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
        raise Malformed.of(
            "accident_report",
            "OF_ANOTHER_PERSON",
            "it is of another worker; name theirs, or none",
            "属于其他人员; 请填写本人的报案或留空",
        )
