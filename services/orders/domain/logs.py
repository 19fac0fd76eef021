"""A platform's log: its end, its signed heads, and how a batch is added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.kernel.phrases import Phrase
from services.orderlog import tree
from services.orderlog.signer import Signer
from services.orderlog.tree import Position
from services.orders.domain.problems import LogBroken


@dataclass(frozen=True)
class Checkpoint:
    """A signed head of a platform's log."""

    platform: str
    log_size: int
    root: bytes
    note: str
    create_time: datetime


@dataclass(frozen=True)
class PlatformLog:
    """The log that the next batch is added to: its size and the frontier of its tree."""

    platform: str
    size: int
    frontier: list[bytes]
    # Whether it has orders of which a later revision arrived before the first.
    misses_first_revisions: bool
    # For comparison: the newest head, the number of batches, and the time of the last one.
    head: Checkpoint | None = None
    batch_count: int = 0
    last_time: datetime | None = None

    def next_time(self, now: datetime) -> datetime:
        """The time of the next entry. It never falls, because months are ranges of the log."""
        return max(now, self.last_time or now)


@dataclass(frozen=True)
class Growth:
    """A log after a batch was added: the log, its signed head, and the nodes completed."""

    log: PlatformLog
    head: Checkpoint
    nodes: Sequence[tuple[Position, bytes]]


def append_and_sign(log: PlatformLog, log_entry: bytes, signer: Signer, now: datetime) -> Growth:
    """Add an entry to a log and sign the new head."""
    leaf = tree.leaf_hash(log_entry)
    frontier, positions = tree.append(log.frontier, log.size, leaf)
    hashes = tree.completed_hashes(log.frontier, positions, leaf)
    grown = replace(log, size=log.size + 1, frontier=frontier)
    root = tree.fold(frontier)
    note = signer.sign(log.platform, grown.size, root)
    head = Checkpoint(log.platform, grown.size, root, note, now)
    return Growth(grown, head, list(zip(positions, hashes, strict=True)))


def require_unchanged(log: PlatformLog, signer: Signer) -> None:
    """Raise LogBroken unless the newest signed head matches the log.

    Otherwise the service would sign changes made to the tables by someone without the key.
    """
    what = _difference(log, signer) if log.size or log.batch_count or log.head else None
    if what is not None:
        raise LogBroken(platform=f"platforms/{log.platform}", what=what)


def _difference(log: PlatformLog, signer: Signer) -> Phrase | None:
    size, head = log.size, log.head
    if log.batch_count != size:
        return Phrase.of(
            "OTHER_COUNT",
            "it holds {size} batches, but {count} are there",
            "应有 {size} 个批次, 现有 {count} 个",
            size=size,
            count=log.batch_count,
        )
    if head is None:
        return Phrase.of(
            "HEAD_MISSING",
            "the head of its {size} batches is missing",
            "缺少 {size} 个批次的检查点",
            size=size,
        )
    if head.log_size != size or len(log.frontier) != size.bit_count():
        return Phrase.of(
            "OTHER_SIZE",
            "it holds {size} batches, but its newest head is that of {count}",
            "应有 {size} 个批次, 最新检查点的规模为 {count}",
            size=size,
            count=head.log_size,
        )
    if head.root != tree.fold(log.frontier):
        return Phrase.of(
            "OTHER_NODES",
            "its nodes do not give the head at {size}",
            "节点算不出规模 {size} 的检查点",
            size=size,
        )
    if signer.opens(head.note, log.platform, size, head.root):
        return None
    return Phrase.of(
        "OTHER_KEY",
        "the head at {size} is not signed with the key of this log",
        "规模 {size} 的检查点不是用该日志的密钥签名",
        size=size,
    )
