"""Changes of determinations: determine, serve, revoke."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from services.claims import events
from services.claims.commands.claims import require_not_own, save
from services.claims.domain import confirmation, transitions
from services.claims.domain.case import Case, Enquiry, Judgement
from services.claims.domain.claim import Claim
from services.claims.domain.confirmation import Determination, Preview
from services.claims.domain.law import law_as_known
from services.claims.domain.problems import AlreadyServed, ClaimChanged, NotDetermined
from services.claims.store import ciphers
from services.claims.store import claims as claim_store
from services.claims.store import determinations as determination_store
from services.claims.store import evidence as evidence_store
from services.claims.store import order_records as record_store
from services.kernel.periods import civil_day
from services.kernel.problems import OutOfRange
from services.runtime.events import outbox, personal_fields
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def determine_claim(
    tx: Transaction,
    context: CommandContext,
    claim_id: str,
    *,
    revision: int,
    enquiry: Enquiry,
    judgements: Sequence[Judgement],
) -> Claim:
    """Determine a claim on the revision that the adjudicator has read, and publish it.

    Raises ClaimChanged for another revision, OpenFindings where a person has to answer.
    """
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    claim.after("determine")
    if claim.revision != revision:
        raise ClaimChanged(claim=claim.name, held=claim.revision, read=revision)
    case = await _case(tx, context, claim, enquiry)
    await require_not_own(tx, context, claim)
    decision = confirmation.determine(case, judgements, context.calendar)
    signatures.note_act(confirmation.act_of(decision))
    claim = await save(tx, context, transitions.determine(claim, decision))
    previous = await determination_store.find_latest(tx, context.cipher, claim_id)
    determination = Determination(
        claim_id=claim_id,
        number=previous.number + 1 if previous else 1,
        result=decision.result,
        findings=decision.findings,
        platform=decision.attribution.platform if decision.attribution else "",
        order_no=decision.attribution.order_no if decision.attribution else "",
        adjudicator=context.actor,
        create_time=context.now,
    )
    await determination_store.insert(tx, context.cipher, determination, judgements, claim.revision)
    event = events.claim_determined(claim, decision, context.today)
    cipher = await ciphers.get_of_worker(tx, context.cipher, claim.worker)
    await outbox.add(tx, personal_fields.seal(cipher, event), context.now)
    return claim


async def preview_determination(
    tx: Transaction,
    context: CommandContext,
    claim_id: str,
    *,
    enquiry: Enquiry,
    judgements: Sequence[Judgement],
) -> tuple[Claim, Preview]:
    """What a determination would find on the evidence as it is; nothing is stored."""
    claim = await claim_store.get(tx, context.cipher, claim_id)
    claim.after("determine")
    case = await _case(tx, context, claim, enquiry)
    return claim, confirmation.preview(case, judgements, context.calendar)


async def _case(tx: Transaction, context: CommandContext, claim: Claim, enquiry: Enquiry) -> Case:
    return Case(
        claim=claim,
        orders=await record_store.find_of_claim(tx, claim.id),
        documents=await evidence_store.count_by_kind(tx, claim.id),
        enquiry=enquiry,
        law=law_as_known(context.today),
        filings=tuple(await claim_store.list_parts(tx, context.cipher, claim.id)),
    )


async def record_service(
    tx: Transaction, context: CommandContext, claim_id: str, service_date: date
) -> Claim:
    """Record the day on which the standing conclusion was served.

    Raises NotDetermined without a standing conclusion, AlreadyServed if it was served before.
    """
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    determination = await determination_store.find_latest(tx, context.cipher, claim_id)
    if determination is None or determination.revoke_time is not None:
        raise NotDetermined(claim=claim.name)
    if determination.service_date is not None:
        raise AlreadyServed(claim=claim.name, day=determination.service_date)
    if not civil_day(determination.create_time) <= service_date <= context.today:
        raise OutOfRange.of(
            "service_date", service_date, civil_day(determination.create_time), context.today
        )
    await determination_store.insert_service(
        tx, determination, service_date, context.actor, context.now
    )
    return claim


async def revoke_determination(
    tx: Transaction, context: CommandContext, claim_id: str, reason: str
) -> Claim:
    """Withdraw a mistaken determination; both versions are kept."""
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    await require_not_own(tx, context, claim)
    filings = await claim_store.list_parts(tx, context.cipher, claim_id)
    revoked = transitions.revoke(claim, filings, context.today, law_as_known(context.today))
    determination = await determination_store.find_latest(tx, context.cipher, claim_id)
    assert determination is not None, claim.name
    await determination_store.insert_revocation(
        tx, context.cipher, determination, reason, revoked_by=context.actor, now=context.now
    )
    await outbox.add(tx, events.determination_revoked(revoked), context.now)
    return await save(tx, context, revoked)
