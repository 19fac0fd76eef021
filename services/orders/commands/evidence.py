"""Proofs: that a record lies in a batch and the batch in the log, and that the log only grew."""

from __future__ import annotations

from dataclasses import dataclass

from services.kernel.problems import Kind, Malformed, NotFound, Problem
from services.orders.commands.workers import WorkerPool
from services.orders.domain import merkle
from services.orders.domain.merkle import Place
from services.orders.domain.records import Batch, Record
from services.orders.store import log as store
from services.orders.store import records
from services.orders.store.log import Checkpoint
from services.runtime.database import Transaction


class RecordsChanged(Problem):
    """The rows that are held no longer give the root that the log holds."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "RECORDS_CHANGED"
    words = (
        "The records of {order_batch} no longer give the root in the log, so they were changed "
        "after their receipt; tell the auditor and restore them from the archive."
    )
    words_zh = (
        "{order_batch} 的记录与日志中的根哈希不符, 说明回执之后被改动; 请通知审计并从归档恢复。"
    )


@dataclass(frozen=True)
class Proof:
    """All that a verifier needs, offline."""

    record: Record
    leaf: bytes
    leaf_index: int
    batch: Batch
    batch_path: list[bytes]
    log_path: list[bytes]
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Consistency:
    """That a later head of a log contains an earlier one."""

    first: Checkpoint
    second: Checkpoint
    path: list[bytes]


@dataclass(frozen=True)
class Found:
    """What a proof is made of, read in one transaction."""

    record: Record
    leaf: bytes
    batch: Batch
    leaf_index: int
    packed: bytes
    log_path: list[bytes]
    checkpoint: Checkpoint


async def read_proof(tx: Transaction, platform: str, order_no: str, revision: int) -> Found:
    """Read what proves a record; revision 0 means the latest. Raises NotFound."""
    held = await records.revisions_of(tx, platform, order_no)
    wanted = [one for one in held if revision in {0, one.revision}]
    if not wanted:
        raise NotFound(name=f"platforms/{platform}/orders/{order_no}")
    record = wanted[-1]
    batch = await records.get_batch(tx, platform, record.batch_id)
    checkpoint = await store.get_checkpoint(tx, platform)
    assert batch is not None
    assert checkpoint is not None
    ranges = merkle.path_ranges(batch.log_index, 0, checkpoint.log_size)
    node = await _nodes(tx, platform, ranges)
    return Found(
        record=record,
        leaf=await store.leaf_of(tx, platform, order_no, record.revision),
        batch=batch,
        leaf_index=await store.leaf_index_of(tx, batch.batch_no, record.leaf_index),
        packed=await store.hashes_of_batch(tx, batch.batch_no),
        log_path=merkle.log_path(batch.log_index, checkpoint.log_size, node.__getitem__),
        checkpoint=checkpoint,
    )


async def prove(pool: WorkerPool, found: Found) -> Proof:
    """The proof of what was read. Raises RecordsChanged if the rows do not give the root."""
    async with pool.worker() as worker:
        header = {"ask": "path", "index": found.leaf_index}
        _, (root, packed_path) = await worker.ask(header, found.packed)
    path = merkle.unpack(packed_path)
    index, count = found.leaf_index, found.batch.created_count
    leaf = merkle.leaf_hash(found.leaf)
    held = len(found.packed) == count * merkle.HASH_BYTES and root == found.batch.root
    if not held or not merkle.is_included(leaf, index, count, path, root):
        raise RecordsChanged(order_batch=found.batch.name)
    return Proof(
        found.record, found.leaf, index, found.batch, path, found.log_path, found.checkpoint
    )


async def consistency(tx: Transaction, platform: str, first: int, second: int) -> Consistency:
    """The proof between two sizes; second 0 means the newest. Raises NotFound or Malformed."""
    later = await store.get_checkpoint(tx, platform, second)
    if later is None:
        raise NotFound(name=f"platforms/{platform}/checkpoints/{second}")
    if not 0 < first <= later.log_size:
        what = f"write a size from 1 to {later.log_size}"
        raise Malformed.of("first_size", what)
    earlier = await store.get_checkpoint(tx, platform, first)
    assert earlier is not None
    ranges = merkle.consistency_ranges(first, later.log_size)
    node = await _nodes(tx, platform, ranges)
    path = merkle.consistency_path(first, later.log_size, node.__getitem__)
    return Consistency(earlier, later, path)


async def _nodes(
    tx: Transaction, platform: str, ranges: list[tuple[int, int]]
) -> dict[Place, bytes]:
    places = [place for one in ranges for place in merkle.range_places(*one)]
    return await store.nodes(tx, platform, places) if places else {}
