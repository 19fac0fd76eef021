"""What the worker's side and platforms send: reports, claims, documents, deaths."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from oip.claims.v1 import claims_pb2

from services.claims import clients, commands
from services.claims.api import formatting, parsing
from services.claims.api.base import ClaimBase
from services.claims.commands import Desk
from services.claims.domain.claim import Claim
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import Context
from services.runtime.service.requests import answered, change
from services.runtime.storage.database import Transaction


class FilingApi(ClaimBase):
    """Takes in accident reports and claims."""

    async def ReportAccident(
        self, request: claims_pb2.ReportAccidentRequest, context: Context
    ) -> claims_pb2.AccidentReport:
        """Keep a first word of an accident and freeze the worker's order records."""
        who, desk = caller(), self._desk()
        report = parsing.report(request, who, desk.now)
        before = await answered(self._context, request, claims_pb2.AccidentReport)
        if before is not None:
            return before
        channels = self._context.channels
        enrolments = await clients.enrolments_of(channels, report.worker)
        own = parsing.own_enrolments(enrolments, who, request.worker)
        report = replace(report, platforms=tuple(sorted({one.platform for one in own})))
        await clients.freeze_orders(channels, report.worker, report.accident_time, report.name)

        async def work(tx: Transaction) -> claims_pb2.AccidentReport:
            kept = await commands.report_accident(tx, desk, report, request.description)
            return formatting.report(kept, request.description)

        return await change(
            self._context, request, claims_pb2.AccidentReport, work, resource=report.name
        )

    async def CreateClaim(
        self, request: claims_pb2.CreateClaimRequest, context: Context
    ) -> claims_pb2.Claim:
        """File a claim with the order records found as its evidence."""
        who, desk = caller(), self._desk()
        claim = parsing.claim(request, who, desk.now)
        before = await answered(self._context, request, claims_pb2.Claim)
        if before is not None:
            return before
        channels = self._context.channels
        enrolments, found = await asyncio.gather(
            clients.enrolments_of(channels, claim.worker), self._orders_near(claim)
        )
        claim = replace(claim, enrolments=parsing.own_enrolments(enrolments, who, request.worker))
        await clients.freeze_orders(channels, claim.worker, claim.accident_time, claim.name)

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.create_claim(tx, desk, claim, request.description, found)

        return await self._change(request, claim.name, work)

    async def AddEvidence(
        self, request: claims_pb2.AddEvidenceRequest, context: Context
    ) -> claims_pb2.Evidence:
        """Add a document to a claim."""
        desk = self._desk()
        document = parsing.document(request, caller(), desk.now)

        async def work(tx: Transaction) -> claims_pb2.Evidence:
            return formatting.document(await commands.add_evidence(tx, desk, document))

        return await change(
            self._context, request, claims_pb2.Evidence, work, resource=document.name
        )

    async def RecordDeath(
        self, request: claims_pb2.RecordDeathRequest, context: Context
    ) -> claims_pb2.Claim:
        """Record that the worker died of the injury, and who was supported."""
        claim_id = parsing.claim_id(request.name)
        day, survivors = parsing.death(request, self._context.clock.now())

        async def work(tx: Transaction, desk: Desk) -> Claim:
            return await commands.record_death(tx, desk, claim_id, day, survivors)

        return await self._change(request, request.name, work)
