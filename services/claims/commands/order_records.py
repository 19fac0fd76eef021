"""Changes of the order records in evidence."""

from __future__ import annotations

from collections.abc import Sequence

from services.claims.commands.claims import save
from services.claims.domain import transitions
from services.claims.domain.order_records import OrderEvidence
from services.claims.store import claims as claim_store
from services.claims.store import order_records as record_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def take_in_order_records(
    tx: Transaction, context: CommandContext, claim_id: str, orders: Sequence[OrderEvidence]
) -> bool:
    """Take order records that arrived later into evidence of an open claim; True if any did.

    The claim's revision goes up, so that a determination needs it to be read again.
    """
    claim = await claim_store.lock(tx, context.cipher, claim_id)
    in_evidence = await record_store.find_of_claim(tx, claim_id)
    new_records = transitions.new_records(in_evidence, orders)
    if not new_records or not claim.allows("determine"):
        return False
    await record_store.insert(tx, claim_id, new_records, context.now)
    await save(tx, context, transitions.take_in_order_records(claim))
    return True
