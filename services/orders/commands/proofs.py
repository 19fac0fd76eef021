"""Proofs: that a record lies in a batch and the batch in the log, and that the log only grew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.kernel.phrases import Phrase
from services.kernel.problems import NotFound, OutOfRange
from services.orderlog import tree
from services.orderlog.entries import order_name
from services.orderlog.signer import Signer
from services.orderlog.tree import Position
from services.orders.domain.batches import Batch
from services.orders.domain.logs import Checkpoint
from services.orders.domain.orders import Record
from services.orders.domain.problems import NODES_MISSING, RecordsChanged, log_name
from services.orders.reader.pool import ReaderPool
from services.orders.store import batches as batch_store
from services.orders.store import logs as log_store
from services.orders.store import orders as order_store
from services.runtime.storage.database import Transaction, seeing_everything


@dataclass(frozen=True)
class Proof:
    """All that an offline verifier needs."""

    record: Record
    leaf: bytes
    leaf_index: int
    batch: Batch
    batch_path: list[bytes]
    log_path: list[bytes]
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Consistency:
    """The proof that a later head of a log contains an earlier one."""

    first: Checkpoint
    second: Checkpoint
    path: list[bytes]


@dataclass(frozen=True)
class ProofParts:
    """What a proof is computed from, read in one transaction."""

    record: Record
    leaf: bytes
    batch: Batch
    leaf_index: int
    packed_hashes: bytes
    log_path: list[bytes]
    checkpoint: Checkpoint


async def read_proof_parts(
    tx: Transaction, signer: Signer, platform: str, order_no: str, revision: int
) -> ProofParts:
    """Read what proves a record; revision 0 means the latest.

    Raises NotFound, or RecordsChanged if the batch does not lie in the log as it was signed.
    """
    name = order_name(platform, order_no)
    records = await order_store.list_revisions(tx, platform, order_no)
    matching = [record for record in records if revision in {0, record.revision}]
    if not matching:
        raise NotFound(name=name)
    # The proof needs the hashes of all records of the batch, whoever may see these.
    async with seeing_everything(tx):
        return await _parts_of(tx, signer, matching[-1])


async def _parts_of(tx: Transaction, signer: Signer, record: Record) -> ProofParts:
    platform, order_no = record.platform, record.order_no
    name = order_name(platform, order_no)
    batch = await batch_store.get(tx, platform, record.batch_id)
    if batch is None or batch.batch_no != record.batch_no:
        raise RecordsChanged(
            name=name, what=Phrase("OTHER_BATCH", "its batch is a different one", "其批次已不同")
        )
    checkpoint = await _signed_head(tx, signer, platform)
    size = checkpoint.log_size
    if not 0 <= batch.log_index < size:
        raise RecordsChanged(
            name=batch.name,
            what=Phrase.of(
                "LOG_SIZE", "the log has {size} batches", "日志只有 {size} 个批次", size=size
            ),
        )
    node = await _nodes(tx, platform, tree.path_ranges(batch.log_index, 0, size))
    log_path = tree.log_path(batch.log_index, size, node)
    entry = tree.leaf_hash(batch.log_entry)
    if not tree.is_included(entry, batch.log_index, size, log_path, checkpoint.root):
        raise RecordsChanged(
            name=batch.name, what=Phrase("NOT_IN_LOG", "it does not lie in the log", "不在日志中")
        )
    return ProofParts(
        record=record,
        leaf=await log_store.get_leaf(tx, platform, order_no, record.revision),
        batch=batch,
        leaf_index=await log_store.get_leaf_index(tx, batch.batch_no, record.leaf_index),
        packed_hashes=await log_store.list_hashes(tx, batch.batch_no),
        log_path=log_path,
        checkpoint=checkpoint,
    )


async def prove(readers: ReaderPool, parts: ProofParts) -> Proof:
    """Compute a proof. Raises RecordsChanged if the rows do not give the root."""
    async with readers.reader(parts.batch.platform) as reader:
        root, path = await reader.path(parts.packed_hashes, parts.leaf_index)
    index, count = parts.leaf_index, parts.batch.created_count
    leaf = tree.leaf_hash(parts.leaf)
    is_whole = len(parts.packed_hashes) == count * tree.HASH_BYTES and root == parts.batch.root
    if not is_whole or not tree.is_included(leaf, index, count, path, root):
        raise RecordsChanged(
            name=parts.batch.name,
            what=Phrase("OTHER_ROOT", "its records do not give its root", "其记录算不出根哈希"),
        )
    return Proof(
        parts.record, parts.leaf, index, parts.batch, path, parts.log_path, parts.checkpoint
    )


async def prove_consistency(
    tx: Transaction, signer: Signer, platform: str, first: int, second: int
) -> Consistency:
    """The proof between two sizes of a log; second 0 means the newest.

    Raises NotFound, Malformed, or RecordsChanged if the log does not give what was signed.
    """
    newest = await _signed_head(tx, signer, platform)
    if second > newest.log_size:
        raise NotFound(name=f"platforms/{platform}/checkpoints/{second}")
    later = await _signed_head(tx, signer, platform, second) if second else newest
    if not 0 < first <= later.log_size:
        raise OutOfRange.of("first_size", first, 1, later.log_size)
    earlier = await _signed_head(tx, signer, platform, first)
    node = await _nodes(tx, platform, tree.consistency_ranges(first, later.log_size))
    path = tree.consistency_path(first, later.log_size, node)
    if not tree.is_consistent(first, later.log_size, earlier.root, later.root, path):
        what = Phrase.of(
            "NOT_CONTAINED",
            "the head at {later} does not contain that at {earlier}",
            "规模 {later} 的检查点不包含规模 {earlier} 的检查点",
            later=later.log_size,
            earlier=first,
        )
        raise RecordsChanged(name=log_name(platform), what=what)
    return Consistency(earlier, later, path)


async def _signed_head(tx: Transaction, signer: Signer, platform: str, size: int = 0) -> Checkpoint:
    """The head of a size, or the newest for 0. Raises RecordsChanged if it is not signed."""
    head = await log_store.get_checkpoint(tx, platform, size)
    if head is None:
        if not size and not await log_store.find_any_batch(tx, platform):
            raise NotFound(name=f"platforms/{platform}/checkpoints")
        what = (
            Phrase.of(
                "HEAD_MISSING",
                "the head at {size} is missing",
                "缺少规模 {size} 的检查点",
                size=size,
            )
            if size
            else Phrase("NEWEST_HEAD_MISSING", "its newest head is missing", "缺少最新的检查点")
        )
        raise RecordsChanged(name=log_name(platform), what=what)
    if not signer.opens(head.note, platform, head.log_size, head.root):
        what = Phrase.of(
            "HEAD_NOT_SIGNED",
            "the head at {size} is not signed as it stands there",
            "规模 {size} 的检查点与其签名不符",
            size=head.log_size,
        )
        raise RecordsChanged(name=log_name(platform), what=what)
    return head


async def _nodes(
    tx: Transaction, platform: str, ranges: list[tuple[int, int]]
) -> Callable[[Position], bytes]:
    """The nodes that cover these ranges. Raises RecordsChanged if one is missing."""
    positions = [position for start, end in ranges for position in tree.range_positions(start, end)]
    nodes = await log_store.list_nodes(tx, platform, positions) if positions else {}
    if len(nodes) < len(positions):
        raise RecordsChanged(name=log_name(platform), what=NODES_MISSING)
    return nodes.__getitem__
