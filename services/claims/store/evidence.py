"""Evidence of a claim: order records and documents; added, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.claims.domain.claim import Document, DocumentKind, Industry
from services.claims.domain.evidence import OrderEvidence, OrderState
from services.claims.store.tables import evidence, orders
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert_orders(
    tx: Transaction, claim_id: str, found: Iterable[OrderEvidence], now: datetime
) -> None:
    """Take order records into evidence."""
    rows = [
        {
            "claim_id": claim_id,
            "platform": order.platform,
            "order_no": order.order_no,
            "revision": order.revision,
            "state": order.state.value,
            "accept_time": order.accept_time,
            "pick_up_time": order.pick_up_time,
            "end_time": order.end_time,
            "pooling_area": order.pooling_area,
            "industry": order.industry.value,
            "late": order.late,
            "receive_time": order.receive_time,
            "beside": order.beside,
            "other_worker": order.other_worker,
            "find_time": now,
        }
        for order in found
    ]
    if rows:
        await tx.execute(sa.insert(orders), rows)


async def orders_of(
    tx: Transaction, claim_ids: Iterable[str]
) -> Mapping[str, tuple[OrderEvidence, ...]]:
    """The order records of claims that the transaction may see, every revision."""
    statement = (
        sa.select(orders)
        .where(orders.c.claim_id.in_(list(claim_ids)))
        .order_by(orders.c.accept_time, orders.c.platform, orders.c.order_no, orders.c.revision)
    )
    found: dict[str, list[OrderEvidence]] = {}
    for row in await tx.execute(statement):
        found.setdefault(row.claim_id, []).append(_order(row))
    return {claim_id: tuple(rows) for claim_id, rows in found.items()}


async def insert_document(
    tx: Transaction, cipher: ColumnCipher, document: Document, added_by: str
) -> None:
    """Add a document to a claim."""
    await tx.execute(
        sa.insert(evidence).values(
            claim_id=document.claim_id,
            document_id=document.document_id,
            kind=document.kind.value,
            title=cipher.encrypt(document.title, _title_context(document)),
            content_hash=document.content_hash,
            added_by=added_by,
            create_time=document.create_time,
        )
    )


async def count_documents(tx: Transaction, claim_id: str) -> dict[DocumentKind, int]:
    """How many documents of each kind are in evidence."""
    statement = (
        sa.select(evidence.c.kind, sa.func.count())
        .where(evidence.c.claim_id == claim_id)
        .group_by(evidence.c.kind)
    )
    return {DocumentKind(kind): count for kind, count in await tx.execute(statement)}


async def list_documents(
    tx: Transaction,
    cipher: ColumnCipher,
    claim_id: str,
    after: tuple[datetime, str] | None,
    size: int,
) -> list[Document]:
    """A claim's documents, oldest first."""
    statement = (
        sa.select(evidence)
        .where(evidence.c.claim_id == claim_id)
        .order_by(evidence.c.create_time, evidence.c.document_id)
        .limit(size)
    )
    if after is not None:
        key = sa.tuple_(evidence.c.create_time, evidence.c.document_id)
        statement = statement.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    return [_document(row, cipher) for row in await tx.execute(statement)]


def _order(row: sa.Row[Any]) -> OrderEvidence:
    return OrderEvidence(
        platform=row.platform,
        order_no=row.order_no,
        revision=row.revision,
        state=OrderState(row.state),
        accept_time=row.accept_time,
        pooling_area=row.pooling_area,
        industry=Industry(row.industry),
        pick_up_time=row.pick_up_time,
        end_time=row.end_time,
        late=row.late,
        receive_time=row.receive_time,
        beside=row.beside,
        other_worker=row.other_worker,
    )


def _document(row: sa.Row[Any], cipher: ColumnCipher) -> Document:
    document = Document(
        claim_id=row.claim_id,
        document_id=row.document_id,
        kind=DocumentKind(row.kind),
        content_hash=bytes(row.content_hash),
        create_time=row.create_time,
    )
    title = cipher.decrypt(bytes(row.title), _title_context(document))
    return Document(
        document.claim_id,
        document.document_id,
        document.kind,
        document.content_hash,
        document.create_time,
        title,
    )


def _title_context(document: Document) -> str:
    return f"claims:{document.claim_id}:{document.document_id}:title"
