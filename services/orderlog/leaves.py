"""Leaves of the log: an order record as bytes, and the hash of each (docs/evidence.md)."""

from __future__ import annotations

import pyarrow as pa

from services.orderlog import tree
from services.orderlog.columns import Columns, of_table
from services.orderlog.packing import big_endian, offsets_of, rows, text

LEAF_VERSION = 1


def leaves(columns: Columns, platform: str) -> pa.BinaryArray:
    """The leaf of each row, with the 0x00 of RFC 6962 before it."""
    return rows(
        len(columns),
        [
            bytes((0, LEAF_VERSION)) + platform.encode("ascii"),
            big_endian(columns.revision, 4),
            big_endian(columns.worker, 8),
            big_endian(columns.industry, 1),
            big_endian(columns.state, 1),
            big_endian(columns.accept_time, 8),
            big_endian(columns.pick_up_time, 8),
            big_endian(columns.end_time, 8),
            big_endian(columns.place, 4),
            *text(columns.order_no, 2),
            *text(columns.reason, 2),
        ],
    )


def hashes(leaves: pa.BinaryArray) -> list[bytes]:
    """The hash of each leaf."""
    if not len(leaves):
        return []
    return tree.leaf_hashes(memoryview(leaves.buffers()[2]), offsets_of(leaves))


def leaf_of(table: pa.Table, index: int, platform: str) -> bytes:
    """The leaf of one row, as docs/evidence.md describes it."""
    (prefixed,) = leaves(of_table(table.slice(index, 1)), platform).to_pylist()
    return bytes(prefixed[1:])


def hashes_of_table(table: pa.Table, platform: str) -> list[bytes]:
    """The leaf hash of each row."""
    return hashes(leaves(of_table(table), platform)) if table.num_rows else []
