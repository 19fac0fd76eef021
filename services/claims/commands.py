"""Changes of claims: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from services.claims import events, store
from services.claims.domain import confirmation, filing, transitions
from services.claims.domain.case import Case, Enquiry, Judgement
from services.claims.domain.claim import (
    LIFECYCLE,
    AccidentReport,
    AlreadyServed,
    Claim,
    ClaimChanged,
    ClaimExists,
    Document,
    NotDetermined,
    Survivor,
)
from services.claims.domain.confirmation import Determination
from services.claims.domain.evidence import OrderEvidence
from services.claims.domain.filing import SmallInjury
from services.claims.domain.law import law_as_known
from services.kernel.names import name
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed, NotFound
from services.runtime.base.holidays import work_calendar
from services.runtime.events import outbox
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Desk:
    """Who acts and when, with what opens the encrypted columns."""

    cipher: ColumnCipher
    now: datetime
    actor: str


async def report_accident(
    tx: Transaction, desk: Desk, report: AccidentReport, description: str
) -> AccidentReport:
    """Keep a first word of an accident."""
    law = law_as_known(civil_day(desk.now))
    late = filing.is_reported_late(report.accident_time, desk.now, report.place_of_injury, law)
    report = replace(report, reported_late=late)
    await store.insert_report(tx, desk.cipher, report, description)
    return report


async def create_claim(
    tx: Transaction, desk: Desk, claim: Claim, description: str, found: Sequence[OrderEvidence]
) -> Claim:
    """File a claim with the order records found as its evidence. Raises ClaimExists."""
    day = civil_day(desk.now)
    law, calendar = law_as_known(day), work_calendar()
    await _check_report(tx, claim)
    made = filing.filing(
        claim.claimant_kind,
        claim.accident_day,
        day,
        where=claim.place_of_injury,
        law=law,
        calendar=calendar,
    )
    charged = confirmation.preliminary_attribution(found, claim.accident_time)
    claim = replace(
        claim,
        filed_late=made.is_late,
        clock=filing.document_check(day, claim.place_of_injury, law),
        pooling_area=charged.pooling_area if charged else "",
        industry=charged.industry if charged else None,
    )
    if not await store.insert_claim(tx, desk.cipher, claim, description, calendar):
        held = await store.claim_of_accident(tx, claim)
        raise ClaimExists(claim=name("claims", held) if held else "filed by another party")
    await store.insert_orders(tx, claim.claim_id, found, desk.now)
    return claim


async def add_evidence(tx: Transaction, desk: Desk, document: Document) -> Document:
    """Add a document; answers an evidence request, if one is open."""
    claim = await load(tx, desk, document.claim_id)
    await _save(tx, desk, transitions.add_evidence(claim, civil_day(desk.now)))
    await store.insert_document(tx, desk.cipher, document, desk.actor)
    return document


async def accept_claim(
    tx: Transaction,
    desk: Desk,
    claim_id: str,
    found: Sequence[OrderEvidence],
    *,
    clear: bool = False,
    small: SmallInjury | None = None,
) -> Claim:
    """Accept a claim; order records that arrived since it was filed come into evidence."""
    claim = await load(tx, desk, claim_id)
    day = civil_day(desk.now)
    accepted = transitions.accept(claim, day, law_as_known(day), clear=clear, small=small)
    held = (await store.orders_of(tx, [claim_id])).get(claim_id, ())
    fresh = transitions.new_records(held, tuple(found))
    await store.insert_orders(tx, claim_id, fresh, desk.now)
    return await _save(tx, desk, accepted)


async def request_evidence(
    tx: Transaction, desk: Desk, claim_id: str, items: tuple[str, ...]
) -> Claim:
    """Ask once for all that is missing."""
    claim = await load(tx, desk, claim_id)
    day = civil_day(desk.now)
    return await _save(tx, desk, transitions.request_evidence(claim, items, day, law_as_known(day)))


async def record_death(
    tx: Transaction,
    desk: Desk,
    claim_id: str,
    death_date: date,
    survivors: tuple[Survivor, ...],
) -> Claim:
    """Record that the worker died of the injury, and who was supported."""
    claim = await load(tx, desk, claim_id)
    return await _save(tx, desk, transitions.record_death(claim, death_date, survivors, desk.now))


async def stay_claim(tx: Transaction, desk: Desk, claim_id: str, reason: str) -> Claim:
    """Stop the time while another body decides."""
    claim = transitions.stay(await load(tx, desk, claim_id), civil_day(desk.now))
    await store.insert_stay(tx, desk.cipher, claim, reason, stayed_by=desk.actor, now=desk.now)
    return await _save(tx, desk, claim)


async def resume_claim(tx: Transaction, desk: Desk, claim_id: str) -> Claim:
    """Let the time run again."""
    claim = transitions.resume(await load(tx, desk, claim_id), civil_day(desk.now))
    return await _save(tx, desk, claim)


async def take_in_records(
    tx: Transaction, desk: Desk, claim_id: str, found: Sequence[OrderEvidence]
) -> bool:
    """Take order records that arrived later into evidence of an open claim; True if any did.

    Who read the claim before has to read it again: its revision goes on.
    """
    claim = await load(tx, desk, claim_id)
    held = (await store.orders_of(tx, [claim_id])).get(claim_id, ())
    fresh = transitions.new_records(held, tuple(found))
    if not fresh or claim.state not in LIFECYCLE.table["determine"]:
        return False
    await store.insert_orders(tx, claim_id, fresh, desk.now)
    await _save(tx, desk, transitions.with_records(claim))
    return True


async def determine_claim(
    tx: Transaction,
    desk: Desk,
    claim_id: str,
    *,
    revision: int,
    enquiry: Enquiry,
    judgements: Sequence[Judgement],
) -> Claim:
    """Determine a claim on the revision that the adjudicator has read, and tell of it.

    Raises ClaimChanged for another revision, OpenFindings where a person has to answer.
    """
    claim = await load(tx, desk, claim_id)
    LIFECYCLE.after(claim.state, "determine")
    if claim.revision != revision:
        raise ClaimChanged(claim=claim.name, held=claim.revision, read=revision)
    day = civil_day(desk.now)
    case = Case(
        claim=claim,
        orders=(await store.orders_of(tx, [claim_id])).get(claim_id, ()),
        documents=await store.count_documents(tx, claim_id),
        enquiry=enquiry,
        decided=day,
        law=law_as_known(day),
    )
    decision = confirmation.determine(case, judgements, work_calendar())
    claim = await _save(tx, desk, transitions.determined(claim, decision))
    made = Determination(
        claim_id=claim_id,
        number=len(await store.determinations_of(tx, desk.cipher, claim_id)) + 1,
        result=decision.result,
        findings=decision.findings,
        charges=decision.attribution.charges if decision.attribution else (),
        adjudicator=desk.actor,
        create_time=desk.now,
    )
    await store.insert_determination(tx, desk.cipher, made, judgements, claim.revision)
    await outbox.add(tx, events.claim_determined(claim, decision, day), desk.now)
    return claim


async def record_service(tx: Transaction, desk: Desk, claim_id: str, served: date) -> Claim:
    """Note on which day the standing conclusion was served; raises AlreadyServed."""
    claim = await load(tx, desk, claim_id)
    made = (await store.latest_determinations(tx, desk.cipher, [claim_id])).get(claim_id)
    if made is None or made.revoke_time is not None:
        raise NotDetermined(claim=claim.name)
    if made.service_date is not None:
        raise AlreadyServed(claim=claim.name, day=made.service_date)
    if not civil_day(made.create_time) <= served <= civil_day(desk.now):
        raise Malformed.of("service_date", "lies before the determination or in the future")
    await store.insert_service(tx, made, served, desk.actor, desk.now)
    return claim


async def revoke_determination(tx: Transaction, desk: Desk, claim_id: str, reason: str) -> Claim:
    """Withdraw a mistaken determination; both versions are kept."""
    claim = await load(tx, desk, claim_id)
    day = civil_day(desk.now)
    moved = transitions.revoked(claim, day, law_as_known(day))
    made = (await store.determinations_of(tx, desk.cipher, claim_id))[-1]
    await store.insert_revocation(
        tx, desk.cipher, made, reason, revoked_by=desk.actor, now=desk.now
    )
    await outbox.add(tx, events.determination_revoked(moved), desk.now)
    return await _save(tx, desk, moved)


async def load(tx: Transaction, desk: Desk, claim_id: str) -> Claim:
    """A claim, kept from other changes; raises NotFound."""
    claim = await store.lock_claim(tx, desk.cipher, claim_id)
    if claim is None:
        raise NotFound(name=name("claims", claim_id))
    return claim


async def _save(tx: Transaction, desk: Desk, claim: Claim) -> Claim:
    await store.update_claim(tx, desk.cipher, claim, work_calendar())
    return claim


async def _check_report(tx: Transaction, claim: Claim) -> None:
    """A claim may name only a report of the same worker."""
    if not claim.accident_report:
        return
    report = await store.report_of(tx, claim.accident_report)
    if report is None:
        raise NotFound(name=name("accidentReports", claim.accident_report))
    if report.worker != claim.worker:
        raise Malformed.of("accident_report", "is of another worker; name theirs, or none")
