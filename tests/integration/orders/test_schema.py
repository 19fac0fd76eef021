from __future__ import annotations

import psycopg
import pytest

from services.orders.store.tables import metadata
from services.runtime.storage.tables import NAMES
from tests.support.stack_client import StackClient
from tests.support.uploads import as_rows, execute, row, upload_one

PARTITIONS = {f"orders_{number}" for number in range(8)}


async def test_the_migrated_schema_is_that_of_the_store(client: StackClient) -> None:
    rows = await execute(
        client,
        "select table_name, column_name, is_nullable = 'YES' from information_schema.columns"
        " where table_schema = 'orders'",
    )
    migrated = {one for one in rows if one[0] not in {*PARTITIONS, *NAMES, "alembic_version"}}

    assert migrated == {
        (table.name, column.name, column.nullable)
        for table in metadata.sorted_tables
        for column in table.columns
    }


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("oip_orders", "select count(*) from orders.orders_0"),
        ("oip_orders", "insert into orders.orders select * from orders.orders"),
        ("oip_orders", "insert into orders.order_batch select * from orders.order_batch"),
        ("oip_orders", "insert into orders.checkpoint select * from orders.checkpoint"),
        ("oip_orders", "update orders.orders set worker = 2"),
        ("oip_orders", "delete from orders.orders"),
        ("oip_orders_intake", "update orders.orders set worker = 2"),
        ("oip_orders_intake", "delete from orders.order_batch"),
        ("oip_orders_intake", "truncate orders.orders"),
        ("oip_orders_intake", "copy orders.orders_0 from stdin"),
    ],
)
async def test_no_role_may_change_a_record_or_touch_a_partition(
    client: StackClient, role: str, statement: str
) -> None:
    url = client.stack.settings.database_url
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(f"set local role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement)


async def test_even_the_owner_cannot_change_a_record(client: StackClient) -> None:
    await upload_one(client, as_rows("owner", [row("owner")]))
    for statement in (
        "update orders.orders set worker = 2 where order_no = 'owner'",
        "delete from orders.orders_0",
        "truncate orders.orders",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            await execute(client, statement)
