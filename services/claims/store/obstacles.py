"""What keeps a worker from being erased: claims and filings that are not decided."""

from __future__ import annotations

import sqlalchemy as sa

from services.claims.domain.claim import ClaimState
from services.claims.store.filings import is_open
from services.claims.store.tables import claims
from services.runtime.storage.database import Transaction

ENDED = (ClaimState.DETERMINED, ClaimState.MERGED)


async def find_open(tx: Transaction, worker: int) -> str | None:
    """The id of a claim of a worker that is not determined, or of a filing that is contested."""
    statement = (
        sa.select(claims.c.claim_id)
        .where(
            claims.c.worker == worker,
            sa.or_(claims.c.state.not_in([state.value for state in ENDED]), is_open()),
        )
        .order_by(claims.c.claim_id)
        .limit(1)
    )
    found: str | None = (await tx.execute(statement)).scalar_one_or_none()
    return found
