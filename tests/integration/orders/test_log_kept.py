"""Intake does not continue a log that differs from its signature; commit times never fall."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
import sqlalchemy as sa
from oip.orders.v1 import orders_pb2 as pb

from services.orderlog import tree
from services.orderlog.entries import batch_name, log_entry
from services.orders.store import logs as store
from tests.support.platforms import SWIFT
from tests.support.snapshots import Snapshot, take_snapshot
from tests.support.stack_client import StackClient
from tests.support.uploads import NOW, as_rows, execute, row, upload_one, upload_refused, violations

UNGUARDED = "set session_replication_role = replica;"


@pytest.fixture(scope="module")
async def filled(running_orders: StackClient, empty_orders: Snapshot) -> Snapshot:
    """Five batches of one order."""
    await empty_orders.restore()
    for number in range(5):
        await upload_one(running_orders, as_rows(f"b{number}", [row(f"o-{number}")]))
    await running_orders.delivered()
    return await take_snapshot(running_orders.stack.settings.database_url, "orders")


@pytest.fixture
async def log(running_orders: StackClient, filled: Snapshot) -> StackClient:
    """The service with those batches."""
    running_orders.clock.set(NOW)
    await filled.restore()
    return running_orders


async def row_counts(client: StackClient) -> list[tuple[object, ...]]:
    return await execute(
        client,
        "select (select count(*) from orders.orders), (select count(*) from orders.order_batch),"
        " (select count(*) from orders.checkpoint), (select count(*) from orders.log_node),"
        " (select count(*) from orders.audit), (select count(*) from orders.outbox)",
    )


CHANGES = {
    "frontier": "update orders.order_log set frontier = sha256('x') || substr(frontier, 33)",
    "merged frontier": "update orders.order_log set frontier = sha256('\\x01'::bytea || frontier)",
    "size": "update orders.order_log set log_size = 4",
    "no log": "delete from orders.order_log",
    "no log, no heads": "delete from orders.order_log; delete from orders.checkpoint",
    "no heads": "delete from orders.checkpoint",
    "an older head": "delete from orders.checkpoint where log_size = 5",
    "an older note": "update orders.checkpoint set note = (select note from orders.checkpoint"
    " where log_size = 4) where log_size = 5",
    "another root": "update orders.checkpoint set root = sha256('x') where log_size = 5",
    "no note": "update orders.checkpoint set note = ''",
    "a batch cut": "delete from orders.order_batch where log_index = 4",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_nothing_is_added_to_a_log_that_was_changed(log: StackClient, change: str) -> None:
    await execute(log, UNGUARDED + change)
    before = await row_counts(log)

    _, reason, sentence = await upload_refused(log, as_rows("next", [row("next")]))

    assert reason == "LOG_BROKEN"
    assert "tell the auditor" in sentence
    assert await row_counts(log) == before


async def test_a_history_rewritten_without_the_key_is_not_signed(log: StackClient) -> None:
    """Row, roots, nodes, heads and frontier all fit each other; only the signature is missing."""
    await execute(
        log,
        UNGUARDED + "update orders.orders set end_time = end_time + interval '1 minute'"
        " where order_no = 'o-1'",
    )
    await execute(log, UNGUARDED + await rewritten(log))

    named = "; ".join(await violations(log))
    _, reason, _ = await upload_refused(log, as_rows("next", [row("next")]))

    assert reason == "LOG_BROKEN"
    assert f"the head of {SWIFT} at 2 is not signed" in named


async def rewritten(client: StackClient) -> str:
    """Statements that rebuild the whole log from the present rows."""
    async with client.database("orders").begin() as tx:
        numbers = [
            row.batch_no
            for row in await tx.execute(sa.text("select batch_no from order_batch order by 1"))
        ]
        hashes = await store.list_hashes_by_batch(tx, numbers)
        rows = await tx.execute(sa.text("select * from order_batch order by log_index"))
    frontier: list[bytes] = []
    statements = ["delete from orders.log_node"]
    for batch in rows:
        root = tree.root(tree.unpack(hashes[batch.batch_no]))
        statements.append(
            f"update orders.order_batch set root = '\\x{root.hex()}'"
            f" where batch_no = {batch.batch_no}"
        )
        entry = log_entry(1, batch.create_time, root, batch_name(SWIFT, batch.batch_id))
        leaf, before = tree.leaf_hash(entry), frontier
        frontier, positions = tree.append(before, batch.log_index, leaf)
        nodes = zip(positions, tree.completed_hashes(before, positions, leaf), strict=True)
        statements += [
            f"insert into orders.log_node values ('{SWIFT}', {level}, {at}, '\\x{node.hex()}')"
            for (level, at), node in nodes
        ]
        statements.append(
            f"update orders.checkpoint set root = '\\x{tree.fold(frontier).hex()}'"
            f" where log_size = {batch.log_index + 1}"
        )
    packed = b"".join(frontier).hex()
    return "; ".join([*statements, f"update orders.order_log set frontier = '\\x{packed}'"])


async def test_commit_times_never_fall_along_the_log(client: StackClient) -> None:
    receipts: list[pb.OrderBatch] = []
    for number, hours in enumerate((0, -2, 2)):
        client.clock.set(NOW + timedelta(hours=hours))
        receipts.append(await upload_one(client, as_rows(f"b{number}", [row(f"k-{number}")])))

    times = [one.create_time.ToDatetime(UTC) for one in receipts]
    assert times == [NOW, NOW, NOW + timedelta(hours=2)]
    assert await violations(client) == []
