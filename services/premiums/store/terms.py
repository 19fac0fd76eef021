"""Bases and bands of platforms, and the figures that bands are fixed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.premiums.domain.lines import LineKind
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store.tables import lines, receipts, terms
from services.runtime.rpc.wire import findings_from_json, findings_to_json
from services.runtime.storage import revisions
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class WindowFigures:
    """A platform's figures in a window of months."""

    premium: Fen  # received for bills of the window
    month_count: int  # service months with orders
    order_count: int


async def insert(tx: Transaction, term: Term, now: datetime) -> None:
    """Add a base or a band."""
    await tx.execute(
        sa.insert(terms).values(
            id=term.id,
            platform=term.platform,
            kind=term.kind.value,
            since_date=term.since,
            industry=term.industry.value if term.industry else None,
            value=term.value,
            reason=term.reason,
            findings=findings_to_json(term.findings),
            create_time=now,
        )
    )


async def list_of_platforms(tx: Transaction, platforms: Iterable[str]) -> list[Term]:
    """All terms of these platforms, oldest first."""
    codes = sa.literal(sorted(set(platforms)), ARRAY(sa.Text))
    statement = (
        sa.select(terms)
        .where(terms.c.platform == sa.any_(codes))
        .order_by(terms.c.since_date, terms.c.seq)
    )
    found = [_term(row) for row in await tx.execute(statement)]
    for platform in platforms:
        newest = max((term.seq for term in found if term.platform == platform), default=0)
        revisions.note(f"platforms/{platform}/premiumTerms", newest)
    return found


async def list_newest_first(
    tx: Transaction, platform: str, after: Sequence[Any] = (), size: int = 100
) -> list[Term]:
    """A platform's terms; `after` is the key (day, seq) of the last row of the page before."""
    statement = sa.select(terms).where(terms.c.platform == platform)
    if after:
        key = sa.tuple_(terms.c.since_date, terms.c.seq)
        statement = statement.where(key < sa.tuple_(*map(sa.literal, after)))
    statement = statement.order_by(terms.c.since_date.desc(), terms.c.seq.desc()).limit(size)
    return [_term(row) for row in await tx.execute(statement)]


async def get_window_figures(
    tx: Transaction, platform: str, first: Month, last: Month
) -> WindowFigures:
    """Premium received, months with orders and orders, in the months from first to last."""
    received = sa.select(sa.func.coalesce(sa.func.sum(receipts.c.premium_fen), 0)).where(
        receipts.c.platform == platform,
        receipts.c.month.between(first.first_day, last.first_day),
    )
    by_month = (
        sa.select(lines.c.service_month, sa.func.sum(lines.c.order_count).label("order_count"))
        .where(
            lines.c.platform == platform,
            lines.c.kind == LineKind.ORDERS.value,
            lines.c.service_month.between(first.first_day, last.first_day),
        )
        .group_by(lines.c.service_month)
        .subquery()
    )
    worked = sa.select(
        sa.func.count().filter(by_month.c.order_count > 0),
        sa.func.coalesce(sa.func.sum(by_month.c.order_count), 0),
    )
    month_count, order_count = (await tx.execute(worked)).one()
    premium = (await tx.execute(received)).scalar_one()
    figures = WindowFigures(Fen(int(premium)), int(month_count), int(order_count))
    revisions.note(f"platforms/{platform}/premiumBills", figures)
    return figures


def _term(row: sa.Row[tuple[object, ...]]) -> Term:
    return Term(
        platform=row.platform,
        kind=TermKind(row.kind),
        since=row.since_date,
        value=row.value,
        industry=Industry(row.industry) if row.industry else None,
        reason=row.reason,
        id=row.id,
        seq=row.seq,
        findings=findings_from_json(row.findings),
    )
