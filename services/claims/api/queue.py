"""The list of claims: a page of the queue, by due date or newest first, with the count."""

from __future__ import annotations

from datetime import date, datetime

from oip.claims.v1 import claims_pb2

from services.claims.api.format import View, claim_message
from services.claims.domain.claim import Claim
from services.claims.domain.due_dates import queue_date
from services.claims.store import claims as claim_store
from services.claims.store import determinations as determination_store
from services.claims.store import order_records as record_store
from services.claims.store.claims import QueueFilter
from services.runtime.rpc.paging import Page, page_of
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


def page_of_queue(request: claims_pb2.ListClaimsRequest) -> Page:
    """The page of the list; its key begins with a time or with a day."""
    return page_of(request, datetime if request.newest_first else date, str)


async def list_claims(
    tx: Transaction,
    cipher: ColumnCipher,
    view: View,
    queue: QueueFilter,
    page: Page,
    *,
    count_all: bool,
) -> claims_pb2.ListClaimsResponse:
    """A page of the queue, without findings."""
    claims = await claim_store.list_queue(tx, cipher, queue, after=page.after, size=page.size)
    ids = [claim.id for claim in claims]
    orders = await record_store.find_of_claims(tx, ids)
    latest = await determination_store.find_latest_of_claims(tx, cipher, ids)

    def key(claim: Claim) -> tuple[object, str]:
        first = claim.create_time if queue.newest_first else queue_date(claim, view.calendar)
        return first, claim.id

    return claims_pb2.ListClaimsResponse(
        claims=[
            claim_message(
                view, claim, orders.get(claim.id, ()), latest.get(claim.id), with_findings=False
            )
            for claim in claims
        ],
        next_page_token=page.next_token(claims, key),
        total_count=await claim_store.count_queue(tx, queue) if count_all else 0,
    )
