"""Basic pensions (基本养老金) of workers, as officers recorded them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from services.benefits.store.tables import month_of, number_of, pensions
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Transaction


async def update(tx: Transaction, claim: str, since: Month, amount: Fen, now: datetime) -> None:
    """Store the basic pension paid from a month on; a later record of that month counts."""
    row = {
        "claim": claim,
        "since_month": number_of(since),
        "amount_fen": amount.count,
        "create_time": now,
    }
    statement = postgresql.insert(pensions).values(row)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=["claim", "since_month"],
            set_={"amount_fen": amount.count, "create_time": now},
        )
    )


async def list_pensions(
    tx: Transaction, claims: Iterable[str]
) -> dict[str, list[tuple[Month, Fen]]]:
    """The basic pensions recorded for claims, by claim and month."""
    statement = (
        sa.select(pensions.c.claim, pensions.c.since_month, pensions.c.amount_fen)
        .where(pensions.c.claim.in_(claims))
        .order_by(pensions.c.since_month)
    )
    by_claim: dict[str, list[tuple[Month, Fen]]] = defaultdict(list)
    for row in await tx.execute(statement):
        by_claim[row.claim].append((month_of(row.since_month), Fen(row.amount_fen)))
    return by_claim
