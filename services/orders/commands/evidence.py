"""Proofs: that a record lies in a batch and the batch in the log, and that the log only grew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.kernel.problems import Malformed, NotFound
from services.orderlog import tree
from services.orderlog.entries import order_name
from services.orderlog.tree import Place
from services.orders.commands.signing import Signer
from services.orders.commands.workers import WorkerPool
from services.orders.domain.changed import RecordsChanged
from services.orders.domain.records import Batch, Record
from services.orders.store import log as store
from services.orders.store import records
from services.orders.store.log import Checkpoint
from services.runtime.storage.database import Transaction


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


async def read_proof(
    tx: Transaction, signer: Signer, platform: str, order_no: str, revision: int
) -> Found:
    """Read what proves a record; revision 0 means the latest.

    Raises NotFound, or RecordsChanged if the batch does not lie in the log as it was signed.
    """
    name = order_name(platform, order_no)
    held = await records.revisions_of(tx, platform, order_no)
    wanted = [one for one in held if revision in {0, one.revision}]
    if not wanted:
        raise NotFound(name=name)
    record = wanted[-1]
    batch = await records.get_batch(tx, platform, record.batch_id)
    if batch is None or batch.batch_no != record.batch_no:
        raise RecordsChanged(name=name, what="its batch is another")
    checkpoint = await _signed(tx, signer, platform)
    size = checkpoint.log_size
    if not 0 <= batch.log_index < size:
        raise RecordsChanged(name=batch.name, what=f"the log has {size} batches")
    node = await _nodes(tx, platform, tree.path_ranges(batch.log_index, 0, size))
    log_path = tree.log_path(batch.log_index, size, node)
    entry = tree.leaf_hash(batch.log_entry)
    if not tree.is_included(entry, batch.log_index, size, log_path, checkpoint.root):
        raise RecordsChanged(name=batch.name, what="it does not lie in the log")
    return Found(
        record=record,
        leaf=await store.leaf_of(tx, platform, order_no, record.revision),
        batch=batch,
        leaf_index=await store.leaf_index_of(tx, batch.batch_no, record.leaf_index),
        packed=await store.hashes_of_batch(tx, batch.batch_no),
        log_path=log_path,
        checkpoint=checkpoint,
    )


async def prove(pool: WorkerPool, found: Found) -> Proof:
    """The proof of what was read. Raises RecordsChanged if the rows do not give the root."""
    async with pool.worker() as worker:
        header = {"ask": "path", "index": found.leaf_index}
        _, (root, packed_path) = await worker.ask(header, found.packed)
    path = tree.unpack(packed_path)
    index, count = found.leaf_index, found.batch.created_count
    leaf = tree.leaf_hash(found.leaf)
    held = len(found.packed) == count * tree.HASH_BYTES and root == found.batch.root
    if not held or not tree.is_included(leaf, index, count, path, root):
        raise RecordsChanged(name=found.batch.name, what="its records do not give its root")
    return Proof(
        found.record, found.leaf, index, found.batch, path, found.log_path, found.checkpoint
    )


async def consistency(
    tx: Transaction, signer: Signer, platform: str, first: int, second: int
) -> Consistency:
    """The proof between two sizes; second 0 means the newest.

    Raises NotFound, Malformed, or RecordsChanged if the log does not give what was signed.
    """
    newest = await _signed(tx, signer, platform)
    if second > newest.log_size:
        raise NotFound(name=f"platforms/{platform}/checkpoints/{second}")
    later = await _signed(tx, signer, platform, second) if second else newest
    if not 0 < first <= later.log_size:
        what = f"write a size from 1 to {later.log_size}"
        raise Malformed.of("first_size", what)
    earlier = await _signed(tx, signer, platform, first)
    node = await _nodes(tx, platform, tree.consistency_ranges(first, later.log_size))
    path = tree.consistency_path(first, later.log_size, node)
    if not tree.is_consistent(first, later.log_size, earlier.root, later.root, path):
        what = f"the head at {later.log_size} does not contain that at {first}"
        raise RecordsChanged(name=_log(platform), what=what)
    return Consistency(earlier, later, path)


async def _signed(tx: Transaction, signer: Signer, platform: str, size: int = 0) -> Checkpoint:
    """The head of a size, or the newest for 0, if it is signed as it stands there."""
    found = await store.get_checkpoint(tx, platform, size)
    if found is None:
        if not size and not await store.has_batches(tx, platform):
            raise NotFound(name=f"platforms/{platform}/checkpoints")
        where = f"the head at {size}" if size else "its newest head"
        raise RecordsChanged(name=_log(platform), what=f"{where} is missing")
    if not signer.opens(found.note, platform, found.log_size, found.root):
        what = f"the head at {found.log_size} is not signed as it stands there"
        raise RecordsChanged(name=_log(platform), what=what)
    return found


async def _nodes(
    tx: Transaction, platform: str, ranges: list[tuple[int, int]]
) -> Callable[[Place], bytes]:
    """The nodes that cover these ranges. Raises RecordsChanged if one is missing."""
    places = [place for one in ranges for place in tree.range_places(*one)]
    held = await store.nodes(tx, platform, places) if places else {}
    if len(held) < len(places):
        raise RecordsChanged(name=_log(platform), what="nodes are missing")
    return held.__getitem__


def _log(platform: str) -> str:
    return f"the log of platforms/{platform}"
