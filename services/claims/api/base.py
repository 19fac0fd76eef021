"""What the RPCs of claims share: who acts, and how a claim is changed and shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2

from services.claims import clients, store
from services.claims.api import formatting
from services.claims.api.formatting import View
from services.claims.commands import Desk
from services.claims.domain import filing
from services.claims.domain.case import missing_documents
from services.claims.domain.claim import Claim
from services.claims.domain.evidence import OrderEvidence
from services.claims.domain.law import law_as_known
from services.kernel.problems import NotFound
from services.runtime.base.clock import today
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import (
    enum_number,
    finding_to_wire,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction

ClaimWork = Callable[[Transaction, Desk], Awaitable[Claim]]


class ClaimBase:
    """One running claims service."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def _held(self, claim_id: str, name: str) -> Claim:
        cipher = self._context.cipher

        async def work(tx: Transaction) -> Claim:
            claim = await store.get_claim(tx, cipher, claim_id)
            if claim is None:
                raise NotFound(name=name)
            return claim

        return await read(self._context, work)

    async def _orders_near(self, claim: Claim) -> tuple[OrderEvidence, ...]:
        law = law_as_known(today(self._context.clock))
        return await clients.orders_near(
            self._context.channels, claim.worker, claim.accident_time, claim.place_of_injury, law
        )

    async def _change(self, request: Message, resource: str, work: ClaimWork) -> claims_pb2.Claim:
        desk = self._desk()

        async def change_and_format(tx: Transaction) -> claims_pb2.Claim:
            return await self._format(tx, await work(tx, desk))

        return await change(
            self._context, request, claims_pb2.Claim, change_and_format, resource=resource
        )

    async def _format(self, tx: Transaction, claim: Claim) -> claims_pb2.Claim:
        orders = await store.orders_of(tx, [claim.claim_id])
        made = await store.latest_determinations(tx, self._context.cipher, [claim.claim_id])
        message = formatting.claim(
            self._view(), claim, orders.get(claim.claim_id, ()), made.get(claim.claim_id)
        )
        documents = await store.count_documents(tx, claim.claim_id)
        law = law_as_known(today(self._context.clock))
        missing = missing_documents(claim, documents, law)
        if claim.running is not None:
            explained = filing.clock_finding(claim.running, work_calendar())
            message.time_limit.CopyFrom(finding_to_wire(explained))
        message.missing_documents.extend(enum_number(kind.value) for kind in missing)
        return message

    def _desk(self) -> Desk:
        return Desk(self._context.cipher, self._context.clock.now(), caller().subject)

    def _view(self) -> View:
        return View(caller(), today(self._context.clock))
