"""The columns of a file of orders: from the types in the file to the types we need."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MOMENT = pa.timestamp("us", tz="UTC")
REQUIRED = {
    "platform_hint": pa.string(),
    "order_no": pa.string(),
    "worker_hint": pa.string(),
    "accepted_at": MOMENT,
    "completed_at": MOMENT,
    "pickup_lng": pa.float64(),
    "pickup_lat": pa.float64(),
}
# Columns that a file may have: pick-up of goods or passenger, and those of corrections.
OPTIONAL = {
    "picked_up_at": MOMENT,
    "revision": pa.int32(),
    "state": pa.string(),
    "reason": pa.string(),
}
KINDS = {**REQUIRED, **OPTIONAL}
STATES = {"ACCEPTED": 1, "COMPLETED": 2, "CANCELLED": 3, "REVERSED": 4}

# Longer texts are truncated: the service refuses them whatever their end is.
TEXT_MAX = 1000
# Size of a piece of a file in memory; rows of orders have a few hundred bytes.
PIECE_BYTES_MAX = 256 << 20

_HAS_ZONE = r"\d\d:\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"
_TYPE_NAMES = {MOMENT: "moment", pa.float64(): "number", pa.int32(): "whole number"}
_SHOWN_MAX = 60


class Unreadable(Exception):  # noqa: N818 - ends as a refusal, not as an error of the program
    """The file is not a file of orders; the text says why."""


def present(names: list[str]) -> list[str]:
    """Our columns among a file's. Raises Unreadable unless it has each of REQUIRED once."""
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise Unreadable(f"column {missing[0]} is missing; it needs {', '.join(REQUIRED)}")
    ours = [name for name in KINDS if name in names]
    repeated = [name for name in ours if names.count(name) > 1]
    if repeated:
        raise Unreadable(f"column {repeated[0]} occurs twice; remove one")
    return ours


def cast(piece: pa.Table, rows_before: int, zone: str) -> pa.Table:
    """A piece of a file with our columns in our types. Raises Unreadable and names the row.

    `rows_before` is the number of rows of the file before the piece; `zone` is the zone of moments
    written without one, or empty.
    """
    columns = {}
    for name in KINDS:
        if name in piece.column_names:
            columns[name] = _cast(piece[name].combine_chunks(), name, rows_before, zone)
    table = pa.table(columns)
    if table.nbytes > PIECE_BYTES_MAX:
        raise Unreadable(
            f"its content does not fit the memory ({table.nbytes >> 20} MiB in "
            f"{table.num_rows:,} rows); check the texts in it"
        )
    _check_states(table, rows_before)
    return _truncated(table)


def _cast(column: Any, name: str, rows_before: int, zone: str) -> Any:
    kind = KINDS[name]
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_null(column.type):
        return column.cast(kind)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    convert = _converter(column.type, name, zone)
    try:
        return convert(column)
    except pa.ArrowMemoryError:
        raise
    except pa.ArrowException as error:
        at = _first_wrong(column, convert)
        raise Unreadable(_sentence(column[at], name, rows_before + at + 1)) from error


def _converter(source: pa.DataType, name: str, zone: str) -> Callable[[Any], Any]:
    """How a column of this type is read. Raises Unreadable if it cannot be."""
    target, kinds = KINDS[name], pa.types
    is_text = (
        kinds.is_string(source) or kinds.is_large_string(source) or kinds.is_string_view(source)
    )
    if target == MOMENT:
        if kinds.is_timestamp(source):
            return _zoned(source, name, zone)
        if is_text:
            return lambda column: _moments_in(_without_empty(column), zone)
        expected = "timestamps, or texts such as 2025-07-10T09:00:00+08:00"
    elif target == pa.string():
        if is_text or kinds.is_integer(source) or kinds.is_binary(source):
            return lambda column: column.cast(target)
        if kinds.is_large_binary(source):
            return lambda column: column.cast(pa.large_string()).cast(target)
        expected = "texts"
    else:
        if is_text:
            return lambda column: _without_empty(column).cast(target)
        if kinds.is_integer(source) or kinds.is_floating(source) or kinds.is_decimal(source):
            return lambda column: column.cast(target)
        expected = f"{_TYPE_NAMES[target]}s"
    raise Unreadable(f"column {name} is {str(source)[:100]}; write {expected}")


def _zoned(source: pa.TimestampType, name: str, zone: str) -> Callable[[Any], Any]:
    if source.tz is not None:
        return lambda column: column.cast(MOMENT)
    if not zone:
        raise Unreadable(
            f"column {name} is {source}, without a zone; write the zone into the file, or name it "
            'in the mapping, for example zone = "Asia/Shanghai"'
        )
    return lambda column: _assumed(column.cast(pa.timestamp("us")), zone)


def _moments_in(texts: Any, zone: str) -> Any:
    if not zone:
        return texts.cast(MOMENT)
    has_zone = pc.match_substring_regex(texts, _HAS_ZONE)
    nothing = pa.scalar(None, texts.type)
    with_zone = pc.if_else(has_zone, texts, nothing).cast(MOMENT)
    without = pc.if_else(has_zone, nothing, texts).cast(pa.timestamp("us"))
    return pc.coalesce(with_zone, _assumed(without, zone))


def _assumed(moments: Any, zone: str) -> Any:
    return pc.assume_timezone(moments, zone).cast(MOMENT)


def _without_empty(texts: Any) -> Any:
    """Texts with null for the empty ones, which have no value."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, texts.type), texts)


def _first_wrong(column: Any, convert: Callable[[Any], Any]) -> int:
    """The place of the first value that cannot be converted."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(column.slice(low, middle - low))
        except pa.ArrowException:
            high = middle
        else:
            low = middle
    return low


def _sentence(value: Any, name: str, row: int) -> str:
    kind = KINDS[name]
    if kind == pa.string():
        return f"row {row} has a {name} that is not UTF-8; save the file as UTF-8"
    shown = str(value.as_py() if not pa.types.is_timestamp(value.type) else value)[:_SHOWN_MAX]
    if kind != MOMENT:
        return f"row {row} has the {name} {shown!r}, which is not a {_TYPE_NAMES[kind]}"
    if pa.types.is_timestamp(value.type):
        return f"row {row} has the {name} {shown}, which is not a moment in whole microseconds"
    if re.search(r"\d\d:\d\d", shown) and not re.search(_HAS_ZONE, shown):
        return (
            f"row {row} has the {name} {shown!r}, without a zone; write it as "
            "2025-07-10T09:00:00+08:00, or name the zone in the mapping, for example "
            'zone = "Asia/Shanghai"'
        )
    return f"row {row} has the {name} {shown!r}; write it as 2025-07-10T09:00:00+08:00"


def _check_states(table: pa.Table, rows_before: int) -> None:
    if "state" not in table.column_names:
        return
    states = table["state"].combine_chunks()
    known = pc.is_in(states, value_set=pa.array([*STATES, "", None], pa.string()))
    at = pc.index(known, False).as_py()
    if at >= 0:
        raise Unreadable(
            f"row {rows_before + at + 1} has the state {str(states[at])[:_SHOWN_MAX]!r}, which is "
            f"none of {', '.join(STATES)}; an empty cell is COMPLETED, or ACCEPTED where "
            "completed_at is empty"
        )


def _truncated(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(place)
            if (pc.max(pc.binary_length(column)).as_py() or 0) > TEXT_MAX:
                short = pc.utf8_slice_codeunits(column, 0, TEXT_MAX)
                table = table.set_column(place, field.name, short)
    return table
