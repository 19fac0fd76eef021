"""A summary of a file: how many orders of which platforms, their workers, and the wrong rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.faults import (
    FileFault,
    OrderFileUnreadable,
    RowFault,
    Unreadable,
    shown,
)
from services.client.files.mapping import FileMapping
from services.client.files.order_files import read_rows
from services.client.files.places import PlaceBy
from services.kernel.phrases import Phrase

# A file with more wrong rows than both is refused: then the mapping is wrong, not the rows.
WRONG_ROWS_FREE = 100
WRONG_SHARE_MAX = 0.01
# Wrong rows that are kept with their reason; one in a hundred of a hundred million.
WRONG_ROWS_KEPT = 1_000_000


@dataclass(frozen=True)
class RowWithFault:
    """A row that is no order, and why."""

    row: int
    fault: RowFault
    field: str
    value: str
    order_no: str

    @property
    def sentence(self) -> str:
        """What is wrong and what to do."""
        return self.fault.sentence(self.field, shown(self.value))

    @property
    def sentence_zh(self) -> str:
        """The same in Chinese."""
        return self.fault.sentence_zh(self.field, shown(self.value))


@dataclass
class PlatformPart:
    """The part of a file that belongs to one platform."""

    row_count: int = 0
    worker_numbers: set[str] = field(default_factory=set)


@dataclass
class FileSummary:
    """The orders of a file by platform (credit code), and its wrong rows."""

    parts: dict[str, PlatformPart] = field(default_factory=dict)
    row_count: int = 0
    # How many rows have a fault in a field.
    faults: Counter[tuple[RowFault, str]] = field(default_factory=Counter)
    # How many orders have their place from what.
    places: Counter[PlaceBy] = field(default_factory=Counter)
    _wrong: list[pa.Table] = field(default_factory=list)
    _kept_count: int = 0

    @property
    def wrong_count(self) -> int:
        """How many rows are wrong."""
        return sum(self.faults.values())

    @property
    def is_refused(self) -> bool:
        """Whether so many rows are wrong that none is sent."""
        return self.wrong_count > max(WRONG_ROWS_FREE, WRONG_SHARE_MAX * self.row_count)

    def wrong_rows(self) -> Iterator[RowWithFault]:
        """The wrong rows in the order of the file, as many as are kept."""
        for table in self._wrong:
            for row in table.to_pylist():
                yield RowWithFault(
                    row["file_row"],
                    RowFault(row["fault"]),
                    row["fault_field"] or "",
                    row["fault_value"] or "",
                    row["order_no"] or "",
                )

    def require_few_wrong(self, file: str) -> None:
        """Raise OrderFileUnreadable if so many rows are wrong that none is sent."""
        if not self.is_refused:
            return
        first = next(self.wrong_rows())
        raise OrderFileUnreadable.of(
            file,
            Unreadable(
                FileFault.TOO_MANY_WRONG_ROWS,
                count=f"{self.wrong_count:,}",
                total=f"{self.row_count:,}",
                row=first.row,
                sentence=Phrase(first.fault.name, first.sentence, first.sentence_zh),
            ).reason,
        )

    def add(self, piece: pa.Table) -> None:
        """Count a piece of the file."""
        self.row_count += piece.num_rows
        sound = pc.is_null(piece["fault"])
        if piece["fault"].null_count < piece.num_rows:
            self._add_wrong(piece.filter(pc.invert(sound)))
            piece = piece.filter(sound)
        self.places.update(_counts(piece["place_by"], PlaceBy))
        for platform in pc.unique(piece["platform"]).to_pylist():
            hints = piece["worker_hint"]
            if len(piece) and pc.count_distinct(piece["platform"]).as_py() > 1:
                hints = hints.filter(pc.equal(piece["platform"], platform))
            part = self.parts.setdefault(platform, PlatformPart())
            part.row_count += len(hints)
            part.worker_numbers |= set(hints.unique().to_pylist())

    def _add_wrong(self, wrong: pa.Table) -> None:
        columns = wrong.select(["file_row", "fault", "fault_field", "fault_value", "order_no"])
        grouped = columns.group_by(["fault", "fault_field"]).aggregate([([], "count_all")])
        for row in grouped.to_pylist():
            self.faults[RowFault(row["fault"]), row["fault_field"]] += row["count_all"]
        if self._kept_count < WRONG_ROWS_KEPT:
            self._wrong.append(columns.combine_chunks())
            self._kept_count += columns.num_rows


def summarise_file(path: Path, mapping: FileMapping) -> FileSummary:
    """Read a whole file, a piece at a time, and count it. Raises OrderFileUnreadable.

    Wrong rows do not raise; `require_few_wrong` says whether they are too many.
    """
    summary = FileSummary()
    for piece in read_rows(path, mapping):
        summary.add(piece)
    summary.parts = dict(sorted(summary.parts.items()))
    return summary


def _counts(column: pa.ChunkedArray, kind: type[PlaceBy]) -> dict[PlaceBy, int]:
    counts: defaultdict[PlaceBy, int] = defaultdict(int)
    for row in pc.value_counts(column).to_pylist():
        counts[kind(row["values"])] += row["counts"]
    return counts
