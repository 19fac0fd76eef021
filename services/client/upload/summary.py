"""A summary of a file: how many orders of which platforms, and the numbers of their workers."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc

from services.client.upload.mapping import FileMapping
from services.client.upload.orders import rows_of, tables_in


@dataclass
class PlatformPart:
    """The part of a file that belongs to one platform."""

    row_count: int = 0
    worker_numbers: set[str] = field(default_factory=set)


def summarise_file(path: Path, mapping: FileMapping) -> dict[str, PlatformPart]:
    """The parts of a file by platform (credit code).

    Reads and checks the whole file, a piece at a time. Raises OrderFileUnreadable.
    """
    parts: defaultdict[str, PlatformPart] = defaultdict(PlatformPart)
    for piece in tables_in(path, mapping):
        for platform in pc.unique(piece["platform"]).to_pylist():
            hints = rows_of(piece, platform)["worker_hint"]
            parts[platform].row_count += len(hints)
            parts[platform].worker_numbers |= set(filter(None, hints.unique().to_pylist()))
    return dict(sorted(parts.items()))
