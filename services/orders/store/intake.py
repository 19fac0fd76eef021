"""COPY into the table of orders, by the role that may do so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from psycopg.errors import UniqueViolation
from sqlalchemy.exc import OperationalError

from services.orders.domain.copy_format import COPY_COLUMNS
from services.runtime.storage.database import Transaction, as_database_error, driver_of

# The role that may COPY.
ROLE = "oip_orders_intake"
# Batches of one platform wait for each other, on other replicas too.
LOCK_WAIT = "60s"

_COLUMNS = ", ".join(COPY_COLUMNS)


class KnownRowsError(Exception):
    """COPY met a row that is already stored: the batch has to go through staging."""


async def get_batch_numbers(tx: Transaction, count: int) -> list[int]:
    """The next numbers of batches; unused ones are lost."""
    rows = await tx.execute(
        sa.text("select nextval('batch_no') from generate_series(1, :count)"), {"count": count}
    )
    return list(rows.scalars())


async def insert_rows(tx: Transaction, parts: Iterable[Any]) -> None:
    """COPY rows straight into the table. Raises KnownRowsError if one of them is held."""
    try:
        await insert_by_copy(tx, "orders", parts)
    except OperationalError as error:
        if isinstance(error.orig, UniqueViolation):
            raise KnownRowsError from error
        raise


async def insert_by_copy(tx: Transaction, table: str, parts: Iterable[Any]) -> None:
    """COPY rows into a table with the columns of `orders`."""
    driver = await driver_of(tx)
    command = f"copy {table} ({_COLUMNS}) from stdin (format binary)"
    with as_database_error(driver):
        async with driver.cursor() as cursor, cursor.copy(command) as sink:
            for part in parts:
                await sink.write(part)
