"""Order records in evidence: added, never changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from services.claims.domain.order_records import OrderEvidence, OrderState
from services.claims.store.claims import update_platforms
from services.claims.store.tables import order_records
from services.kernel.scheme import Industry
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


async def insert(
    tx: Transaction, claim_id: str, orders: Iterable[OrderEvidence], now: datetime
) -> None:
    """Take order records into evidence; their platforms see the claim from then on."""
    rows: list[dict[str, Any]] = [
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
            "is_supplementary": order.is_supplementary,
            "other_worker": order.other_worker,
            "take_in_time": now,
        }
        for order in orders
    ]
    if rows:
        await tx.execute(sa.insert(order_records), rows)
        await update_platforms(tx, claim_id, [row["platform"] for row in rows])


async def find_of_claim(tx: Transaction, claim_id: str) -> tuple[OrderEvidence, ...]:
    """A claim's order records that the transaction may see, every revision."""
    records = (await find_of_claims(tx, [claim_id])).get(claim_id, ())
    revisions.note(f"claims/{claim_id}/orderRecords", records)
    return records


async def find_of_claims(
    tx: Transaction, claim_ids: Iterable[str]
) -> Mapping[str, tuple[OrderEvidence, ...]]:
    """The order records of claims that the transaction may see, every revision, by claim id."""
    table = order_records.c
    statement = (
        sa.select(order_records)
        .where(table.claim_id.in_(list(claim_ids)))
        .order_by(table.accept_time, table.platform, table.order_no, table.revision)
    )
    by_claim: defaultdict[str, list[OrderEvidence]] = defaultdict(list)
    for row in await tx.execute(statement):
        by_claim[row.claim_id].append(_order(row))
    return {claim_id: tuple(orders) for claim_id, orders in by_claim.items()}


def _order(row: sa.Row[Any]) -> OrderEvidence:
    return OrderEvidence(
        platform=row.platform,
        order_no=row.order_no,
        revision=row.revision,
        state=OrderState(row.state),
        accept_time=row.accept_time,
        pooling_area=row.pooling_area,
        industry=Industry(row.industry),
        receive_time=row.receive_time,
        pick_up_time=row.pick_up_time,
        end_time=row.end_time,
        late=row.late,
        is_supplementary=row.is_supplementary,
        other_worker=row.other_worker,
    )
