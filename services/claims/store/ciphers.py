"""The cipher of what is stored about a claim: under the data key of its worker."""

from __future__ import annotations

import sqlalchemy as sa

from services.claims.store.tables import claims
from services.kernel.names import name
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def get_of_worker(tx: Transaction, cipher: ColumnCipher, worker: int) -> ColumnCipher:
    """The cipher under a worker's data key."""
    return await data_keys.of_person(tx, cipher, name("workers", worker))


async def get_of_claim(tx: Transaction, cipher: ColumnCipher, claim_id: str) -> ColumnCipher:
    """The cipher under the data key of a claim's worker."""
    statement = sa.select(claims.c.worker).where(claims.c.claim_id == claim_id)
    return await get_of_worker(tx, cipher, (await tx.execute(statement)).scalar_one())
