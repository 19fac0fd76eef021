"""An archive: a month of a platform's records as Parquet, and a manifest that ties them to the log.

Everything here works on the folder alone, without network or database; docs/retention.md.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from services.client.sealing import opened, sealed
from services.kernel.periods import Month
from services.kernel.problems import Kind, Problem
from services.orderlog import notes, tree
from services.orderlog.columns import SCHEMA
from services.orderlog.entries import log_entry

FORMAT = "oip-order-archive-1"
MANIFEST = "manifest.json"
FILE_NAME = re.compile(r"orders-\d{4}\.parquet")
# A row's batch by its place in the log; rows of a batch stand in the order of its leaves.
ROWS_SCHEMA = pa.schema([pa.field("log_index", pa.int64()), *SCHEMA])


class ArchiveBroken(Problem):
    """An archive does not hold."""

    kind, reason = Kind.MALFORMED, "ARCHIVE_BROKEN"
    message = "The archive does not hold: {what}. Do not rely on it; take another copy."
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
    """What a manifest says. `before` and `after` show that the month is whole."""

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
        """The batch at a place of the log; IndexError if it is not of this archive."""
        index = log_index - self.batches[0].log_index
        if index < 0:
            raise IndexError(log_index)
        return self.batches[index]

    def manifest(self) -> bytes:
        """The manifest's bytes."""
        return sealed(
            {
                "format": FORMAT,
                "platform": self.platform,
                "month": str(self.month),
                "verifier_key": self.verifier_key,
                "checkpoint": self.checkpoint,
                "checkpoint_time": self.checkpoint_time.isoformat(),
                "before": _batch_json(self.before) if self.before else None,
                "after": _batch_json(self.after) if self.after else None,
                "batches": [_batch_json(one) for one in self.batches],
                "files": [asdict(one) for one in self.files],
            }
        )


def read_archive(folder: Path) -> Archive:
    """What the manifest in a folder says, undamaged; raises ArchiveBroken."""
    try:
        held = opened((folder / MANIFEST).read_bytes(), FORMAT)
        return Archive(
            platform=held["platform"],
            month=Month.parse(held["month"]),
            verifier_key=held["verifier_key"],
            checkpoint=held["checkpoint"],
            checkpoint_time=datetime.fromisoformat(held["checkpoint_time"]),
            before=_batch(held["before"]) if held["before"] else None,
            after=_batch(held["after"]) if held["after"] else None,
            batches=tuple(_batch(one) for one in held["batches"]),
            files=tuple(ArchivedFile(**one) for one in held["files"]),
        )
    except OSError as error:
        what = f"{folder / MANIFEST} cannot be read ({error.strerror})"
        raise ArchiveBroken(what=what) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArchiveBroken(what=f"{MANIFEST} is damaged ({error})") from error


def check_folder(folder: Path, verifier_key: str = "") -> Archive:
    """Check the archive in a folder from its rows to the signed head; raises ArchiveBroken.

    `verifier_key` is the key as the authority gave it out; without it the one in the manifest is
    used, which proves that the archive is whole, but not who signed it.
    """
    archive = read_archive(folder)
    if verifier_key and archive.verifier_key != verifier_key.strip():
        raise ArchiveBroken(what="it is signed with another key than the one given")
    check(folder, archive)
    return archive


def check(folder: Path, archive: Archive) -> None:
    """Check that rows, roots, log and head fit each other and that the month is whole."""
    try:
        _check_log(archive)
        starts = [file.start for file in archive.files]
        ends = [file.end for file in archive.files]
        first, end = archive.batches[0].log_index, archive.batches[-1].log_index + 1
        if [*starts, end] != [first, *ends]:
            raise ArchiveBroken(what="its files do not hold its batches one after the other")
        for file in archive.files:
            check_bytes(folder, file)
            _check_rows(folder, archive, file)
    except OSError as error:
        what = f"{error.filename or folder} cannot be read ({error.strerror or error})"
        raise ArchiveBroken(what=what) from error
    except (ValueError, TypeError, KeyError, IndexError, pa.ArrowException) as error:
        raise ArchiveBroken(what=f"it is damaged ({error})") from error


def check_bytes(folder: Path, file: ArchivedFile) -> None:
    """Check a Parquet file's name, length and SHA-256 before anything reads it."""
    if not FILE_NAME.fullmatch(file.name):
        raise ArchiveBroken(what=f"{file.name!r} is no name of an archive's file")
    with (folder / file.name).open("rb") as source:
        digest = file_digest(source, "sha256").hexdigest()
        is_whole = source.tell() == file.byte_count and digest == file.sha256
    if not is_whole:
        raise ArchiveBroken(what=f"{file.name} was changed after it was written")


def batches_in(table: pa.Table, batches: Iterable[LoggedBatch]) -> Iterator[pa.Table]:
    """The rows of each batch, of a table that holds them one after the other."""
    start = 0
    for batch in batches:
        yield table.slice(start, batch.leaf_count)
        start += batch.leaf_count
    if start != table.num_rows:
        raise ArchiveBroken(what=f"{table.num_rows - start} rows belong to no batch")


def hashes_of(rows: pa.Table, batch: LoggedBatch, platform: str) -> list[bytes]:
    """The leaf hashes of a batch's rows; raises ArchiveBroken if they do not give its root."""
    hashes = hashes_of_table(rows, platform)
    if len(hashes) != batch.leaf_count or tree.root(hashes) != batch.root:
        raise ArchiveBroken(what=f"the rows of {batch.name} do not give its root")
    return hashes


def _check_log(archive: Archive) -> None:
    """Each batch lies in the log of the signed head, none is missing between, before or after."""
    head = notes.open_note(archive.checkpoint, archive.verifier_key)
    batches = archive.batches
    if not batches or not head.origin.endswith(f"/{archive.platform}"):
        raise ArchiveBroken(
            what=f"its head is not that of a log of {archive.platform} with batches"
        )
    around = [one for one in (archive.before, *batches, archive.after) if one]
    for batch in around:
        if not batch.name.startswith(f"platforms/{archive.platform}/orderBatches/"):
            raise ArchiveBroken(what=f"{batch.name} is of another platform")
        if not tree.is_included(
            batch.entry_hash, batch.log_index, head.size, batch.log_path, head.root
        ):
            raise ArchiveBroken(what=f"{batch.name} does not lie in the log")
    indexes = [one.log_index for one in around]
    if indexes != list(range(indexes[0], indexes[0] + len(indexes))):
        raise ArchiveBroken(what="batches are missing between others")
    if (archive.before is None) != (batches[0].log_index == 0):
        raise ArchiveBroken(what="it does not show what came before the month")
    if (archive.after is None) != (batches[-1].log_index == head.size - 1):
        raise ArchiveBroken(what="it does not show what came after the month")
    _check_month(archive)


def _check_month(archive: Archive) -> None:
    first, end = archive.month.moments
    before, after = archive.before, archive.after
    is_month = archive.batches[0].create_time >= first
    is_month = is_month and all(one.create_time < end for one in archive.batches)
    begins = before is None or before.create_time < first
    ends = after is None or after.create_time >= end
    if not (is_month and begins and ends):
        raise ArchiveBroken(what=f"its batches are not those of {archive.month}")


def _check_rows(folder: Path, archive: Archive, file: ArchivedFile) -> None:
    """Each row group holds whole batches; their rows give their roots."""
    done = file.start
    with pq.ParquetFile(folder / file.name) as source:
        if not source.schema_arrow.equals(ROWS_SCHEMA):
            raise ArchiveBroken(what=f"{file.name} has other columns")
        if source.metadata.num_rows != file.row_count:
            raise ArchiveBroken(what=f"{file.name} has another number of rows")
        for group in range(source.metadata.num_row_groups):
            table = source.read_row_group(group, use_threads=False)
            end = table["log_index"][-1].as_py() + 1
            batches = [archive.batch_at(index) for index in range(done, min(end, file.end))]
            for batch, rows in zip(batches, batches_in(table, batches), strict=True):
                _check_batch(batch, rows, archive.platform)
            done = end
    for index in range(done, file.end):
        _check_batch(archive.batch_at(index), ROWS_SCHEMA.empty_table(), archive.platform)


def _check_batch(batch: LoggedBatch, rows: pa.Table, platform: str) -> None:
    if set(rows["log_index"].to_pylist()) - {batch.log_index}:
        raise ArchiveBroken(what=f"rows of another batch stand among those of {batch.name}")
    hashes_of(rows, batch, platform)


def _batch_json(batch: LoggedBatch) -> dict[str, Any]:
    return {
        "name": batch.name,
        "create_time": batch.create_time.isoformat(),
        "log_index": batch.log_index,
        "leaf_count": batch.leaf_count,
        "root": _base64(batch.root),
        "log_path": [_base64(one) for one in batch.log_path],
    }


def _batch(held: dict[str, Any]) -> LoggedBatch:
    return LoggedBatch(
        name=held["name"],
        create_time=datetime.fromisoformat(held["create_time"]),
        log_index=held["log_index"],
        leaf_count=held["leaf_count"],
        root=_bytes(held["root"]),
        log_path=tuple(_bytes(one) for one in held["log_path"]),
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
