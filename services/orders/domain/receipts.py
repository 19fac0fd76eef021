"""A receipt as one hash, so that the audit chain covers what the log does not: counts, rejections.

The hash is SHA-256 over the content's hash, the five counts (8 bytes each, big-endian), and a line
of JSON for each row that was not stored, by index.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from services.orders.domain.batches import Batch, Rejection

if TYPE_CHECKING:
    from hashlib import _Hash

_COUNTS = struct.Struct(">5q")


def receipt_hash(batch: Batch) -> bytes:
    """The hash of a batch with all its rejections."""
    digest = begin_receipt(batch)
    add_rejections(digest, batch.rejections)
    return digest.digest()


def begin_receipt(batch: Batch) -> _Hash:
    """The hash before its rejections, of which there may be too many to load at once."""
    counts = _COUNTS.pack(
        batch.received_count,
        batch.created_count,
        batch.exists_count,
        batch.conflict_count,
        batch.rejected_count,
    )
    return sha256(batch.content_hash + counts)


def add_rejections(digest: _Hash, rejections: Iterable[Rejection]) -> None:
    """Add these rows, in the order of their index."""
    for row in rejections:
        line = [row.index, row.order_no, int(row.status), row.field, row.content]
        packed = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest.update(f"{packed}\n".encode())
