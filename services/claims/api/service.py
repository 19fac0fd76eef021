"""The RPCs of claims."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date, datetime

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.type.v1 import type_pb2

from services.claims import clients, commands, store
from services.claims.api import formatting, parsing
from services.claims.api.formatting import View
from services.claims.commands import Desk
from services.claims.domain.case import missing_documents
from services.claims.domain.claim import LIFECYCLE, Claim, ClaimState
from services.claims.domain.evidence import OrderEvidence
from services.claims.domain.law import law_as_known
from services.claims.store.claims import queue_date
from services.kernel.problems import Malformed, NotFound
from services.runtime import audit
from services.runtime.access import EVERYTHING, caller
from services.runtime.clock import today
from services.runtime.database import Transaction
from services.runtime.holidays import work_calendar
from services.runtime.requests import change, content_hash, read
from services.runtime.running import Running
from services.runtime.wire import Context, Page, date_from_wire, enum_number, next_token, page_of

READERS_OF_TEXT = frozenset({type_pb2.Access.ADJUDICATOR, type_pb2.Access.WORKER_AGENT})

ClaimWork = Callable[[Transaction, Desk], Awaitable[Claim]]


class ClaimApi(claims_pb2_grpc.ClaimServiceServicer):
    """Takes in accident reports and claims and determines them."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def ReportAccident(
        self, request: claims_pb2.ReportAccidentRequest, context: Context
    ) -> claims_pb2.AccidentReport:
        """Keep a first word of an accident and freeze the worker's order records."""
        who, desk = caller(), self._desk()
        report = parsing.report(request, who, desk.now)
        channels = self._running.channels
        enrolments = await clients.enrolments_of(channels, report.worker)
        own = parsing.own_enrolments(enrolments, who, request.worker)
        report = replace(report, platforms=tuple(sorted({one.platform for one in own})))
        await clients.freeze_orders(channels, report.worker, report.accident_time, report.name)

        async def work(tx: Transaction) -> claims_pb2.AccidentReport:
            kept = await commands.report_accident(tx, desk, report, request.description)
            return formatting.report(kept, request.description)

        return await change(
            self._running, request, claims_pb2.AccidentReport, work, resource=report.name
        )

    async def CreateClaim(
        self, request: claims_pb2.CreateClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """File a claim with the order records found as its evidence."""
        who, desk = caller(), self._desk()
        claim = parsing.claim(request, who, desk.now)
        channels = self._running.channels
        enrolments = await clients.enrolments_of(channels, claim.worker)
        claim = replace(claim, enrolments=parsing.own_enrolments(enrolments, who, request.worker))
        found = await self._orders_near(claim)
        await clients.freeze_orders(channels, claim.worker, claim.accident_time, claim.name)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.create_claim(tx, desk, claim, request.description, found)

        return await self._change(request, claim.name, work)

    async def GetClaim(
        self, request: claims_pb2.GetClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """One claim. Reading what was written of the accident is noted."""
        claim_id = parsing.claim_id(request.name)
        desk, view = self._desk(), self._view()
        reads_text = bool(READERS_OF_TEXT & view.caller.roles) and not view.caller.is_platform

        async def work(tx: Transaction) -> claims_pb2.Claim:
            found = await store.claim_with_text(tx, desk.cipher, claim_id)
            if found is None:
                raise NotFound(name=request.name)
            message = await self._format(tx, found[0])
            if reads_text:
                message.description = found[1]
                await _note_reading(tx, desk, request, request.name)
            return message

        return await read(self._running, work)

    async def ListClaims(
        self, request: claims_pb2.ListClaimsRequest, context: Context
    ) -> claims_pb2.ListClaimsResponse:
        """The queue, by due date."""
        page, view = page_of(request), self._view()
        states = [parsing.one_of(ClaimState, number, "states") for number in request.states]
        worker = parsing.worker_id(request.worker) if request.worker else None
        due_by = (
            date_from_wire(request.due_by_date, "due_by_date")
            if request.HasField("due_by_date")
            else None
        )
        after = _after_claim(page)
        cipher = self._running.cipher

        async def work(tx: Transaction) -> claims_pb2.ListClaimsResponse:
            held = await store.list_claims(
                tx,
                cipher,
                states=states,
                worker=worker,
                due_by=due_by,
                after=after,
                size=page.size,
            )
            ids = [claim.claim_id for claim in held]
            orders = await store.orders_of(tx, ids)
            made = await store.latest_determinations(tx, cipher, ids)
            message = claims_pb2.ListClaimsResponse(
                claims=[
                    formatting.claim(
                        view,
                        claim,
                        orders.get(claim.claim_id, ()),
                        made.get(claim.claim_id),
                        findings=False,
                    )
                    for claim in held
                ]
            )
            if len(held) == page.size:
                last = held[-1]
                message.next_page_token = next_token(
                    [queue_date(last, work_calendar()), last.claim_id]
                )
            return message

        return await read(self._running, work)

    async def AddEvidence(
        self, request: claims_pb2.AddEvidenceRequest, context: Context
    ) -> claims_pb2.Evidence:
        """Add a document to a claim."""
        desk = self._desk()
        document = parsing.document(request, caller(), desk.now)

        async def work(tx: Transaction) -> claims_pb2.Evidence:
            return formatting.document(await commands.add_evidence(tx, desk, document))

        return await change(
            self._running, request, claims_pb2.Evidence, work, resource=document.name
        )

    async def ListEvidence(
        self, request: claims_pb2.ListEvidenceRequest, context: Context
    ) -> claims_pb2.ListEvidenceResponse:
        """The documents of a claim, oldest first."""
        claim_id = parsing.claim_id(request.claim, "claim")
        page, desk = page_of(request), self._desk()
        after = _after_document(page)

        async def work(tx: Transaction) -> claims_pb2.ListEvidenceResponse:
            if await store.get_claim(tx, desk.cipher, claim_id) is None:
                raise NotFound(name=request.claim)
            held = await store.list_documents(tx, desk.cipher, claim_id, after, page.size)
            await _note_reading(tx, desk, request, f"{request.claim}/evidence")
            message = claims_pb2.ListEvidenceResponse(
                evidence=[formatting.document(one) for one in held]
            )
            if len(held) == page.size:
                last = held[-1]
                message.next_page_token = next_token(
                    [last.create_time.isoformat(), last.document_id]
                )
            return message

        return await read(self._running, work)

    async def ListDeterminations(
        self, request: claims_pb2.ListDeterminationsRequest, context: Context
    ) -> claims_pb2.ListDeterminationsResponse:
        """What was determined on a claim, withdrawn determinations too."""
        claim_id = parsing.claim_id(request.claim, "claim")
        page, cipher, view = page_of(request), self._running.cipher, self._view()
        after = _after_number(page)

        async def work(tx: Transaction) -> claims_pb2.ListDeterminationsResponse:
            claim = await store.get_claim(tx, cipher, claim_id)
            if claim is None:
                raise NotFound(name=request.claim)
            made = await store.determinations_of(tx, cipher, claim_id, after, page.size)
            return claims_pb2.ListDeterminationsResponse(
                determinations=[formatting.determination(view, claim, one) for one in made],
                next_page_token=next_token([made[-1].number]) if len(made) == page.size else "",
            )

        return await read(self._running, work)

    async def AcceptClaim(
        self, request: claims_pb2.AcceptClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Accept a claim; order records that arrived since come into evidence."""
        claim_id = parsing.claim_id(request.name)
        small = parsing.small_injury(request)
        found = await self._orders_near(await self._held(claim_id, request.name))

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.accept_claim(
                tx, desk, claim_id, found, clear=request.facts_clear, small=small
            )

        return await self._change(request, request.name, work)

    async def RequestEvidence(
        self, request: claims_pb2.RequestEvidenceRequest, context: Context
    ) -> claims_pb2.Claim:
        """Ask once for all that is missing."""
        claim_id, items = parsing.claim_id(request.name), tuple(request.items)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.request_evidence(tx, desk, claim_id, items)

        return await self._change(request, request.name, work)

    async def RecordDeath(
        self, request: claims_pb2.RecordDeathRequest, context: Context
    ) -> claims_pb2.Claim:
        """Record that the worker died of the injury, and who was supported."""
        claim_id = parsing.claim_id(request.name)
        day, survivors = parsing.death(request, self._running.clock.now())

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.record_death(tx, desk, claim_id, day, survivors)

        return await self._change(request, request.name, work)

    async def StayClaim(
        self, request: claims_pb2.StayClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Stop the time while another body decides."""
        claim_id, reason = parsing.claim_id(request.name), parsing.reason(request.reason)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.stay_claim(tx, desk, claim_id, reason)

        return await self._change(request, request.name, work)

    async def ResumeClaim(
        self, request: claims_pb2.ResumeClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Let the time run again."""
        claim_id = parsing.claim_id(request.name)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.resume_claim(tx, desk, claim_id)

        return await self._change(request, request.name, work)

    async def DetermineClaim(
        self, request: claims_pb2.DetermineClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Determine a claim on the revision that the adjudicator has read."""
        claim_id = parsing.claim_id(request.name)
        enquiry = parsing.enquiry(request.enquiry)
        judgements = parsing.judgements(request.judgements)
        claim = await self._held(claim_id, request.name)
        if claim.state in LIFECYCLE.table["determine"]:
            await self._take_in_records(request, claim)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.determine_claim(
                tx,
                desk,
                claim_id,
                revision=request.revision,
                enquiry=enquiry,
                judgements=judgements,
            )

        return await self._change(request, request.name, work)

    async def RevokeDetermination(
        self, request: claims_pb2.RevokeDeterminationRequest, context: Context
    ) -> claims_pb2.Claim:
        """Withdraw a mistaken determination; both versions are kept."""
        claim_id, reason = parsing.claim_id(request.name), parsing.reason(request.reason)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.revoke_determination(tx, desk, claim_id, reason)

        return await self._change(request, request.name, work)

    async def _take_in_records(self, request: Message, claim: Claim) -> None:
        """Order records that arrived since the claim was read: a change of its own, audited."""
        found, desk = await self._orders_near(claim), self._desk()
        async with self._running.database.begin(EVERYTHING) as tx:
            if await commands.take_in_records(tx, desk, claim.claim_id, found):
                await audit.append(
                    tx,
                    actor=desk.actor,
                    action="oip.claims.v1.TakeInOrderRecords",
                    resource=claim.name,
                    request_hash=content_hash(request),
                    now=desk.now,
                )

    async def _held(self, claim_id: str, name: str) -> Claim:
        cipher = self._running.cipher

        async def work(tx: Transaction) -> Claim:
            claim = await store.get_claim(tx, cipher, claim_id)
            if claim is None:
                raise NotFound(name=name)
            return claim

        return await read(self._running, work)

    async def _orders_near(self, claim: Claim) -> tuple[OrderEvidence, ...]:
        law = law_as_known(today(self._running.clock))
        return await clients.orders_near(
            self._running.channels, claim.worker, claim.accident_time, claim.place_of_injury, law
        )

    async def _change(self, request: Message, resource: str, work: ClaimWork) -> claims_pb2.Claim:
        desk = self._desk()

        async def change_and_format(tx: Transaction) -> claims_pb2.Claim:
            return await self._format(tx, await work(tx, desk))

        return await change(
            self._running, request, claims_pb2.Claim, change_and_format, resource=resource
        )

    async def _format(self, tx: Transaction, claim: Claim) -> claims_pb2.Claim:
        orders = await store.orders_of(tx, [claim.claim_id])
        made = await store.latest_determinations(tx, self._running.cipher, [claim.claim_id])
        message = formatting.claim(
            self._view(), claim, orders.get(claim.claim_id, ()), made.get(claim.claim_id)
        )
        documents = await store.count_documents(tx, claim.claim_id)
        law = law_as_known(today(self._running.clock))
        missing = missing_documents(claim, documents, law)
        message.missing_documents.extend(enum_number(kind.value) for kind in missing)
        return message

    def _desk(self) -> Desk:
        return Desk(self._running.cipher, self._running.clock.now(), caller().subject)

    def _view(self) -> View:
        return View(caller(), today(self._running.clock))


async def _note_reading(tx: Transaction, desk: Desk, request: Message, resource: str) -> None:
    """Personal data were read: the audit says by whom."""
    action = request.DESCRIPTOR.full_name
    await audit.append(tx, now=desk.now, actor=desk.actor, action=action, resource=resource)


def _after_claim(page: Page) -> tuple[date, str] | None:
    if page.is_first:
        return None
    try:
        day, claim_id = page.after
        return date.fromisoformat(day), claim_id
    except ValueError:
        raise _strange_token() from None


def _after_document(page: Page) -> tuple[datetime, str] | None:
    if page.is_first:
        return None
    try:
        moment, document_id = page.after
        return datetime.fromisoformat(moment), document_id
    except ValueError:
        raise _strange_token() from None


def _after_number(page: Page) -> int:
    try:
        return int(page.after[0]) if page.after else 0
    except ValueError:
        raise _strange_token() from None


def _strange_token() -> Malformed:
    return Malformed.of("page_token", "send the token of the page before, unchanged")
