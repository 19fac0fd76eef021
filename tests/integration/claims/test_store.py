"""The migrated schema is the one of store/tables.py, and refuses what the rules forbid."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from services.claims.domain.due_dates import NEVER
from services.claims.store.tables import metadata
from tests.conftest import OpenDatabase

COLUMNS = (
    "select relname, attname, format_type(atttypid, atttypmod) as kind, attnotnull"
    " from pg_attribute join pg_class on pg_class.oid = attrelid"
    " where relnamespace = 'claims'::regnamespace and relkind = 'r' and attnum > 0"
    " and not attisdropped"
)


async def test_the_migrated_schema_is_the_one_in_the_store(database: OpenDatabase) -> None:
    claims = await database("claims")
    async with claims.begin() as tx:
        migrated = {
            (row.relname, row.attname): (row.kind, not row.attnotnull)
            for row in await tx.execute(text(COLUMNS))
        }

    named = {
        (table.name, column.name): (
            column.type.compile(postgresql.dialect()).lower(),  # type: ignore[no-untyped-call]
            column.nullable,
        )
        for table in metadata.sorted_tables
        for column in table.columns
    }
    ours = {table.name for table in metadata.sorted_tables}
    assert {key: value for key, value in migrated.items() if key[0] in ours} == named


@pytest.mark.parametrize(
    "table",
    [
        "accident_report",
        "claim_order",
        "evidence",
        "determination",
        "revocation",
        "service",
        "stay",
        "filing_answer",
        "contest",
    ],
)
async def test_evidence_and_determinations_are_never_changed(
    database: OpenDatabase, table: str
) -> None:
    claims = await database("claims")

    with pytest.raises(DBAPIError):
        async with claims.begin() as tx:
            await tx.execute(text(f"delete from {table}"))


async def test_the_date_of_a_clock_that_stands_still_fits_the_database(
    database: OpenDatabase,
) -> None:
    claims = await database("claims")
    async with claims.begin() as tx:
        answer = await tx.execute(text("select cast(:day as date)"), {"day": NEVER})

        assert answer.scalar_one() == NEVER
