"""Proofs from archives: what the service answers to GetOrderProof, from the files alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from oip.orders.v1 import orders_pb2

from services.client.proofs.archive import check_bytes, hashes_of, read_archive, unreadable
from services.kernel import names
from services.kernel.phrases import Phrase
from services.kernel.problems import NotFound
from services.orderlog import notes, tree
from services.orderlog.entries import microseconds, parse_order_name
from services.orderlog.leaves import leaf_of
from services.orderlog.manifest import Archive, ArchiveBroken, ArchivedFile
from services.runtime.rpc.wire import moment_to_wire

MOMENTS = ("accept_time", "pick_up_time", "end_time")


@dataclass(frozen=True)
class _Place:
    """Where a record is."""

    folder: Path
    archive: Archive
    file: ArchivedFile
    group: int
    row: int
    revision: int


def prove_from(folders: Sequence[Path], order: str, revision: int = 0) -> orders_pb2.OrderProof:
    """The proof of a record in one of these archives; revision 0 means the latest in them.

    Whether the record is late is not in an archive: that depends on the accidents reported, not on
    the record. Raises NotFound or ArchiveBroken.
    """
    platform, order_no = parse_order_name(order)
    latest: _Place | None = None
    try:
        for folder in folders:
            archive = read_archive(folder)
            if archive.platform != platform:
                continue
            for place in _places(folder, archive, order_no):
                is_eligible = revision in {0, place.revision}
                if is_eligible and (latest is None or place.revision > latest.revision):
                    latest = place
        if latest is None:
            raise NotFound(
                name=Phrase.of(
                    "ORDER_IN_ARCHIVES",
                    "{order} in {folders}",
                    "{folders} 中的 {order}",
                    order=order,
                    folders=tuple(folders),
                )
            )
        return _prove(latest, order)
    except OSError as error:
        raise unreadable(error, folder) from error
    except (ValueError, TypeError, KeyError, IndexError, pa.ArrowException) as error:
        raise ArchiveBroken(
            what=Phrase.of("DAMAGED", "it is damaged ({error})", "已损坏", error=error)
        ) from error


def _places(folder: Path, archive: Archive, order_no: str) -> Iterator[_Place]:
    """Each revision of an order; reads two columns of an archive."""
    for file in archive.files:
        check_bytes(folder, file)
        with pq.ParquetFile(folder / file.name) as source:
            for group in range(source.metadata.num_row_groups):
                numbers = source.read_row_group(group, ["order_no", "revision"], use_threads=False)
                mask = pc.equal(numbers["order_no"], order_no)
                for row in pc.indices_nonzero(mask).to_pylist():
                    revision = numbers["revision"][row].as_py()
                    yield _Place(folder, archive, file, group, row, revision)


def _prove(place: _Place, order: str) -> orders_pb2.OrderProof:
    archive = place.archive
    with pq.ParquetFile(place.folder / place.file.name) as source:
        group = source.read_row_group(place.group, use_threads=False)
    row = group.slice(place.row, 1).to_pylist()[0]
    batch = archive.batch_at(row["log_index"])
    start = pc.index(group["log_index"], row["log_index"]).as_py()
    rows = group.slice(start, batch.leaf_count)
    hashes = hashes_of(rows, batch, archive.platform)
    head = notes.open_note(archive.checkpoint, archive.verifier_key)
    index = place.row - start
    return orders_pb2.OrderProof(
        record=orders_pb2.OrderRecord(
            order=order,
            row=_row(row),
            order_batch=batch.name,
            create_time=moment_to_wire(batch.create_time),
        ),
        leaf=leaf_of(rows, index, archive.platform),
        leaf_index=index,
        leaf_count=batch.leaf_count,
        batch_path=tree.path(hashes, index),
        batch_root=batch.root,
        log_index=batch.log_index,
        log_path=batch.log_path,
        checkpoint=orders_pb2.Checkpoint(
            platform=names.name("platforms", archive.platform),
            log_size=head.size,
            root=head.root,
            note=archive.checkpoint,
            create_time=moment_to_wire(archive.checkpoint_time),
        ),
    )


def _row(record: dict[str, Any]) -> orders_pb2.OrderRow:
    """A record as its platform reported it."""
    moments = {f"{name}_us": microseconds(record[name]) if record[name] else 0 for name in MOMENTS}
    return orders_pb2.OrderRow(
        order_no=record["order_no"],
        revision=record["revision"],
        worker=record["worker"],
        industry=record["industry"],
        state=record["state"],
        place_of_acceptance=record["place_of_acceptance"],
        reason=record["reason"] or "",
        **moments,
    )
