"""Documents in evidence: added, never changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.claims.domain.evidence import Document, DocumentKind
from services.claims.store import ciphers
from services.claims.store.tables import claims, evidence
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def insert(tx: Transaction, cipher: ColumnCipher, document: Document, added_by: str) -> None:
    """Add a document to a claim; its title is encrypted."""
    context = _title_context(document.claim_id, document.id)
    cipher = await ciphers.get_of_claim(tx, cipher, document.claim_id)
    await tx.execute(
        sa.insert(evidence).values(
            claim_id=document.claim_id,
            document_id=document.id,
            kind=document.kind.value,
            title=cipher.encrypt(document.title, context),
            content_hash=document.content_hash,
            added_by=added_by,
            platform=document.platform,
            create_time=document.create_time,
        )
    )


async def count_by_kind(tx: Transaction, claim_id: str) -> dict[DocumentKind, int]:
    """The number of documents of each kind in evidence, with those of filings that are part."""
    statement = (
        sa.select(evidence.c.kind, sa.func.count())
        .where(_is_in_evidence(claim_id))
        .group_by(evidence.c.kind)
    )
    counts = {DocumentKind(kind): count for kind, count in await tx.execute(statement)}
    revisions.note(f"claims/{claim_id}/evidence", counts)
    return counts


async def list_of_claim(
    tx: Transaction,
    cipher: ColumnCipher,
    claim_id: str,
    *,
    after: tuple[datetime, str] | tuple[()],
    size: int,
) -> list[Document]:
    """A claim's documents after a key (create time, id), oldest first.

    Those of filings that are part of the claim are in its evidence.
    """
    statement = (
        sa.select(evidence)
        .where(_is_in_evidence(claim_id))
        .order_by(evidence.c.create_time, evidence.c.document_id)
        .limit(size)
    )
    if after:
        key = sa.tuple_(evidence.c.create_time, evidence.c.document_id)
        statement = statement.where(key > sa.tuple_(*(sa.literal(part) for part in after)))
    rows = (await tx.execute(statement)).all()
    cipher = await data_keys.for_rows(tx, cipher, rows)
    return [_document(row, cipher) for row in rows]


def _document(row: sa.Row[Any], cipher: ColumnCipher) -> Document:
    context = _title_context(row.claim_id, row.document_id)
    return Document(
        id=row.document_id,
        claim_id=row.claim_id,
        kind=DocumentKind(row.kind),
        content_hash=bytes(row.content_hash),
        create_time=row.create_time,
        title=cipher.show(bytes(row.title), context),
    )


def _is_in_evidence(claim_id: str) -> sa.ColumnElement[bool]:
    parts = sa.select(claims.c.claim_id).where(claims.c.merged_into == claim_id)
    return sa.or_(evidence.c.claim_id == claim_id, evidence.c.claim_id.in_(parts))


def _title_context(claim_id: str, document_id: str) -> str:
    return f"claims:{claim_id}:{document_id}:title"
