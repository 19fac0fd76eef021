"""Questions: one claim, the queue, evidence, determinations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import TypeVar

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2
from oip.type.v1 import type_pb2

from services.claims import store
from services.claims.api import formatting, parsing
from services.claims.api.base import ClaimBase
from services.claims.commands import Desk
from services.claims.domain.alerts import alerts
from services.claims.domain.claim import Claim, ClaimState
from services.claims.domain.law import law_as_known
from services.claims.store.claims import queue_date
from services.kernel.periods import civil_day
from services.kernel.problems import Malformed, NotFound
from services.runtime.base.clock import today
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import (
    Context,
    Page,
    date_from_wire,
    findings_to_wire,
    moment_to_wire,
    next_token,
    page_of,
)
from services.runtime.service.requests import read
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction

R = TypeVar("R")

READERS_OF_TEXT = frozenset({type_pb2.Access.ADJUDICATOR, type_pb2.Access.WORKER_AGENT})


class ReadingApi(ClaimBase):
    """Answers about claims; reading personal data is noted."""

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
            report = await store.report_of(tx, found[0].accident_report)
            reported = found[0] if report is None else report
            message.report_time.CopyFrom(moment_to_wire(reported.create_time))
            if reads_text:
                message.description = found[1]
                message.alerts.extend(await self._alerts(tx, found[0]))
                await _note_reading(tx, desk, request, request.name)
            return message

        return await self._noting(work)

    async def _noting(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        """Read, and write in the same transaction who read."""
        async with self._context.database.begin(caller().scope) as tx:
            return await work(tx)

    async def _alerts(self, tx: Transaction, claim: Claim) -> list[type_pb2.Finding]:
        if type_pb2.Access.ADJUDICATOR not in caller().roles:
            return []
        orders = (await store.orders_of(tx, [claim.claim_id])).get(claim.claim_id, ())
        others = [civil_day(moment) for moment in await store.accidents_of(tx, claim)]
        law = law_as_known(today(self._context.clock))
        return findings_to_wire(alerts(claim, orders, others, law))

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
        cipher = self._context.cipher

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

        return await read(self._context, work)

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

        return await self._noting(work)

    async def ListDeterminations(
        self, request: claims_pb2.ListDeterminationsRequest, context: Context
    ) -> claims_pb2.ListDeterminationsResponse:
        """What was determined on a claim, withdrawn determinations too."""
        claim_id = parsing.claim_id(request.claim, "claim")
        page, cipher, view = page_of(request), self._context.cipher, self._view()
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

        return await read(self._context, work)


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
