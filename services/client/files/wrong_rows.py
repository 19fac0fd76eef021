"""The wrong rows of a file: which fault each has, in which field, and what the cell holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.cells import FORMULA_MARK, plain_word
from services.client.files.columns import Ref
from services.client.files.faults import SHOWN_MAX, RowFault
from services.client.files.moments import MOMENT
from services.client.files.pieces import Piece, WrongRow

# What the reader of a file yields: orders, and wrong rows with `fault`, which is null for orders.
SCHEMA = pa.schema(
    [
        ("platform", pa.string()),
        ("order_no", pa.string()),
        ("revision", pa.int32()),
        ("worker_hint", pa.string()),
        ("industry", pa.int8()),
        ("state", pa.int8()),
        ("accept_time", MOMENT),
        ("pick_up_time", MOMENT),
        ("end_time", MOMENT),
        ("place_of_acceptance", pa.int32()),
        ("reason", pa.string()),
        ("file_row", pa.int64()),
        ("place_by", pa.int8()),
        ("fault", pa.int8()),
        ("fault_field", pa.string()),
        ("fault_value", pa.string()),
    ]
)
_MARKS = ("fault", "fault_field", "fault_value")


@dataclass(frozen=True)
class FieldFault:
    """A fault of a field, and the rows that have it."""

    field: str
    fault: RowFault
    mask: Any


def marks(
    faults: Sequence[FieldFault], piece: Piece, refs_of: Callable[[str], Sequence[Ref]]
) -> dict[str, Any]:
    """The first fault of each row, with its field and the cell; null for a sound row.

    `refs_of` gives the columns of a field.
    """
    count = len(piece)
    if not faults:
        return {name: pa.nulls(count, SCHEMA.field(name).type) for name in _MARKS}
    index = pa.nulls(count, pa.int32())
    for number, fault in reversed(list(enumerate(faults))):
        index = pc.if_else(fault.mask, pa.scalar(number, pa.int32()), index)
    columns: dict[str, list[Any]] = {name: [None] * count for name in _MARKS}
    for row in pc.indices_nonzero(pc.is_valid(index)).to_pylist():
        fault = faults[index[row].as_py()]
        code, value = _described(fault, piece, refs_of(fault.field), row)
        for name, content in zip(_MARKS, (code, fault.field, value), strict=True):
            columns[name][row] = content
    return {name: pa.array(values, SCHEMA.field(name).type) for name, values in columns.items()}


def without_columns(wrong: Sequence[WrongRow]) -> pa.Table:
    """Wrong rows that have no columns."""
    columns = {field.name: pa.nulls(len(wrong), field.type) for field in SCHEMA}
    columns |= {
        "file_row": pa.array([row.row for row in wrong], pa.int64()),
        "fault": pa.array([row.fault for row in wrong], pa.int8()),
        "fault_field": pa.array([""] * len(wrong), pa.string()),
        "fault_value": pa.array([row.value for row in wrong], pa.string()),
    }
    return pa.table([columns[name] for name in SCHEMA.names], SCHEMA)


def _described(fault: FieldFault, piece: Piece, refs: Sequence[Ref], row: int) -> tuple[int, str]:
    """The fault's code, which the cell itself may make more precise, and the cell."""
    cells = [_shown_cell(piece.columns[ref][row]) for ref in refs]
    text = " ".join(cells)
    if cells and all(
        cell and plain_word(cell) == plain_word(ref.column)
        for cell, ref in zip(cells, refs, strict=True)
    ):
        return RowFault.REPEATED_HEADER, text
    if text.startswith(FORMULA_MARK):
        return RowFault.FORMULA_WITHOUT_VALUE, text.replace(FORMULA_MARK, "")
    return fault.fault, text


def _shown_cell(scalar: Any) -> str:
    if pa.types.is_temporal(scalar.type):
        # Python has no moments of other millennia.
        scalar = scalar.cast(pa.string())
    value = scalar.as_py()
    return "" if value is None else str(value)[:SHOWN_MAX]
