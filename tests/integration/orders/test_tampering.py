"""What a dishonest operator with superuser rights does, and what `oip verify` says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.orders.v1 import orders_pb2 as pb

from services.orderlog import notes, tree
from services.orders.commands.signing import KEY_FILE, read_signer
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import moment_to_wire
from services.runtime.service.delivery import missing
from tests.integration.orders.test_evidence import is_proven
from tests.support.crimes import CRIMES, CUT, UNGUARDED
from tests.support.uploading import NINE, SWIFT, OrderDesk, as_rows, row


@pytest.fixture
async def held(desk: OrderDesk) -> OrderDesk:
    """Five batches, of which b2 has refused rows; one kept moment; everything told."""
    for number, count in enumerate((1, 7, 2, 4, 3)):
        rows = [row(f"o-{n}" if number == 1 else f"b{number}-{n}") for n in range(count)]
        if number == 2:
            rows += [row("bad", industry=9), row("o-1", worker=2), row("late", revision=2)]
        await desk.receipt(as_rows(f"b{number}", rows))
    await desk.at("adjudicator").FreezeOrders(
        pb.FreezeOrdersRequest(
            request_id="f1", worker="workers/1", moment=moment_to_wire(NINE), holder="claims/c1"
        )
    )
    await desk.running.settled()
    return desk


async def named(desk: OrderDesk) -> str:
    """What `oip verify` says of orders."""
    channels = desk.context.channels("auditor", "administrator")
    try:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "orders")
        checks = (await stub.Verify(operations_pb2.VerifyRequest())).checks
    finally:
        await channels.close()
    return "; ".join(f"{one.invariant}: {one.detail}" for one in checks if not one.holds)


@pytest.mark.parametrize(("crime", "words"), CRIMES.values(), ids=CRIMES.keys())
async def test_a_crime_is_named(held: OrderDesk, crime: str, words: str) -> None:
    assert await named(held) == ""

    await held.execute(UNGUARDED + crime)

    assert words in await named(held)
    # Whoever asks gets what holds, or is told that it does not.
    assert await answer(prove(held)) in {"PROVEN", "RECORDS_CHANGED", "NOT_FOUND"}
    assert await answer(grown(held)) in {"PROVEN", "RECORDS_CHANGED", "NOT_FOUND"}
    assert await answer(order(held)) in {"PROVEN", "RECORDS_CHANGED", "NOT_FOUND"}


def verifier_key(desk: OrderDesk) -> str:
    return read_signer(desk.running.settings.state_dir / KEY_FILE, "440000").verifier_key


async def prove(desk: OrderDesk) -> bool:
    name = f"platforms/{SWIFT}/orders/o-2"
    found = await desk.at("adjudicator").GetOrderProof(pb.GetOrderProofRequest(name=name))
    return is_proven(found, verifier_key(desk))


async def grown(desk: OrderDesk) -> bool:
    """Whether the log of today contains the head at 3, which somebody kept."""
    stub, platform = desk.at("fund_officer"), f"platforms/{SWIFT}"
    found = await stub.GetLogConsistency(
        pb.GetLogConsistencyRequest(platform=platform, first_size=3)
    )
    return tree.is_consistent(
        3, found.second_size, found.first_root, found.second_root, list(found.path)
    )


async def order(desk: OrderDesk) -> bool:
    name = f"platforms/{SWIFT}/orders/o-2"
    found = await desk.at("adjudicator").GetOrder(pb.GetOrderRequest(name=name))
    return len(found.revisions) == 1


async def near(desk: OrderDesk) -> int:
    asked = pb.FindOrdersRequest(worker="workers/1", moment=moment_to_wire(NINE))
    return len((await desk.at("adjudicator").FindOrders(asked)).orders)


async def day(desk: OrderDesk) -> int:
    accepted = {"year": 2025, "month": 7, "day": 10}
    asked = pb.ListWorkerOrdersRequest(worker="workers/1", accept_date=accepted)
    return len((await desk.at("adjudicator").ListWorkerOrders(asked)).records)


UNPROVEN = {
    "edit": "its records do not give its root",
    "another time of a batch": "it does not lie in the log",
    "a node": "it does not lie in the log",
    "a node removed": "nodes are missing",
    "the newest note": "the head at 5 is not signed as it stands there",
    "an older note as the newest": "the head at 5 is not signed as it stands there",
    "the log": "its newest head is missing",
    "a state that looks the same in a byte": "258 is no state",
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
    *((prove, crime, said) for crime, said in UNPROVEN.items()),
    *((grown, crime, said) for crime, said in UNGROWN.items()),
    (near, "an end beyond all clocks", "a moment cannot be read"),
    (day, "an end beyond all clocks", "a moment cannot be read"),
]


@pytest.mark.parametrize(
    ("ask", "crime", "said"), UNANSWERED, ids=[f"{ask.__name__}: {c}" for ask, c, _ in UNANSWERED]
)
async def test_whoever_asks_for_what_a_crime_broke_is_told(
    held: OrderDesk, ask: Callable[[OrderDesk], Awaitable[object]], crime: str, said: str
) -> None:
    await held.execute(UNGUARDED + CRIMES[crime][0])

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(held)

    problem = problem_of(refused.value)
    assert problem.reason == "RECORDS_CHANGED"
    assert said in problem.sentence


async def answer(question: Awaitable[bool]) -> str:
    try:
        return "PROVEN" if await question else "WRONG"
    except grpc.aio.AioRpcError as error:
        return problem_of(error).reason


async def test_an_audit_cut_at_its_end_is_named(held: OrderDesk) -> None:
    unlinked = "select 1 from orders.audit where seq is null limit 1"
    while await held.execute(unlinked):  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(0.1)

    await held.execute(
        UNGUARDED + "delete from orders.audit where seq = (select max(seq) from orders.audit)"
    )

    assert "I10: breaks at row 6" in await named(held)


async def test_an_end_cut_out_of_everything_shows_outside_alone(held: OrderDesk) -> None:
    """Nothing inside one database can show it; listeners and kept heads do (docs/evidence.md)."""
    key = verifier_key(held)
    stub = held.at("fund_officer")
    platform = f"platforms/{SWIFT}"
    newest = await stub.ListCheckpoints(pb.ListCheckpointsRequest(platform=platform, page_size=1))
    kept = notes.open_note(newest.checkpoints[0].note, key)
    before = await delivered(held)
    heard = operations_pb2.Delivery()
    heard.heard.add(
        producer="orders",
        epoch=before.epoch,
        event_count=before.published_seq,
        max_seq=before.published_seq,
    )

    await held.execute(
        UNGUARDED + CUT + "; delete from orders.audit where right(resource, 2) = 'b4';"
        " delete from orders.outbox where pub_seq = 5;"
        " update orders.outbox_counter set next_seq = 5;"
        " update orders.audit set seq = null, prev_hash = null, hash = null;"
        " update orders.audit_head set seq = 0, hash = decode(repeat('00', 32), 'hex')"
    )

    assert await named(held) == ""
    told = {"orders": await delivered(held), "premiums": heard}
    assert missing(told) == ["premiums has heard 5 of 4 of orders"]
    with pytest.raises(grpc.RpcError) as refused:
        await stub.GetLogConsistency(
            pb.GetLogConsistencyRequest(platform=platform, first_size=kept.size)
        )
    assert "from 1 to 4" in str(refused.value.details())


async def delivered(desk: OrderDesk) -> operations_pb2.Delivery:
    channels = desk.context.channels("auditor", "administrator")
    try:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "orders")
        return await stub.GetDelivery(operations_pb2.GetDeliveryRequest())
    finally:
        await channels.close()
