"""A snapshot of a service's rows, so that one running service serves many tests.

To restore it takes some milliseconds, where another database with another service takes half a
second. The service itself keeps no state of the rows.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import psycopg

from tests.support.killed_orders import ask, until

TRIES = 5
ENDED_SECONDS = 20
# Every table but the partitions, which their parents stand for.
_TABLES = """
select relname from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p')
    and not relispartition and relname <> 'alembic_version' order by relname
"""
_COPY = "create table {copy}.{table} as table {schema}.{table};"
_RESTORE = (
    "delete from {schema}.{table};"
    " insert into {schema}.{table} overriding system value table {copy}.{table};"
)


@dataclass(frozen=True)
class Snapshot:
    """The rows of a schema as they were when the snapshot was taken."""

    url: str
    schema: str
    copy: str
    tables: tuple[str, ...]

    def of_each(self, statement: str) -> bytes:
        """A statement for each table."""
        names = {"schema": self.schema, "copy": self.copy}
        return "".join(statement.format(table=table, **names) for table in self.tables).encode()

    async def restore(self) -> None:
        """Bring the rows back, whatever happened to them; triggers do not fire."""
        statements = self.of_each(_RESTORE)
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute("set session_replication_role = replica")
            for attempt in range(1, TRIES + 1):
                try:
                    await connection.execute(statements)
                except psycopg.errors.DeadlockDetected:
                    # The service numbers events and links audit rows by itself.
                    if attempt == TRIES:
                        raise
                else:
                    return

    async def restore_in_new_epoch(self) -> None:
        """The same; events that follow are published under separate numbers."""
        await self.restore()
        epoch = secrets.token_hex(6)
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            statement = f"update {self.schema}.outbox_counter set epoch = '{epoch}'"
            await connection.execute(statement.encode())


async def take_snapshot(url: str, schema: str) -> Snapshot:
    """Copy all rows of a schema into another one."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        rows = await (await connection.execute(_TABLES, (schema,))).fetchall()
        tables = tuple(name for (name,) in rows)
        snapshot = Snapshot(url, schema, f"snapshot_{secrets.token_hex(4)}", tables)
        create = f"create schema {snapshot.copy};".encode()
        await connection.execute(create + snapshot.of_each(_COPY))
    return snapshot


async def month_has_ended(url: str, service: str) -> None:
    """Wait until the service has ended the month before its start, which it does by itself."""
    ended = f"select 1 from {service}.outbox where subject like '%MonthEnded' and pub_seq > 0"

    async def holds() -> bool:
        return bool(await ask(url, ended))

    await until(holds, ENDED_SECONDS)
