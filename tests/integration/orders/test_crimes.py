"""What a dishonest operator with superuser rights does, and what `oip verify` says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import grpc
import pytest
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.orders.v1 import orders_pb2 as pb

from services.orders.commands.signing import KEY_FILE, read_signer
from services.orders.domain import merkle, notes
from services.runtime.channels import problem_of
from services.runtime.delivery import missing
from services.runtime.wire import moment_to_wire
from tests.integration.orders.test_evidence import is_proven
from tests.support.uploading import NINE, SWIFT, OrderDesk, as_rows, row

UNGUARDED = "set session_replication_role = replica;"
B1 = "(select batch_no from orders.order_batch where batch_id = 'b1')"
B2 = "(select batch_no from orders.order_batch where batch_id = 'b2')"
B3 = "(select batch_no from orders.order_batch where batch_id = 'b3')"
LAST = "(select batch_no from orders.order_batch where log_index >= 4)"
ALL = ("orders", "order_batch", "order_tally", "order_rejection", "checkpoint", "log_node")
CUT = (
    f"delete from orders.orders where batch_no in {LAST};"
    f" delete from orders.order_tally where batch_no in {LAST};"
    " delete from orders.checkpoint where log_size > 4;"
    " delete from orders.log_node where level = 0 and position >= 4;"
    " update orders.order_log set log_size = 4, frontier ="
    " (select hash from orders.log_node where level = 2 and position = 0);"
    " delete from orders.order_batch where log_index >= 4"
)

# What is done, and what is said: the invariant and words of its finding.
CRIMES = {
    # Rows.
    "delete": ("delete from orders.orders where order_no = 'o-2'", "b1 do not give its root"),
    "edit": (
        "update orders.orders set end_time = end_time + interval '1 hour' where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "reorder": (
        "update orders.orders set leaf_index = 8 - leaf_index where order_no in ('o-2', 'o-6')",
        "b1 do not give its root",
    ),
    "backdate": (
        "update orders.orders set accept_time = now() where order_no = 'b4-0'",
        "b4 do not give its root",
    ),
    "add": (
        (
            "insert into orders.orders select batch_no, worker, accept_time, pick_up_time,"
            " end_time, 7, 1, place_of_acceptance, pooling_area, industry, state, platform,"
            " 'o-backdated', reason from orders.orders where order_no = 'o-2'"
        ),
        "b1 do not give its root",
    ),
    "a state that looks the same in a byte": (
        (
            "update orders.orders set state = state + 256 where order_no = 'o-2';"
            f" update orders.order_tally set order_count = 6 where batch_no = {B1}"
        ),
        "b1 do not give its root",
    ),
    "an industry that looks the same in a byte": (
        (
            f"update orders.orders set industry = industry + 256 where batch_no = {B1};"
            f" update orders.order_tally set industry = 257 where batch_no = {B1}"
        ),
        "b1 do not give its root",
    ),
    "a moment beyond all clocks": (
        "update orders.orders set accept_time = 'infinity' where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "an endless number": (
        "update orders.orders set order_no = repeat('9', 70000) where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "pooling area with its tally": (
        (
            "update orders.orders set pooling_area = 440600 where order_no = 'o-2';"
            f" update orders.order_tally set order_count = 6 where batch_no = {B1};"
            f" insert into orders.order_tally select batch_no, platform, 440600, industry,"
            f" service_date, 1 from orders.order_tally where batch_no = {B1}"
        ),
        "I5-areas: 1 orders stand in another pooling area",
    ),
    # Batches and their receipts.
    "drop a batch": (
        "delete from orders.order_batch where batch_id = 'b2'",
        f"the log of {SWIFT} lacks the batch at 2",
    ),
    "another time of a batch": (
        (
            "update orders.order_batch set create_time = create_time + interval '1 day'"
            " where batch_id = 'b1'; update orders.checkpoint set create_time = create_time +"
            " interval '1 day' where log_size = 2"
        ),
        f"the head of {SWIFT} at 2 is not the one that its batches give",
    ),
    "a time that cannot be read": (
        "update orders.order_batch set create_time = 'infinity' where batch_id = 'b1'",
        "I5-log: a value of the log cannot be read",
    ),
    "tallies moved between batches": (
        (
            f"update orders.order_tally set order_count = order_count + 1 where batch_no = {B1};"
            f" update orders.order_tally set order_count = order_count - 1 where batch_no = {B3}"
        ),
        "I2-tallies: 2 lines differ",
    ),
    "a rejection's content": (
        "update orders.order_rejection set order_no = 'x', content = null where status = 11",
        "the receipt of platforms/91110108MA01ABCD2H/orderBatches/b2 is not the one in the audit",
    ),
    "a rejection's reason": (
        "update orders.order_rejection set status = 8 where status = 3",
        "I13: 1 batches differ",
    ),
    "a reason with its count": (
        (
            "update orders.order_rejection set status = 8 where status = 3;"
            " update orders.order_batch set rejected_by_reason = '{\"8\": 1}' where batch_id = 'b2'"
        ),
        "b2 is not the one in the audit",
    ),
    "a reason that is none": (
        "update orders.order_rejection set status = 99 where status = 3",
        "the rejections of platforms/91110108MA01ABCD2H/orderBatches/b2 cannot be read",
    ),
    "reasons counted otherwise": (
        "update orders.order_batch set rejected_by_reason = '{\"4\": 1}' where batch_id = 'b2'",
        "I13: 1 batches differ",
    ),
    "more received": (
        (
            "update orders.order_batch set received_count = received_count + 5,"
            " exists_count = exists_count + 5 where batch_id = 'b2'"
        ),
        "b2 is not the one in the audit",
    ),
    "conflicts as rejections": (
        (
            "update orders.order_batch set conflict_count = 0, rejected_count = 2"
            " where batch_id = 'b2'"
        ),
        "I13: 1 batches differ",
    ),
    "content hash": (
        "update orders.order_batch set content_hash = sha256('x') where batch_id = 'b1'",
        "b1 is not the one in the audit",
    ),
    # The log.
    "frontier": (
        "update orders.order_log set frontier = sha256('x') || substr(frontier, 33)",
        "goes on from other nodes than its batches give",
    ),
    "a node": (
        "update orders.log_node set hash = sha256('x') where level = 0 and position = 4",
        f"node 0/4 of the log of {SWIFT} is not the one that its batches give",
    ),
    "a node removed": (
        "delete from orders.log_node where level = 1 and position = 1",
        f"node 1/1 of the log of {SWIFT} is not the one that its batches give",
    ),
    "a node added": (
        f"insert into orders.log_node values ('{SWIFT}', 7, 3, sha256('x'))",
        f"the log of {SWIFT} has 9 nodes, not 8",
    ),
    "an old root": (
        "update orders.checkpoint set root = sha256('x') where log_size = 3",
        f"the head of {SWIFT} at 3 is not the one that its batches give",
    ),
    "an old note": (
        "update orders.checkpoint set note = replace(note, '3', '4') where log_size = 3",
        f"the head of {SWIFT} at 3 is not signed as it stands there",
    ),
    "the newest note": (
        "update orders.checkpoint set note = 'forged' where log_size = 5",
        f"the head of {SWIFT} at 5 is not signed",
    ),
    "an older note as the newest": (
        (
            "update orders.checkpoint set note = (select note from orders.checkpoint"
            " where log_size = 2) where log_size = 5"
        ),
        f"the head of {SWIFT} at 5 is not signed as it stands there",
    ),
    "times of heads": (
        "update orders.checkpoint set create_time = '2020-01-01'",
        f"the head of {SWIFT} at 1 has another time than its batch",
    ),
    "old heads removed": (
        "delete from orders.checkpoint where log_size in (2, 3)",
        f"the head of {SWIFT} at 2 is missing; the head of {SWIFT} at 3 is missing",
    ),
    "the newest head removed": (
        "delete from orders.checkpoint where log_size = 5",
        f"the head of {SWIFT} at 5 is missing",
    ),
    "a head of what never was": (
        (
            f"insert into orders.checkpoint select '{SWIFT}', 4000000000, root, note, create_time"
            " from orders.checkpoint where log_size = 5"
        ),
        "lacks the batch at batches from 5 to 3999999998",
    ),
    "the log's end": (
        "delete from orders.order_log",
        f"the log of {SWIFT} is gone, its batches are not",
    ),
    "the log": (
        "delete from orders.order_log; delete from orders.checkpoint; delete from orders.log_node",
        f"the log of {SWIFT} is gone, its batches are not",
    ),
    "all batches": (
        "delete from orders.order_batch; delete from orders.checkpoint",
        f"the log of {SWIFT} tells of 5 batches and 8 nodes, and none is held",
    ),
    "the last batch with its head": (CUT, "orderBatches/b4 was recorded and is not held"),
    "the last batch, not in the audit": (
        f"{CUT}; delete from orders.audit where right(resource, 2) = 'b4'",
        "orderBatches/b4 was recorded and is not held",
    ),
    "the last batch, not told": (
        f"{CUT}; delete from orders.outbox where pub_seq = 5",
        "orderBatches/b4 was recorded and is not held",
    ),
    "a whole platform": (
        "; ".join(f"delete from orders.{table}" for table in (*ALL, "order_log")),
        "orderBatches/b0 was recorded and is not held",
    ),
    # What stands beside.
    "order of which a later revision came first": (
        "update orders.order_log set has_headless = not has_headless",
        "I2-headless: 1 orders or logs differ",
    ),
    "its number": ("delete from orders.headless_order", "I2-headless: 2 orders or logs differ"),
    "a freeze": ("delete from orders.order_freeze", "I5-freezes: 1 requests differ"),
    "a freeze moved": (
        "update orders.order_freeze set moment = moment + interval '1 day'",
        "I5-freezes: 2 requests differ",
    ),
    "a freeze made later": (
        "update orders.order_freeze set create_time = create_time + interval '1 day'",
        "I5-freezes: 1 requests differ",
    ),
    "a freeze made up": (
        (
            "insert into orders.order_freeze select 2, moment, holder, create_time"
            " from orders.order_freeze"
        ),
        "I5-freezes: 1 requests differ",
    ),
    "events": ("delete from orders.outbox", "b0 was told 0 times"),
    "an event": (
        (
            "update orders.outbox set payload = substr(payload, 1, length(payload) - 2)"
            " where pub_seq = 2"
        ),
        "b1 was told otherwise than it is held",
    ),
    "audit": ("delete from orders.audit", "b0 has no audit row"),
    "the end of the audit": (
        "delete from orders.audit where right(resource, 2) = 'b4'",
        "b4 has no audit row",
    ),
}


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
    channels = desk.running.channels("auditor", "administrator")
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


UNPROVEN = {
    "edit": "its records do not give its root",
    "another time of a batch": "it does not lie in the log",
    "a node": "it does not lie in the log",
    "a node removed": "nodes are missing",
    "the newest note": "the head at 5 is not signed as it stands there",
    "an older note as the newest": "the head at 5 is not signed as it stands there",
    "the log": "its newest head is missing",
    "a state that looks the same in a byte": "258 is no state",
    "a moment beyond all clocks": "a moment of it cannot be read",
    "an industry that looks the same in a byte": "its records do not give its root",
}


@pytest.mark.parametrize("crime", UNPROVEN)
async def test_what_a_crime_broke_is_not_proven(held: OrderDesk, crime: str) -> None:
    await held.execute(UNGUARDED + CRIMES[crime][0])

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await prove(held)

    problem = problem_of(refused.value)
    assert problem.reason == "RECORDS_CHANGED"
    assert UNPROVEN[crime] in problem.sentence


UNGROWN = {
    "a node": "does not contain that at 3",
    "an old root": "the head at 3 is not signed as it stands there",
    "an old note": "the head at 3 is not signed as it stands there",
    "old heads removed": "the head at 3 is missing",
    "the newest note": "the head at 5 is not signed",
    "the log": "its newest head is missing",
}


@pytest.mark.parametrize("crime", UNGROWN)
async def test_a_log_that_a_crime_broke_is_not_shown_to_grow(held: OrderDesk, crime: str) -> None:
    await held.execute(UNGUARDED + CRIMES[crime][0])

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await grown(held)

    problem = problem_of(refused.value)
    assert problem.reason == "RECORDS_CHANGED"
    assert UNGROWN[crime] in problem.sentence


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
    return merkle.is_consistent(
        3, found.second_size, found.first_root, found.second_root, list(found.path)
    )


async def order(desk: OrderDesk) -> bool:
    name = f"platforms/{SWIFT}/orders/o-2"
    found = await desk.at("adjudicator").GetOrder(pb.GetOrderRequest(name=name))
    return len(found.revisions) == 1


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
    channels = desk.running.channels("auditor", "administrator")
    try:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, "orders")
        return await stub.GetDelivery(operations_pb2.GetDeliveryRequest())
    finally:
        await channels.close()
