"""Pages of a list: the rows after a key, in the order of the key or against it, and their count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


def page_of_rows(
    statement: sa.Select[Any],
    key: Sequence[sa.ColumnElement[Any]],
    after: Sequence[Any],
    size: int,
    *,
    newest_first: bool = False,
) -> sa.Select[Any]:
    """At most `size` rows in the order of `key`, behind the row with the key `after`, if any.

    `newest_first` turns the order around; the key then has to grow with time.
    """
    order = [column.desc() for column in key] if newest_first else list(key)
    statement = statement.order_by(*order).limit(size)
    if not after:
        return statement
    bound = sa.tuple_(
        *(sa.literal(part, column.type) for part, column in zip(after, key, strict=True))
    )
    current = sa.tuple_(*key)
    return statement.where(current < bound if newest_first else current > bound)


async def count_rows(tx: Transaction, statement: sa.Select[Any]) -> int:
    """The number of rows of a statement without its pages."""
    one = statement.with_only_columns(sa.literal(1), maintain_column_froms=True)
    rows = one.order_by(None).subquery()
    return int((await tx.execute(sa.select(sa.func.count()).select_from(rows))).scalar_one())
