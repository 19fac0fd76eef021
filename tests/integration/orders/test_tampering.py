"""What a dishonest operator with superuser rights does, and what `oip verify` reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.orders.v1 import orders_pb2 as pb

from services.orderlog import notes, tree
from services.orderlog.signer import KEY_FILE
from services.orders.commands.log_key import read_signer
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import moment_to_wire
from services.runtime.service.delivery import missing
from tests.integration.orders.test_evidence import is_proven
from tests.support.platforms import SWIFT
from tests.support.snapshots import Snapshot, take_snapshot
from tests.support.stack_client import StackClient
from tests.support.tampering import CHANGES, CUT, EVENT, UNGUARDED
from tests.support.uploads import NINE, NOW, as_rows, execute, row, upload_one


@pytest.fixture(scope="module")
async def filled(running_orders: StackClient, empty_orders: Snapshot) -> Snapshot:
    """Five batches, of which b2 has refused rows, and a moment whose records are kept."""
    await empty_orders.restore()
    for number, count in enumerate((1, 7, 2, 4, 3)):
        rows = [row(f"o-{n}" if number == 1 else f"b{number}-{n}") for n in range(count)]
        if number == 2:
            rows += [row("bad", industry=9), row("o-1", worker=2), row("late", revision=2)]
        await upload_one(running_orders, as_rows(f"b{number}", rows))
    await running_orders.orders("adjudicator").FreezeOrders(
        pb.FreezeOrdersRequest(
            request_id="f1", worker="workers/1", moment=moment_to_wire(NINE), holder="claims/c1"
        )
    )
    await running_orders.delivered()
    unlinked = "select 1 from orders.audit where seq is null limit 1"
    while await execute(running_orders, unlinked):  # noqa: ASYNC110 - the database sends no notice
        await asyncio.sleep(0.1)
    return await take_snapshot(running_orders.stack.settings.database_url, "orders")


@pytest.fixture
async def log(running_orders: StackClient, filled: Snapshot) -> StackClient:
    """The service with those batches."""
    running_orders.clock.set(NOW)
    await filled.restore()
    return running_orders


async def named(client: StackClient) -> str:
    """What `oip verify` reports about orders."""
    channels = client.stack.channels("auditor", "administrator")
    try:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "orders")
        checks = (await stub.Verify(operations_pb2.VerifyRequest())).checks
    finally:
        await channels.close()
    return "; ".join(f"{one.invariant}: {one.detail}" for one in checks if not one.holds)


@pytest.mark.parametrize(("change", "sentence"), CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_is_named(log: StackClient, change: str, sentence: str) -> None:
    assert await named(log) == ""

    await execute(log, UNGUARDED + change)

    assert sentence in await named(log)
    # An answer is proven, or refused because the records were changed.
    assert await answer(prove(log)) in {"PROVEN", "RECORDS_CHANGED", "NOT_FOUND"}
    assert await answer(grown(log)) in {"PROVEN", "RECORDS_CHANGED", "NOT_FOUND"}
    assert await answer(order(log)) in {"PROVEN", "RECORDS_CHANGED", "NOT_FOUND"}


def verifier_key(client: StackClient) -> str:
    return read_signer(client.stack.settings.state_dir / KEY_FILE, "440000").verifier_key


async def prove(client: StackClient) -> bool:
    name = f"platforms/{SWIFT}/orders/o-2"
    found = await client.orders("adjudicator").GetOrderProof(pb.GetOrderProofRequest(name=name))
    return is_proven(found, verifier_key(client))


async def grown(client: StackClient) -> bool:
    """Whether today's log contains the kept head at 3."""
    stub, platform = client.orders("fund_officer"), f"platforms/{SWIFT}"
    found = await stub.GetLogConsistency(
        pb.GetLogConsistencyRequest(platform=platform, first_size=3)
    )
    return tree.is_consistent(
        3, found.second_size, found.first_root, found.second_root, list(found.path)
    )


async def order(client: StackClient) -> bool:
    name = f"platforms/{SWIFT}/orders/o-2"
    found = await client.orders("adjudicator").GetOrder(pb.GetOrderRequest(name=name))
    return len(found.revisions) == 1


async def near(client: StackClient) -> int:
    asked = pb.FindOrdersRequest(worker="workers/1", moment=moment_to_wire(NINE))
    return len((await client.orders("adjudicator").FindOrders(asked)).orders)


async def day(client: StackClient) -> int:
    accepted = {"year": 2025, "month": 7, "day": 10}
    asked = pb.ListWorkerOrdersRequest(worker="workers/1", accept_date=accepted)
    return len((await client.orders("adjudicator").ListWorkerOrders(asked)).records)


UNPROVEN = {
    "edit": "its records do not give its root",
    "another time of a batch": "it does not lie in the log",
    "a node": "it does not lie in the log",
    "a node removed": "nodes are missing",
    "the newest note": "the head at 5 is not signed as it stands there",
    "an older note as the newest": "the head at 5 is not signed as it stands there",
    "the log": "its newest head is missing",
    "a state that looks the same in a byte": "258 is not a state",
    "a moment beyond all clocks": "a moment cannot be read",
    "an industry that looks the same in a byte": "its records do not give its root",
}
UNGROWN = {
    "a node": "does not contain that at 3",
    "an old root": "the head at 3 is not signed as it stands there",
    "an old note": "the head at 3 is not signed as it stands there",
    "old heads removed": "the head at 3 is missing",
    "the newest note": "the head at 5 is not signed",
    "the log": "its newest head is missing",
}
UNANSWERED = [
    *((prove, change, said) for change, said in UNPROVEN.items()),
    *((grown, change, said) for change, said in UNGROWN.items()),
    (near, "an end beyond all clocks", "a moment cannot be read"),
    (day, "an end beyond all clocks", "a moment cannot be read"),
]


@pytest.mark.parametrize(
    ("ask", "change", "said"), UNANSWERED, ids=[f"{ask.__name__}: {c}" for ask, c, _ in UNANSWERED]
)
async def test_a_question_about_what_was_changed_is_refused(
    log: StackClient, ask: Callable[[StackClient], Awaitable[object]], change: str, said: str
) -> None:
    await execute(log, UNGUARDED + CHANGES[change][0])

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(log)

    problem = problem_of(refused.value)
    assert problem.reason == "RECORDS_CHANGED"
    assert said in problem.sentence


async def answer(question: Awaitable[bool]) -> str:
    try:
        return "PROVEN" if await question else "WRONG"
    except grpc.aio.AioRpcError as error:
        return problem_of(error).reason


async def test_an_audit_cut_at_its_end_is_named(log: StackClient) -> None:
    unlinked = "select 1 from orders.audit where seq is null limit 1"
    while await execute(log, unlinked):  # noqa: ASYNC110 - the database sends no notice
        await asyncio.sleep(0.1)

    ((highest,),) = await log.rows("orders", "select max(seq) from audit")

    await execute(log, UNGUARDED + f"delete from orders.audit where seq = {highest}")

    assert f"I10-chain: breaks at row {highest}" in await named(log)


async def test_an_end_cut_out_of_everything_shows_outside_alone(log: StackClient) -> None:
    """Nothing inside one database can show it; listeners and kept heads do (docs/evidence.md)."""
    key = verifier_key(log)
    stub = log.orders("fund_officer")
    platform = f"platforms/{SWIFT}"
    newest = await stub.ListCheckpoints(pb.ListCheckpointsRequest(platform=platform, page_size=1))
    kept = notes.open_note(newest.checkpoints[0].note, key)
    before = await delivered(log)
    consumed = operations_pb2.Delivery()
    consumed.consumed.add(
        producer="orders",
        epoch=before.epoch,
        event_count=before.published_seq,
        max_seq=before.published_seq,
    )

    await execute(
        log,
        UNGUARDED + CUT + "; delete from orders.audit where right(resource, 2) = 'b4';"
        f" delete from orders.outbox where {EVENT.format('b4')};"
        f" update orders.outbox_counter set next_seq = {before.published_seq}, fingerprint ="
        "  (select fingerprint from orders.outbox order by pub_seq desc limit 1);"
        " update orders.audit set seq = null, prev_hash = null, hash = null;"
        " update orders.audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex')",
    )

    assert await named(log) == ""
    told = {"orders": await delivered(log), "premiums": consumed}
    assert list(map(str, missing(told))) == [
        f"premiums has consumed {before.published_seq} of {before.published_seq - 1} of orders"
    ]
    with pytest.raises(grpc.RpcError) as refused:
        await stub.GetLogConsistency(
            pb.GetLogConsistencyRequest(platform=platform, first_size=kept.size)
        )
    assert "within 1 to 4" in str(refused.value.details())


async def delivered(client: StackClient) -> operations_pb2.Delivery:
    channels = client.stack.channels("auditor", "administrator")
    try:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "orders")
        return await stub.GetDelivery(operations_pb2.GetDeliveryRequest())
    finally:
        await channels.close()
