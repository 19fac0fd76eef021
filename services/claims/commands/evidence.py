"""Changes of the documents in evidence."""

from __future__ import annotations

from services.claims.commands.claims import save
from services.claims.domain import transitions
from services.claims.domain.evidence import Document
from services.claims.store import claims as claim_store
from services.claims.store import evidence as evidence_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def add_evidence(tx: Transaction, context: CommandContext, document: Document) -> Document:
    """Add a document; it answers an evidence request, if one is open."""
    claim = await claim_store.lock(tx, context.cipher, document.claim_id)
    await save(tx, context, transitions.add_evidence(claim, context.today))
    await evidence_store.insert(tx, context.cipher, document, context.actor)
    return document
