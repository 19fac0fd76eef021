"""The manifest of an archive: which batches of a month are in it, and how the log proves them.

docs/retention.md describes the format. Everything here works on the manifest's bytes alone; the
Parquet files next to it are checked where files are read.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from services.kernel.periods import Month
from services.kernel.phrases import Phrase
from services.kernel.problems import Kind, Problem
from services.orderlog import notes, tree
from services.orderlog.columns import SCHEMA
from services.orderlog.entries import log_entry
from services.orderlog.sealed_json import seal, unseal

FORMAT = "oip-order-archive-1"
# A row's batch by its place in the log; the rows of a batch are in the order of its leaves.
ROWS_SCHEMA = pa.schema([pa.field("log_index", pa.int64()), *SCHEMA])


class ArchiveBroken(Problem):
    """An archive is not valid."""

    kind, reason = Kind.MALFORMED, "ARCHIVE_BROKEN"
    message = "The archive is not valid: {what}. Do not rely on it; use another copy."
    message_zh = "归档不成立: {what}。请勿采信, 并改用其他副本。"


@dataclass(frozen=True)
class LoggedBatch:
    """A batch as an entry of its platform's log, and the path from there to the signed head."""

    name: str
    create_time: datetime
    log_index: int
    leaf_count: int
    root: bytes
    log_path: tuple[bytes, ...]

    @property
    def entry_hash(self) -> bytes:
        """The log's leaf hash."""
        entry = log_entry(self.leaf_count, self.create_time, self.root, self.name)
        return tree.leaf_hash(entry)


@dataclass(frozen=True)
class ArchivedFile:
    """A Parquet file and the batches in it: log indexes [start, end)."""

    name: str
    byte_count: int
    sha256: str
    row_count: int
    start: int
    end: int


@dataclass(frozen=True)
class Archive:
    """The content of a manifest. `before` and `after` show that the month is whole."""

    platform: str
    month: Month
    verifier_key: str
    checkpoint: str
    checkpoint_time: datetime
    before: LoggedBatch | None
    after: LoggedBatch | None
    batches: tuple[LoggedBatch, ...]
    files: tuple[ArchivedFile, ...]

    @property
    def row_count(self) -> int:
        """Records in the archive."""
        return sum(file.row_count for file in self.files)

    @property
    def byte_count(self) -> int:
        """Bytes of its Parquet files."""
        return sum(file.byte_count for file in self.files)

    def batch_at(self, log_index: int) -> LoggedBatch:
        """The batch at a place of the log; IndexError if it is not in this archive."""
        index = log_index - self.batches[0].log_index
        if index < 0:
            raise IndexError(log_index)
        return self.batches[index]

    def manifest(self) -> bytes:
        """The manifest's bytes."""
        return seal(
            {
                "format": FORMAT,
                "platform": self.platform,
                "month": str(self.month),
                "verifier_key": self.verifier_key,
                "checkpoint": self.checkpoint,
                "checkpoint_time": self.checkpoint_time.isoformat(),
                "before": _batch_json(self.before) if self.before else None,
                "after": _batch_json(self.after) if self.after else None,
                "batches": [_batch_json(batch) for batch in self.batches],
                "files": [asdict(file) for file in self.files],
            }
        )


def parse_manifest(manifest: bytes) -> Archive:
    """The archive that a manifest describes.

    Raises ArchiveBroken if the manifest is damaged. What it says is not checked against the log:
    see `require_proven`.
    """
    try:
        content = unseal(manifest, FORMAT)
        return Archive(
            platform=content["platform"],
            month=Month.parse(content["month"]),
            verifier_key=content["verifier_key"],
            checkpoint=content["checkpoint"],
            checkpoint_time=datetime.fromisoformat(content["checkpoint_time"]),
            before=_batch(content["before"]) if content["before"] else None,
            after=_batch(content["after"]) if content["after"] else None,
            batches=tuple(_batch(batch) for batch in content["batches"]),
            files=tuple(ArchivedFile(**file) for file in content["files"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveBroken(
            what=Phrase.of(
                "MANIFEST_DAMAGED", "its manifest is damaged ({error})", "清单已损坏", error=error
            )
        ) from error


def require_proven(archive: Archive) -> None:
    """Raise ArchiveBroken unless the signed head proves each batch and none is missing.

    None may be missing between the batches, before the first of the month, or after the last.
    Raises ValueError if the head or a hash cannot be read.
    """
    head = notes.open_note(archive.checkpoint, archive.verifier_key)
    batches = archive.batches
    if not batches or not head.origin.endswith(f"/{archive.platform}"):
        raise ArchiveBroken(
            what=Phrase.of(
                "OTHER_HEAD",
                "its head is not that of a log of {platform} with batches",
                "检查点不属于 {platform} 的非空日志",
                platform=archive.platform,
            )
        )
    around = [batch for batch in (archive.before, *batches, archive.after) if batch]
    for batch in around:
        if not batch.name.startswith(f"platforms/{archive.platform}/orderBatches/"):
            raise ArchiveBroken(
                what=Phrase.of(
                    "OTHER_PLATFORM",
                    "{batch} is of another platform",
                    "{batch} 属于其他平台",
                    batch=batch.name,
                )
            )
        if not tree.is_included(
            batch.entry_hash, batch.log_index, head.size, batch.log_path, head.root
        ):
            raise ArchiveBroken(
                what=Phrase.of(
                    "NOT_IN_LOG",
                    "{batch} does not lie in the log",
                    "{batch} 不在日志中",
                    batch=batch.name,
                )
            )
    indexes = [batch.log_index for batch in around]
    if indexes != list(range(indexes[0], indexes[0] + len(indexes))):
        raise ArchiveBroken(
            what=Phrase("BATCHES_MISSING", "batches are missing between others", "中间缺少批次")
        )
    if (archive.before is None) != (batches[0].log_index == 0):
        raise ArchiveBroken(
            what=Phrase(
                "NO_BEFORE", "it does not show what came before the month", "未显示该月之前的批次"
            )
        )
    if (archive.after is None) != (batches[-1].log_index == head.size - 1):
        raise ArchiveBroken(
            what=Phrase(
                "NO_AFTER", "it does not show what came after the month", "未显示该月之后的批次"
            )
        )
    _require_month(archive)


def _require_month(archive: Archive) -> None:
    first, end = archive.month.moments
    before, after = archive.before, archive.after
    is_month = archive.batches[0].create_time >= first
    is_month = is_month and all(batch.create_time < end for batch in archive.batches)
    begins = before is None or before.create_time < first
    ends = after is None or after.create_time >= end
    if not (is_month and begins and ends):
        raise ArchiveBroken(
            what=Phrase.of(
                "OTHER_MONTH",
                "its batches are not those of {month}",
                "其批次不属于 {month}",
                month=archive.month,
            )
        )


def _batch_json(batch: LoggedBatch) -> dict[str, Any]:
    return {
        "name": batch.name,
        "create_time": batch.create_time.isoformat(),
        "log_index": batch.log_index,
        "leaf_count": batch.leaf_count,
        "root": _base64(batch.root),
        "log_path": [_base64(node) for node in batch.log_path],
    }


def _batch(content: dict[str, Any]) -> LoggedBatch:
    return LoggedBatch(
        name=content["name"],
        create_time=datetime.fromisoformat(content["create_time"]),
        log_index=content["log_index"],
        leaf_count=content["leaf_count"],
        root=_bytes(content["root"]),
        log_path=tuple(_bytes(node) for node in content["log_path"]),
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
