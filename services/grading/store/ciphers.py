"""The cipher of what is stored about a claim: under the data key of its worker."""

from __future__ import annotations

import sqlalchemy as sa

from services.grading.store.tables import injuries
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction


async def get_of_claim(tx: Transaction, cipher: ColumnCipher, claim: str) -> ColumnCipher:
    """The cipher under the data key of a claim's worker, who is known once it is determined."""
    statement = sa.select(injuries.c.worker).where(injuries.c.claim == claim)
    worker = (await tx.execute(statement)).scalar_one()
    if not worker:
        raise ValueError(f"{claim} is not determined: nothing can be stored about its worker")
    return await data_keys.of_person(tx, cipher, worker)
