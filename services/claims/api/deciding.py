"""What adjudicators do: accept, ask, stay, determine, serve, withdraw."""

from __future__ import annotations

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2

from services.claims import commands
from services.claims.api import parsing
from services.claims.api.base import ClaimBase
from services.claims.commands import Desk
from services.claims.domain.claim import LIFECYCLE, Claim
from services.runtime.rpc.access import EVERYTHING
from services.runtime.rpc.wire import Context, date_from_wire
from services.runtime.service.requests import answered, content_hash
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction


class DecidingApi(ClaimBase):
    """Decides on claims."""

    async def AcceptClaim(
        self, request: claims_pb2.AcceptClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """Accept a claim; order records that arrived since come into evidence."""
        claim_id = parsing.claim_id(request.name)
        small = parsing.small_injury(request)
        before = await answered(self._context, request, claims_pb2.Claim)
        if before is not None:
            return before
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
        before = await answered(self._context, request, claims_pb2.Claim)
        if before is not None:
            return before
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

    async def RecordService(
        self, request: claims_pb2.RecordServiceRequest, context: Context
    ) -> claims_pb2.Claim:
        """Note on which day the conclusion was served."""
        claim_id = parsing.claim_id(request.name)
        served = date_from_wire(request.service_date, "service_date")

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.record_service(tx, desk, claim_id, served)

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
        async with self._context.database.begin(EVERYTHING) as tx:
            if await commands.take_in_records(tx, desk, claim.claim_id, found):
                await audit.append(
                    tx,
                    actor=desk.actor,
                    action="oip.claims.v1.TakeInOrderRecords",
                    resource=claim.name,
                    request_hash=content_hash(request),
                    now=desk.now,
                )
