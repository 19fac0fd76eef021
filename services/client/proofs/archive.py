"""An archive on disk: a month of a platform's records as Parquet files, and its manifest.

Everything here works on the folder alone, without network or database; docs/retention.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.kernel.phrases import Phrase
from services.orderlog import tree
from services.orderlog.leaves import hashes_of_table
from services.orderlog.manifest import (
    ROWS_SCHEMA,
    Archive,
    ArchiveBroken,
    ArchivedFile,
    LoggedBatch,
    parse_manifest,
    require_proven,
)

MANIFEST = "manifest.json"
FILE_NAME = re.compile(r"orders-\d{4}\.parquet")


def read_archive(folder: Path) -> Archive:
    """The archive that the manifest in a folder describes; raises ArchiveBroken."""
    try:
        return parse_manifest((folder / MANIFEST).read_bytes())
    except OSError as error:
        raise unreadable(error, folder / MANIFEST) from error


def unreadable(error: OSError, path: Path) -> ArchiveBroken:
    """The refusal of an archive whose files the system does not give."""
    return ArchiveBroken(
        what=Phrase.of(
            "UNREADABLE",
            "{file} cannot be read ({error})",
            "无法读取 {file}",
            file=error.filename or path,
            error=error.strerror or error,
        )
    )


def check_folder(folder: Path, verifier_key: str = "") -> Archive:
    """Check the archive in a folder from its rows to the signed head; raises ArchiveBroken.

    `verifier_key` is the key as the authority published it. Without it the key in the manifest is
    used, which proves that the archive is whole, but not who signed it.
    """
    archive = read_archive(folder)
    if verifier_key and archive.verifier_key != verifier_key.strip():
        raise ArchiveBroken(
            what=Phrase(
                "OTHER_KEY",
                "it is signed with another key than the expected one",
                "签名所用密钥与预期不符",
            )
        )
    check(folder, archive)
    return archive


def check(folder: Path, archive: Archive) -> None:
    """Check that rows, roots, log and head fit each other and that the month is whole."""
    try:
        require_proven(archive)
        starts = [file.start for file in archive.files]
        ends = [file.end for file in archive.files]
        first, end = archive.batches[0].log_index, archive.batches[-1].log_index + 1
        if [*starts, end] != [first, *ends]:
            raise ArchiveBroken(
                what=Phrase(
                    "FILES_OUT_OF_ORDER",
                    "its files do not hold its batches one after the other",
                    "各文件中的批次不连续",
                )
            )
        for file in archive.files:
            check_bytes(folder, file)
            _check_rows(folder, archive, file)
    except OSError as error:
        raise unreadable(error, folder) from error
    except (ValueError, TypeError, KeyError, IndexError, pa.ArrowException) as error:
        raise ArchiveBroken(
            what=Phrase.of("DAMAGED", "it is damaged ({error})", "已损坏", error=error)
        ) from error


def check_bytes(folder: Path, file: ArchivedFile) -> None:
    """Check a Parquet file's name, length and SHA-256 before anything reads it."""
    if not FILE_NAME.fullmatch(file.name):
        raise ArchiveBroken(
            what=Phrase.of(
                "NOT_A_FILE_NAME",
                "{file} is not the name of an archive's file",
                "{file} 不是归档文件的名称",
                file=repr(file.name),
            )
        )
    with (folder / file.name).open("rb") as source:
        digest = file_digest(source, "sha256").hexdigest()
        is_whole = source.tell() == file.byte_count and digest == file.sha256
    if not is_whole:
        raise ArchiveBroken(
            what=Phrase.of(
                "FILE_CHANGED",
                "{file} was changed after it was written",
                "{file} 在写入后被改动",
                file=file.name,
            )
        )


def batches_in(table: pa.Table, batches: Iterable[LoggedBatch]) -> Iterator[pa.Table]:
    """The rows of each batch, of a table that holds them one after the other."""
    start = 0
    for batch in batches:
        yield table.slice(start, batch.leaf_count)
        start += batch.leaf_count
    if start != table.num_rows:
        raise ArchiveBroken(
            what=Phrase.of(
                "ROWS_OF_NO_BATCH",
                "{count} rows belong to no batch",
                "有 {count} 行不属于任何批次",
                count=table.num_rows - start,
            )
        )


def hashes_of(rows: pa.Table, batch: LoggedBatch, platform: str) -> list[bytes]:
    """The leaf hashes of a batch's rows; raises ArchiveBroken if they do not give its root."""
    hashes = hashes_of_table(rows, platform)
    if len(hashes) != batch.leaf_count or tree.root(hashes) != batch.root:
        raise ArchiveBroken(
            what=Phrase.of(
                "OTHER_ROOT",
                "the rows of {batch} do not give its root",
                "{batch} 的各行算不出其根哈希",
                batch=batch.name,
            )
        )
    return hashes


def _check_rows(folder: Path, archive: Archive, file: ArchivedFile) -> None:
    """Each row group holds whole batches; their rows give their roots."""
    done = file.start
    with pq.ParquetFile(folder / file.name) as source:
        if not source.schema_arrow.equals(ROWS_SCHEMA):
            raise ArchiveBroken(
                what=Phrase.of(
                    "OTHER_COLUMNS", "{file} has other columns", "{file} 的列不符", file=file.name
                )
            )
        if source.metadata.num_rows != file.row_count:
            raise ArchiveBroken(
                what=Phrase.of(
                    "OTHER_ROW_COUNT",
                    "{file} has another number of rows",
                    "{file} 的行数不符",
                    file=file.name,
                )
            )
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
        raise ArchiveBroken(
            what=Phrase.of(
                "ROWS_OF_OTHER_BATCH",
                "rows of another batch are among those of {batch}",
                "{batch} 的行中混有其他批次的行",
                batch=batch.name,
            )
        )
    hashes_of(rows, batch, platform)
