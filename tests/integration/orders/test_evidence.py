"""Proofs of stored records, and what a dishonest operator with superuser rights cannot hide."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from oip.orders.v1 import orders_pb2 as pb

from services.orderlog import notes, tree
from services.orderlog.entries import log_entry
from services.runtime.rpc.wire import moment_from_wire
from tests.support.platforms import PEARL, SWIFT
from tests.support.snapshots import Snapshot, take_snapshot
from tests.support.stack_client import StackClient
from tests.support.tampering import EVENT
from tests.support.uploads import NOW, as_rows, execute, row, upload_one, verifier_key, violations

ORDER = f"platforms/{SWIFT}/orders/o-3"


@pytest.fixture(scope="module")
async def filled(running_orders: StackClient, empty_orders: Snapshot) -> Snapshot:
    """Five batches; o-3 is in the second one."""
    await empty_orders.restore()
    for number, count in enumerate((1, 7, 2, 4, 3)):
        rows = [row(f"o-{n}" if number == 1 else f"b{number}-{n}") for n in range(count)]
        await upload_one(running_orders, as_rows(f"b{number}", rows))
    await running_orders.delivered()
    return await take_snapshot(running_orders.stack.settings.database_url, "orders")


@pytest.fixture
async def log(running_orders: StackClient, filled: Snapshot) -> StackClient:
    """The service with those batches."""
    running_orders.clock.set(NOW)
    await filled.restore()
    return running_orders


def is_proven(proof: pb.OrderProof, key: str) -> bool:
    head = notes.open_note(proof.checkpoint.note, key)
    taken = moment_from_wire(proof.record.create_time, "create_time")
    entry = log_entry(proof.leaf_count, taken, proof.batch_root, proof.record.order_batch)
    in_batch = tree.is_included(
        tree.leaf_hash(proof.leaf),
        proof.leaf_index,
        proof.leaf_count,
        list(proof.batch_path),
        proof.batch_root,
    )
    in_log = tree.is_included(
        tree.leaf_hash(entry), proof.log_index, head.size, list(proof.log_path), head.root
    )
    return in_batch and in_log


async def prove(client: StackClient, name: str = ORDER) -> pb.OrderProof:
    return await client.orders("adjudicator").GetOrderProof(pb.GetOrderProofRequest(name=name))


async def test_a_record_is_proven_from_leaf_to_signed_head(log: StackClient) -> None:
    proof = await prove(log)

    assert is_proven(proof, verifier_key(log))
    assert (proof.leaf_index, proof.leaf_count, proof.log_index) == (3, 7, 1)
    assert proof.checkpoint.log_size == 5


async def test_every_record_of_a_mixed_batch_is_proven(log: StackClient) -> None:
    rows = [row("o-1"), row("new-1"), row("o-2"), row("bad", worker=77), row("new-2"), row("new-3")]
    receipt = await upload_one(log, as_rows("mixed", rows))
    key = verifier_key(log)

    proofs = [await prove(log, f"platforms/{SWIFT}/orders/new-{n}") for n in (1, 2, 3)]

    assert receipt.created_count == 3
    assert [proof.leaf_index for proof in proofs] == [0, 1, 2]
    assert all(is_proven(proof, key) for proof in proofs)


async def test_any_changed_byte_of_a_proof_is_found(log: StackClient) -> None:
    proof, key = await prove(log), verifier_key(log)

    def changed(change: Callable[[pb.OrderProof], None]) -> pb.OrderProof:
        other = pb.OrderProof.FromString(proof.SerializeToString())
        change(other)
        return other

    def flip(values: bytes) -> bytes:
        return bytes((values[0] ^ 1,)) + values[1:]

    others = [
        changed(lambda one: setattr(one, "leaf", flip(one.leaf))),
        changed(lambda one: setattr(one, "batch_root", flip(one.batch_root))),
        changed(lambda one: setattr(one, "leaf_index", 2)),
        changed(lambda one: setattr(one, "log_index", 2)),
        changed(lambda one: one.batch_path.__setitem__(0, flip(one.batch_path[0]))),
        changed(lambda one: one.log_path.__setitem__(0, flip(one.log_path[0]))),
        changed(lambda one: setattr(one.record, "order_batch", "platforms/x/orderBatches/y")),
    ]
    assert not any(is_proven(other, key) for other in others)
    with pytest.raises(ValueError, match="is not valid"):
        notes.open_note(proof.checkpoint.note.replace("\n5\n", "\n6\n"), key)


async def test_the_log_only_grows(log: StackClient) -> None:
    stub, key = log.orders("fund_officer"), verifier_key(log)
    answer = await stub.ListCheckpoints(pb.ListCheckpointsRequest(platform=f"platforms/{SWIFT}"))
    heads = {one.log_size: notes.open_note(one.note, key) for one in answer.checkpoints}

    assert sorted(heads) == [1, 2, 3, 4, 5]
    for first in range(1, 6):
        for second in range(first, 6):
            proof = await stub.GetLogConsistency(
                pb.GetLogConsistencyRequest(
                    platform=f"platforms/{SWIFT}", first_size=first, second_size=second
                )
            )
            assert tree.is_consistent(
                first, second, heads[first].root, heads[second].root, list(proof.path)
            )


async def test_a_changed_record_is_not_proven_any_more(log: StackClient) -> None:
    await execute(
        log,
        "set session_replication_role = replica;"
        " update orders.orders set worker = 2 where order_no = 'o-3'",
    )

    with pytest.raises(grpc.RpcError) as refused:
        await prove(log)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_forked_log_does_not_fit_a_head_given_out_before(log: StackClient) -> None:
    """A rewritten batch with all that follows, signatures too, contradicts the old head."""
    key = verifier_key(log)
    stub = log.orders("fund_officer")
    request = pb.ListCheckpointsRequest(platform=f"platforms/{SWIFT}")
    given_out = notes.open_note((await stub.ListCheckpoints(request)).checkpoints[0].note, key)
    await execute(
        log,
        "set session_replication_role = replica;"
        " delete from orders.orders where order_no <> 'b0-0';"
        " delete from orders.order_tally where batch_no not in (select batch_no"
        " from orders.order_batch where log_index = 0);"
        " delete from orders.checkpoint where log_size > 1;"
        " delete from orders.log_node where not (level = 0 and position = 0);"
        " update orders.order_log set log_size = 1, frontier = (select hash from orders.log_node);"
        " delete from orders.order_batch where log_index > 0;"
        " delete from orders.audit where right(resource, 2) <> 'b0';"
        f" delete from orders.outbox where not {EVENT.format('b0')}"
        " and subject not like '%MonthEnded'",
    )
    for number in range(1, 6):
        await upload_one(log, as_rows(f"forged-{number}", [row(f"forged-{number}")]))

    assert await violations(log) == []  # the forged log is whole in itself
    proof = await stub.GetLogConsistency(
        pb.GetLogConsistencyRequest(platform=f"platforms/{SWIFT}", first_size=given_out.size)
    )
    assert not tree.is_consistent(
        given_out.size, proof.second_size, given_out.root, proof.second_root, list(proof.path)
    )


async def test_a_platform_gets_no_proof_of_anothers_record(log: StackClient) -> None:
    stub = log.orders("platform", platform=PEARL)

    with pytest.raises(grpc.RpcError) as refused:
        await stub.GetOrderProof(pb.GetOrderProofRequest(name=ORDER))

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
