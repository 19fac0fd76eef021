"""All about a batch that needs no database: statuses, leaves, root, tallies, rows to copy."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.orderlog import leaves as leaf_encoding
from services.orderlog import tree
from services.orderlog.columns import Columns
from services.orders.domain import copy_format
from services.orders.domain.batches import Batch, Rejection, Tally, Upload, count_reasons
from services.orders.domain.row_rules import (
    CHECKS,
    CONFLICTS,
    COUNTING_STATES,
    MICROSECONDS_PER_DAY,
    SHANGHAI_OFFSET_US,
    Rules,
    Status,
    refuse,
)

REJECTED_ORDER_NO_LENGTH = 64


@dataclass(frozen=True)
class PreparedBatch:
    """A validated batch, ready to be written.

    `row_indexes` are the places in the batch of its sound rows, `hashes` the packed hashes of their
    leaves, `rows` their bytes for COPY with 32-bit `offsets`. Rows that repeat the identity of an
    earlier row come last and have no leaf; `duplicate_rows` has an entry for each: its rejection if
    the earlier row is stored now, None if both are equal. `is_first` means that every sound row is
    the first revision of an order that occurs once in the batch, so that a plain COPY may succeed.
    """

    batch_no: int
    received_count: int
    content_hash: bytes
    rejections: list[Rejection]
    duplicate_rows: list[Rejection | None]
    is_first: bool
    row_indexes: array[int]
    hashes: bytes
    root: bytes
    tallies: list[Tally]
    rows: Any
    offsets: bytes
    exists_count: int = 0

    @property
    def leaf_count(self) -> int:
        """How many rows have a leaf."""
        return len(self.hashes) // tree.HASH_BYTES

    def receipt(self, upload: Upload, log_index: int, create_time: Any) -> Batch:
        """The batch with its place in the log and the time of its commit."""
        conflict_count = sum(one.status in CONFLICTS for one in self.rejections)
        return Batch(
            platform=upload.platform,
            batch_id=upload.batch_id,
            batch_no=self.batch_no,
            log_index=log_index,
            received_count=self.received_count,
            created_count=self.leaf_count,
            exists_count=self.exists_count,
            conflict_count=conflict_count,
            rejected_count=len(self.rejections) - conflict_count,
            rejected_by_reason=count_reasons(self.rejections),
            root=self.root,
            content_hash=self.content_hash,
            create_time=create_time,
            rejections=self.rejections,
        )


@dataclass(frozen=True)
class _SoundRows:
    """The rows that no rule refuses, column by column, with their places in the batch."""

    columns: Columns
    area: pa.Int32Array
    row_indexes: Sequence[int]
    leaves: pa.BinaryArray
    # The rows that repeat an identity, and what they lead to.
    repeated: Columns | None = None
    repeated_area: pa.Int32Array | None = None
    duplicate_rows: list[Rejection | None] = field(default_factory=list)


def validate(
    columns: Columns,
    platform: str,
    rules: Rules,
    *,
    not_enrolled: Sequence[int],
    batch_no: int,
    content_hash: bytes,
) -> PreparedBatch:
    """Check, hash, count and encode a batch."""
    received_count = len(columns)
    refusals = refuse(columns, rules, not_enrolled)
    row_indexes: Sequence[int] = range(len(columns))
    area = refusals.pooling_area
    rejections: list[Rejection] = []
    if not pc.all(refusals.sound).as_py():
        rejections = _rejections(columns, refusals.rule)
        row_indexes = _indexes(refusals.sound)
        columns, area = columns.take(refusals.sound), area.filter(refusals.sound)
    sound = _SoundRows(columns, area, row_indexes, leaf_encoding.leaves(columns, platform))
    is_unique = pc.count_distinct(columns.order_no).as_py() == len(columns)
    if not is_unique:
        sound = _set_duplicates_apart(sound)
    hashes = leaf_encoding.hashes(sound.leaves)
    rows, offsets = _encoded(sound, platform, batch_no)
    return PreparedBatch(
        batch_no=batch_no,
        received_count=received_count,
        content_hash=content_hash,
        rejections=rejections,
        duplicate_rows=sound.duplicate_rows,
        is_first=is_unique and (pc.max(columns.revision).as_py() or 1) == 1,
        row_indexes=array("I", sound.row_indexes),
        hashes=b"".join(hashes),
        root=tree.root(hashes),
        tallies=tallies(sound.columns, sound.area),
        rows=rows,
        offsets=offsets,
    )


def tallies(columns: Columns, area: pa.Int32Array) -> list[Tally]:
    """How many rows count, by pooling area, industry and service date in Asia/Shanghai."""
    counting = pc.is_in(columns.state, value_set=pa.array(COUNTING_STATES, pa.int8()))
    day = pc.divide(pc.add(columns.end_time, SHANGHAI_OFFSET_US), MICROSECONDS_PER_DAY)
    table = pa.table({"area": area, "industry": columns.industry, "day": day}).filter(counting)
    grouped = table.group_by(["area", "industry", "day"]).aggregate([([], "count_all")])
    counts = zip(
        *(grouped[name].to_pylist() for name in ("area", "industry", "day", "count_all")),
        strict=True,
    )
    return sorted(counts)


def readable(order_no: str) -> str:
    """An order number as a rejection shows it: printable, at most 64 characters."""
    beginning = order_no[:REJECTED_ORDER_NO_LENGTH]
    return "".join(character if character.isprintable() else "?" for character in beginning)


def _rejections(columns: Columns, rule: pa.Int8Array) -> list[Rejection]:
    refused = pc.not_equal(rule, 0)
    numbers, rules = columns.order_no.filter(refused), rule.filter(refused)
    return [
        Rejection(index, readable(number), CHECKS[rule - 1].status, CHECKS[rule - 1].field)
        for index, number, rule in zip(
            _indexes(refused), numbers.to_pylist(), rules.to_pylist(), strict=True
        )
    ]


def _indexes(mask: pa.BooleanArray) -> list[int]:
    indexes = array("Q")
    nonzero = pc.indices_nonzero(mask)
    indexes.frombytes(memoryview(nonzero.buffers()[1])[: len(nonzero) * 8])
    return indexes.tolist()


def _set_duplicates_apart(sound: _SoundRows) -> _SoundRows:
    """The rows with those that repeat an identity taken out and put last."""
    columns, area = sound.columns, sound.area
    duplicates = _duplicates(columns, sound.leaves, sound.row_indexes)
    if not duplicates:
        return sound
    is_repeated = pa.array([index in duplicates for index in range(len(columns))])
    is_unique = pc.invert(is_repeated)
    order = [*_indexes(is_unique), *duplicates]
    return replace(
        sound,
        columns=columns.take(is_unique),
        area=area.filter(is_unique),
        row_indexes=[sound.row_indexes[index] for index in order],
        leaves=sound.leaves.filter(is_unique),
        repeated=columns.take(is_repeated),
        repeated_area=area.filter(is_repeated),
        duplicate_rows=list(duplicates.values()),
    )


def _duplicates(
    columns: Columns, leaves: pa.BinaryArray, row_indexes: Sequence[int]
) -> dict[int, Rejection | None]:
    """The rows with the identity of an earlier row: None if they are equal, or a conflict."""
    counts = columns.order_no.value_counts()
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    first: dict[tuple[str, int], int] = {}
    duplicates: dict[int, Rejection | None] = {}
    for index in _indexes(pc.is_in(columns.order_no, value_set=several)):
        identity = (columns.order_no[index].as_py(), columns.revision[index].as_py())
        earlier = first.setdefault(identity, index)
        if earlier == index:
            continue
        duplicates[index] = None
        if leaves[earlier] != leaves[index]:
            duplicates[index] = Rejection(
                row_indexes[index],
                identity[0],
                Status.CONFLICT_IN_BATCH,
                "revision",
                columns.row(index),
            )
    return duplicates


def _encoded(sound: _SoundRows, platform: str, batch_no: int) -> tuple[Any, bytes]:
    """The rows for COPY, one after the other, and their offsets."""
    rows = copy_format.encode_rows(sound.columns, sound.area, platform, batch_no)
    if sound.repeated is not None:
        first = len(sound.columns)
        more = copy_format.encode_rows(
            sound.repeated, sound.repeated_area, platform, batch_no, first=first
        )
        rows = pa.concat_arrays([rows, more])
    return copy_format.packed(rows) if len(rows) else (b"", bytes(4))
