"""The RPCs of claims."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2, claims_pb2_grpc

from services.claims import clients
from services.claims.api import parse
from services.claims.api.format import (
    View,
    determination_message,
    document_message,
    preview_message,
    report_message,
    show_alerts,
    show_claim,
    show_filed,
)
from services.claims.api.queue import list_claims, page_of_queue
from services.claims.commands import claims as claim_commands
from services.claims.commands import determinations as determination_commands
from services.claims.commands import evidence as evidence_commands
from services.claims.commands import order_records as record_commands
from services.claims.commands import reports as report_commands
from services.claims.domain.claim import Claim
from services.claims.domain.law import law_as_known
from services.claims.domain.order_records import OrderEvidence
from services.claims.domain.reports import AccidentReport
from services.claims.store import claims as claim_store
from services.claims.store import determinations as determination_store
from services.claims.store import evidence as evidence_store
from services.claims.store import reports as report_store
from services.runtime.base.clock import today
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, date_from_wire, moment_to_wire
from services.runtime.service.context import CommandContext, ServiceContext
from services.runtime.service.requests import change, change_after, change_ahead, read
from services.runtime.storage.database import Transaction

# A command on a claim, with the context of the running call.
ClaimWork: TypeAlias = Callable[[Transaction, CommandContext], Awaitable[Claim]]
# A claim as filed, with the order records near its moment.
FiledClaim: TypeAlias = tuple[Claim, tuple[OrderEvidence, ...]]

TAKE_IN_ORDER_RECORDS = "oip.claims.v1.TakeInOrderRecords"


class ClaimApi(claims_pb2_grpc.ClaimServiceServicer):
    """Takes in accident reports and claims and determines them."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def ReportAccident(
        self, request: claims_pb2.ReportAccidentRequest, context: Context
    ) -> claims_pb2.AccidentReport:
        """Keep the first report of an accident and freeze the worker's order records."""
        command, channels = self._context.command(), self._context.channels
        report = parse.report(request, caller(), command.now)

        async def ask() -> AccidentReport:
            enrolments = await clients.enrolments_of(channels, report.worker)
            parse.own_enrolments(enrolments, caller(), request.worker)
            await clients.freeze_orders(channels, report.worker, report.accident_time, report.name)
            return report

        async def work(tx: Transaction, complete: AccidentReport) -> claims_pb2.AccidentReport:
            reported = await report_commands.report_accident(
                tx, command, complete, request.description
            )
            return report_message(reported, request.description)

        return await change_after(
            self._context, request, claims_pb2.AccidentReport, ask, work, resource=report.name
        )

    async def CreateClaim(
        self, request: claims_pb2.CreateClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """File a claim; the answer is the claim of the accident, which may have one already."""
        channels = self._context.channels
        claim = parse.claim(request, caller(), self._context.clock.now())

        async def ask() -> FiledClaim:
            enrolments, orders = await asyncio.gather(
                clients.enrolments_of(channels, claim.worker), self._orders_near(claim)
            )
            own = parse.own_enrolments(enrolments, caller(), request.worker)
            await clients.freeze_orders(channels, claim.worker, claim.accident_time, claim.name)
            return replace(claim, enrolments=own), orders

        async def work(tx: Transaction, filed: FiledClaim) -> claims_pb2.Claim:
            complete, orders = filed
            filing = await claim_commands.create_claim(
                tx, self._context.command(), complete, request.description, orders
            )
            return await show_filed(tx, self._context.cipher, self._view(), filing)

        response = claims_pb2.Claim
        return await change_after(self._context, request, response, ask, work, resource=claim.name)

    async def GetClaim(
        self, request: claims_pb2.GetClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """One claim."""
        claim_id, view = parse.claim_id(request.name), self._view()
        cipher = self._context.cipher

        async def work(tx: Transaction) -> claims_pb2.Claim:
            claim, description = await claim_store.get_with_description(tx, cipher, claim_id)
            message = await show_claim(tx, cipher, view, claim)
            report = await report_store.find(tx, claim.accident_report)
            message.report_time.CopyFrom(moment_to_wire((report or claim).create_time))
            if view.sees_description:
                message.description = description
                message.alerts.extend(await show_alerts(tx, cipher, view, claim))
            return message

        return await read(self._context, work)

    async def ListClaims(
        self, request: claims_pb2.ListClaimsRequest, context: Context
    ) -> claims_pb2.ListClaimsResponse:
        """The queue, by due date or newest first."""
        page, queue, view = page_of_queue(request), parse.queue_filter(request), self._view()

        async def work(tx: Transaction) -> claims_pb2.ListClaimsResponse:
            return await list_claims(
                tx, self._context.cipher, view, queue, page, count_all=request.count_all
            )

        return await read(self._context, work)

    async def AddEvidence(
        self, request: claims_pb2.AddEvidenceRequest, context: Context
    ) -> claims_pb2.Evidence:
        """Add a document to a claim."""
        command = self._context.command()
        document = parse.document(request, caller(), command.now)

        async def work(tx: Transaction) -> claims_pb2.Evidence:
            return document_message(await evidence_commands.add_evidence(tx, command, document))

        return await change(
            self._context, request, claims_pb2.Evidence, work, resource=document.name
        )

    async def ListEvidence(
        self, request: claims_pb2.ListEvidenceRequest, context: Context
    ) -> claims_pb2.ListEvidenceResponse:
        """The documents of a claim, oldest first."""
        claim_id, cipher = parse.claim_id(request.claim, "claim"), self._context.cipher
        page = page_of(request, datetime, str)

        async def work(tx: Transaction) -> claims_pb2.ListEvidenceResponse:
            await claim_store.get(tx, cipher, claim_id)
            documents = await evidence_store.list_of_claim(
                tx, cipher, claim_id, after=page.after, size=page.size
            )
            return claims_pb2.ListEvidenceResponse(
                evidence=[document_message(document) for document in documents],
                next_page_token=page.next_token(
                    documents, lambda document: (document.create_time, document.id)
                ),
            )

        return await read(self._context, work)

    async def RecordDeath(
        self, request: claims_pb2.RecordDeathRequest, context: Context
    ) -> claims_pb2.Claim:
        """Record that the worker died of the injury, and who was supported."""
        claim_id = parse.claim_id(request.name)
        day, survivors = parse.death(request)
        return await self._change(
            request,
            request.name,
            lambda tx, command: claim_commands.record_death(tx, command, claim_id, day, survivors),
        )

    async def AcceptClaim(
        self, request: claims_pb2.AcceptClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Accept a claim; order records that arrived since come into evidence."""
        claim_id, small = parse.claim_id(request.name), parse.small_injury(request)

        async def ask() -> ClaimWork:
            orders = await self._orders_near(await self._claim(claim_id))
            return lambda tx, command: claim_commands.accept_claim(
                tx, command, claim_id, orders, clear=request.facts_clear, small=small
            )

        return await self._change_after(request, request.name, ask)

    async def RequestEvidence(
        self, request: claims_pb2.RequestEvidenceRequest, context: Context
    ) -> claims_pb2.Claim:
        """Request everything that is missing, once."""
        claim_id, items = parse.claim_id(request.name), tuple(request.items)
        return await self._change(
            request,
            request.name,
            lambda tx, command: claim_commands.request_evidence(tx, command, claim_id, items),
        )

    async def StayClaim(
        self, request: claims_pb2.StayClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Stop the time while another body decides."""
        claim_id, reason = parse.claim_id(request.name), request.reason
        return await self._change(
            request,
            request.name,
            lambda tx, command: claim_commands.stay_claim(tx, command, claim_id, reason),
        )

    async def ResumeClaim(
        self, request: claims_pb2.ResumeClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Let the time run again."""
        claim_id = parse.claim_id(request.name)
        return await self._change(
            request,
            request.name,
            lambda tx, command: claim_commands.resume_claim(tx, command, claim_id),
        )

    async def DetermineClaim(
        self, request: claims_pb2.DetermineClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Determine a claim on the revision that the adjudicator has read.

        Order records that arrived since then come into evidence first, whether or not the
        determination succeeds; they make a revision that has to be read.
        """
        claim_id, enquiry = parse.claim_id(request.name), parse.enquiry(request.enquiry)
        judgements = parse.judgements(request.judgements)

        async def ask() -> ClaimWork:
            claim = await self._claim(claim_id)
            if claim.allows("determine"):
                await self._take_in_order_records(request, claim)
            return lambda tx, command: determination_commands.determine_claim(
                tx,
                command,
                claim_id,
                revision=request.revision,
                enquiry=enquiry,
                judgements=judgements,
            )

        return await self._change_after(request, request.name, ask)

    async def PreviewDetermination(
        self, request: claims_pb2.PreviewDeterminationRequest, context: Context
    ) -> claims_pb2.DeterminationPreview:
        """What a determination would find; nothing is stored."""
        claim_id, enquiry = parse.claim_id(request.name), parse.enquiry(request.enquiry)
        judgements = parse.judgements(request.judgements)

        async def work(tx: Transaction) -> claims_pb2.DeterminationPreview:
            command = self._context.command()
            return preview_message(
                *await determination_commands.preview_determination(
                    tx, command, claim_id, enquiry=enquiry, judgements=judgements
                )
            )

        return await read(self._context, work)

    async def RecordService(
        self, request: claims_pb2.RecordServiceRequest, context: Context
    ) -> claims_pb2.Claim:
        """Record the day on which the conclusion was served."""
        claim_id = parse.claim_id(request.name)
        day = date_from_wire(request.service_date, "service_date")
        return await self._change(
            request,
            request.name,
            lambda tx, command: determination_commands.record_service(tx, command, claim_id, day),
        )

    async def ListDeterminations(
        self, request: claims_pb2.ListDeterminationsRequest, context: Context
    ) -> claims_pb2.ListDeterminationsResponse:
        """The determinations of a claim by number, withdrawn ones too."""
        claim_id, cipher = parse.claim_id(request.claim, "claim"), self._context.cipher
        page, view = page_of(request, int), self._view()

        async def work(tx: Transaction) -> claims_pb2.ListDeterminationsResponse:
            claim = await claim_store.get(tx, cipher, claim_id)
            determinations = await determination_store.list_of_claim(
                tx, cipher, claim_id, after=page.after, size=page.size
            )
            return claims_pb2.ListDeterminationsResponse(
                determinations=[
                    determination_message(view, claim, determination)
                    for determination in determinations
                ],
                next_page_token=page.next_token(
                    determinations, lambda determination: (determination.number,)
                ),
            )

        return await read(self._context, work)

    async def RevokeDetermination(
        self, request: claims_pb2.RevokeDeterminationRequest, context: Context
    ) -> claims_pb2.Claim:
        """Withdraw a mistaken determination; both versions are kept."""
        claim_id, reason = parse.claim_id(request.name), request.reason
        return await self._change(
            request,
            request.name,
            lambda tx, command: determination_commands.revoke_determination(
                tx, command, claim_id, reason
            ),
        )

    # What several RPCs share

    async def _change(self, request: Message, resource: str, work: ClaimWork) -> claims_pb2.Claim:
        """Change a claim and answer with it."""

        async def show(tx: Transaction) -> claims_pb2.Claim:
            return await self._show(tx, await work(tx, self._context.command()))

        return await change(self._context, request, claims_pb2.Claim, show, resource=resource)

    async def _change_after(
        self, request: Message, resource: str, ask: Callable[[], Awaitable[ClaimWork]]
    ) -> claims_pb2.Claim:
        """Like `_change`, once `ask` has got from other services what the command needs."""

        async def show(tx: Transaction, work: ClaimWork) -> claims_pb2.Claim:
            return await self._show(tx, await work(tx, self._context.command()))

        response = claims_pb2.Claim
        return await change_after(self._context, request, response, ask, show, resource=resource)

    async def _take_in_order_records(self, request: Message, claim: Claim) -> None:
        orders = await self._orders_near(claim)

        async def work(tx: Transaction) -> bool:
            return await record_commands.take_in_order_records(
                tx, self._context.command(), claim.id, orders
            )

        await change_ahead(self._context, request, TAKE_IN_ORDER_RECORDS, work, resource=claim.name)

    async def _show(self, tx: Transaction, claim: Claim) -> claims_pb2.Claim:
        return await show_claim(tx, self._context.cipher, self._view(), claim)

    async def _claim(self, claim_id: str) -> Claim:
        """A claim as it is before the transaction of a change opens."""

        async def work(tx: Transaction) -> Claim:
            return await claim_store.get(tx, self._context.cipher, claim_id)

        return await read(self._context, work)

    async def _orders_near(self, claim: Claim) -> tuple[OrderEvidence, ...]:
        law = law_as_known(today(self._context.clock))
        return await clients.orders_near(self._context.channels, claim, law)

    def _view(self) -> View:
        return View(caller(), today(self._context.clock), work_calendar())
