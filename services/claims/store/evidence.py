"""Documents in evidence: added, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.claims.domain.evidence import Document, DocumentKind
from services.claims.store.tables import evidence
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, cipher: ColumnCipher, document: Document, added_by: str) -> None:
    """Add a document to a claim; its title is encrypted."""
    context = _title_context(document.claim_id, document.id)
    await tx.execute(
        sa.insert(evidence).values(
            claim_id=document.claim_id,
            document_id=document.id,
            kind=document.kind.value,
            title=cipher.encrypt(document.title, context),
            content_hash=document.content_hash,
            added_by=added_by,
            create_time=document.create_time,
        )
    )


async def count_by_kind(tx: Transaction, claim_id: str) -> dict[DocumentKind, int]:
    """The number of documents of each kind in evidence."""
    statement = (
        sa.select(evidence.c.kind, sa.func.count())
        .where(evidence.c.claim_id == claim_id)
        .group_by(evidence.c.kind)
    )
    return {DocumentKind(kind): count for kind, count in await tx.execute(statement)}


async def list_of_claim(
    tx: Transaction,
    cipher: ColumnCipher,
    claim_id: str,
    *,
    after: tuple[datetime, str] | tuple[()],
    size: int,
) -> list[Document]:
    """A claim's documents after a key (create time, id), oldest first."""
    statement = (
        sa.select(evidence)
        .where(evidence.c.claim_id == claim_id)
        .order_by(evidence.c.create_time, evidence.c.document_id)
        .limit(size)
    )
    if after:
        key = sa.tuple_(evidence.c.create_time, evidence.c.document_id)
        statement = statement.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    return [_document(row, cipher) for row in await tx.execute(statement)]


def _document(row: sa.Row[Any], cipher: ColumnCipher) -> Document:
    context = _title_context(row.claim_id, row.document_id)
    return Document(
        id=row.document_id,
        claim_id=row.claim_id,
        kind=DocumentKind(row.kind),
        content_hash=bytes(row.content_hash),
        create_time=row.create_time,
        title=cipher.decrypt(bytes(row.title), context),
    )


def _title_context(claim_id: str, document_id: str) -> str:
    return f"claims:{claim_id}:{document_id}:title"
