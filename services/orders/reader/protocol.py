"""Frames between the service and a reader process, and a prepared batch as a frame.

A frame is a length, a JSON header with the lengths of its parts, then the parts.
"""

from __future__ import annotations

import json
import struct
from array import array
from typing import Any

from services.orders.domain.batches import Rejection
from services.orders.domain.prepared_batches import PreparedBatch
from services.orders.domain.row_rules import Status

LENGTH = struct.Struct("<I")

Header = dict[str, Any]


def frame(header: Header, parts: list[Any]) -> list[Any]:
    """A header and parts as they are written to the stream."""
    views = [memoryview(part) for part in parts]
    packed = json.dumps({**header, "sizes": [view.nbytes for view in views]}).encode()
    return [LENGTH.pack(len(packed)) + packed, *views]


def pack_batch(batch: PreparedBatch) -> tuple[Header, list[Any]]:
    """A prepared batch as the header and parts of a frame."""
    header = {
        "batch_no": batch.batch_no,
        "received_count": batch.received_count,
        "rejections": [_pack_rejection(row) for row in batch.rejections],
        "duplicate_rows": [row and _pack_rejection(row) for row in batch.duplicate_rows],
        "is_first": batch.is_first,
        "tallies": batch.tallies,
    }
    parts = [
        batch.content_hash,
        batch.root,
        batch.hashes,
        batch.row_indexes.tobytes(),
        batch.rows,
        batch.offsets,
    ]
    return header, parts


def unpack_batch(header: Header, parts: list[bytes]) -> PreparedBatch:
    """The prepared batch of a frame."""
    content_hash, root, hashes, row_indexes, rows, offsets = parts
    return PreparedBatch(
        batch_no=header["batch_no"],
        received_count=header["received_count"],
        content_hash=content_hash,
        rejections=[_unpack_rejection(row) for row in header["rejections"]],
        duplicate_rows=[row and _unpack_rejection(row) for row in header["duplicate_rows"]],
        is_first=header["is_first"],
        row_indexes=array("I", row_indexes),
        hashes=hashes,
        root=root,
        tallies=[(area, kind, day, count) for area, kind, day, count in header["tallies"]],
        rows=rows,
        offsets=offsets,
    )


def _pack_rejection(row: Rejection) -> list[Any]:
    return [row.index, row.order_no, int(row.status), row.field, row.content]


def _unpack_rejection(values: list[Any]) -> Rejection:
    index, order_no, status, field, content = values
    return Rejection(index, order_no, Status(status), field, content)
