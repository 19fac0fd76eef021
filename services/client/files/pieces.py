"""What a reader of a format yields: some rows of a file with the columns that a mapping needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from services.client.files.columns import Ref
from services.client.files.faults import FileFault, RowFault, Unreadable

ROWS_PER_PIECE = 65_536
# A row of orders has some dozens of columns.
COLUMNS_MAX = 2_000
# Size of a piece in memory; rows of orders have a few hundred bytes.
PIECE_BYTES_MAX = 256 << 20
KNOWN_SHOWN = 20


@dataclass(frozen=True)
class WrongRow:
    """A row that has no columns: its number in the file, and what is wrong."""

    row: int
    fault: RowFault
    value: str


@dataclass(frozen=True)
class Piece:
    """Rows of a file: the columns by reference, each row's number from 1, and rows without any."""

    columns: Mapping[Ref, Any]
    rows: Any
    # All columns of a row as one text, where an order number is made of it.
    whole: Any = None
    wrong: Sequence[WrongRow] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.rows)


def resolve(fields: Mapping[Ref, str], names: Sequence[str] | None) -> dict[Ref, int]:
    """The place of each column from 0: by position, or by its header in any case.

    `names` are the headers, None where there are none. Raises Unreadable.
    """
    headers = [name.strip().lstrip("\ufeff") for name in names or ()]
    require_few(len(headers))
    return {ref: _place(ref, field_name, headers) for ref, field_name in fields.items()}


def require_few(count: int) -> None:
    """Raise Unreadable if a file has more columns than one of orders may have."""
    if count > COLUMNS_MAX:
        raise Unreadable(FileFault.TOO_MANY_COLUMNS, count=f"{count:,}", most=f"{COLUMNS_MAX:,}")


def _place(ref: Ref, field_name: str, headers: Sequence[str]) -> int:
    if ref.position:
        if ref.position > len(headers):
            raise Unreadable(
                FileFault.POSITION_MISSING,
                position=ref.position,
                field=field_name,
                count=len(headers),
            )
        return ref.position - 1
    column = ref.column.strip()
    places = [place for place, header in enumerate(headers) if header == column]
    if not places:
        folded = column.casefold()
        places = [place for place, header in enumerate(headers) if header.casefold() == folded]
    if not places:
        raise missing(ref.column, field_name, headers)
    if len(places) > 1:
        raise Unreadable(FileFault.COLUMN_TWICE, column=ref.column, field=field_name)
    return places[0]


def missing(column: str, field_name: str, known: Sequence[str]) -> Unreadable:
    """The refusal of a file that lacks a column; it names those that the file has."""
    names = [name[:40] for name in known if name]
    some = ", ".join(names[:KNOWN_SHOWN]) + (" …" if len(names) > KNOWN_SHOWN else "")
    return Unreadable(
        FileFault.COLUMN_MISSING, column=column, field=field_name, known=some or "no names"
    )


def require_small(columns: Mapping[Ref, Any]) -> None:
    """Raise Unreadable if the columns of a piece take more memory than rows of orders do."""
    if sum(column.nbytes for column in columns.values()) > PIECE_BYTES_MAX:
        raise Unreadable(FileFault.MEMORY)


def numbered(first: int, count: int) -> Any:
    """The numbers of rows that follow each other."""
    return pa.array(range(first, first + count), pa.int64())
