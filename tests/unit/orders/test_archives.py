"""Rows of an archive, its month, and the writer's cut into row groups and files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from oip.orders.v1 import orders_pb2 as pb

from services.client.proofs import archive_writer
from services.client.proofs.archive import check_folder
from services.client.proofs.archive_proofs import prove_from
from services.client.proofs.evidence import evidence_file, verify_file
from services.kernel.periods import Month
from services.orderlog import notes, tree
from services.orderlog.columns import SCHEMA
from services.orderlog.entries import batch_name, log_entry
from services.orderlog.leaves import hashes_of_table
from services.orderlog.manifest import Archive, ArchiveBroken
from services.orderlog.sealed_json import seal, unseal
from services.orders.domain import archives
from services.orders.domain.problems import MonthNotOver
from services.runtime.rpc.wire import moment_to_wire, month_to_wire
from tests.support.platforms import SWIFT
from tests.support.uploads import NINE, row, table_of

AUGUST = Month(2025, 8)
TAKEN = datetime(2025, 8, 10, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = notes.key_name("440000")
VERIFIER = notes.verifier_key(NAME, KEY.public_key())


def rows_of(batch: int, count: int) -> pa.Table:
    """Rows as a batch sends them; the first of each batch has a reason."""
    rows = [
        row(f"{batch:03d}-{n}", worker=n + 1, reason="测试" if n == 0 else "") for n in range(count)
    ]
    return table_of(rows).cast(SCHEMA) if rows else SCHEMA.empty_table()


def parts_of(counts: list[int]) -> list[pb.GetOrderArchiveResponse]:
    """What the service would send for batches with these numbers of rows, the whole of a log."""
    tables = [rows_of(number, count) for number, count in enumerate(counts)]
    logged = []
    for number, table in enumerate(tables):
        root = tree.root(hashes_of_table(table, SWIFT))
        name, taken = batch_name(SWIFT, f"b{number}"), TAKEN + timedelta(seconds=number)
        logged.append((name, taken, table.num_rows, root))
    entries = [
        tree.leaf_hash(log_entry(count, taken, root, name)) for name, taken, count, root in logged
    ]
    head = notes.Head(notes.origin("440000", SWIFT), len(entries), tree.root(entries))
    checkpoint = pb.Checkpoint(
        platform=f"platforms/{SWIFT}",
        log_size=head.size,
        root=head.root,
        note=notes.sign(head, NAME, KEY),
        create_time=moment_to_wire(TAKEN),
    )
    archive = pb.OrderArchive(
        platform=f"platforms/{SWIFT}",
        month=month_to_wire(AUGUST),
        checkpoint=checkpoint,
        batch_count=len(counts),
        row_count=sum(counts),
    )
    parts = [pb.GetOrderArchiveResponse(archive=archive)]
    for number, (name, taken, count, root) in enumerate(logged):
        batch = pb.LoggedBatch(
            name=name,
            create_time=moment_to_wire(taken),
            log_index=number,
            leaf_count=count,
            root=root,
            log_path=tree.path(entries, number),
        )
        parts.append(pb.GetOrderArchiveResponse(batch=batch))
        messages = archives.messages(tables[number])
        parts += [pb.GetOrderArchiveResponse(arrow_ipc=content) for content in messages]
    return parts


def write(
    folder: Path, parts: list[pb.GetOrderArchiveResponse], on_rows: Any = lambda *_: None
) -> Archive:
    async def stream() -> AsyncIterator[pb.GetOrderArchiveResponse]:
        for part in parts:
            yield part

    # asyncio.run would take the session's event loop away from the tests that follow.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(archive_writer.write_archive(stream(), folder, VERIFIER, on_rows))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups from 5 rows on, files from 10."""
    monkeypatch.setattr(archive_writer, "GROUP_ROWS", 5)
    monkeypatch.setattr(archive_writer, "FILE_ROWS", 10)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "counts", [[1], [0], [0, 0, 3], [5, 5], [7, 0, 0], [3, 0, 2, 9, 1, 1, 0, 6, 4, 0], [1] * 23]
)
def test_batches_of_any_size_are_archived_whole(tmp_path: Path, counts: list[int]) -> None:
    archive = write(tmp_path, parts_of(counts))

    assert check_folder(tmp_path, VERIFIER) == archive
    assert [batch.leaf_count for batch in archive.batches] == counts
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "manifest.json",
        *(one.name for one in archive.files),
    ]
    for number, count in enumerate(counts):
        for place in range(count):
            proof = prove_from([tmp_path], f"platforms/{SWIFT}/orders/{number:03d}-{place}")
            assert verify_file(evidence_file(VERIFIER, [proof]), VERIFIER)


@pytest.mark.usefixtures("small")
def test_a_batch_never_lies_in_two_row_groups(tmp_path: Path) -> None:
    archive = write(tmp_path, parts_of([4, 4, 4, 4, 4]))

    groups = []
    for file in archive.files:
        with pq.ParquetFile(tmp_path / file.name) as source:
            groups += [
                source.read_row_group(group)["log_index"].to_pylist()
                for group in range(source.metadata.num_row_groups)
            ]
    assert groups == [[0] * 4 + [1] * 4, [2] * 4 + [3] * 4, [4] * 4]


def test_the_writer_holds_a_row_group_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_writer, "GROUP_ROWS", 1000)
    parts = parts_of([500] * 24)
    held: list[int] = []
    before = pa.total_allocated_bytes()

    write(tmp_path, parts, lambda *_: held.append(pa.total_allocated_bytes() - before))

    assert max(held[len(held) // 2 :]) <= 1.5 * max(held[: len(held) // 4])


@pytest.mark.parametrize("dropped", [-1, -2, 1])
def test_a_stream_that_lacks_a_part_makes_no_archive(tmp_path: Path, dropped: int) -> None:
    parts = parts_of([3, 2])
    del parts[dropped]

    with pytest.raises(ArchiveBroken):
        write(tmp_path, parts)
    with pytest.raises(ArchiveBroken, match="cannot be read"):
        check_folder(tmp_path)


def test_rows_come_out_of_csv_as_they_went_in() -> None:
    content = (
        b"null,1,7,1,2,1752109200000000,,1752111000000000,440100,\n"
        b'"a,""b""",2,8,2,4,1752109200000000,1,1752111000000000,440600,NA\n'
        b'"a\nb",1,9,3,1,1752109200000000,,,440100,""\n'
    )

    first, second, third = archives.from_csv(content).to_pylist()

    assert (first["order_no"], first["reason"], first["pick_up_time"]) == ("null", None, None)
    assert (second["order_no"], second["reason"]) == ('a,"b"', "NA")
    assert (third["order_no"], third["end_time"], third["accept_time"]) == ("a\nb", None, NINE)


def test_a_month_is_over_an_hour_after_its_last_day_in_shanghai() -> None:
    settled = datetime(2025, 8, 31, 17, 0, tzinfo=UTC)

    archives.require_over(AUGUST, settled)
    with pytest.raises(MonthNotOver, match="2025-08-31T17:00"):
        archives.require_over(AUGUST, settled - timedelta(microseconds=1))


def test_a_sealed_file_is_read_in_one_form_only() -> None:
    content = seal({"format": "a", "value": 1})

    assert unseal(content, "a") == {"format": "a", "value": 1}
    for other in (content + b" ", content.replace(b"1", b"2", 1), b"[]", b"{}", b'"a"'):
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            unseal(other, "a")
    with pytest.raises(ValueError, match="not b"):
        unseal(content, "b")
