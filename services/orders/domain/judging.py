"""All that is decided about a batch without a database: statuses, leaves, root, tallies, rows."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.orderlog import leaves as leaf_encoding
from services.orderlog import tree
from services.orderlog.columns import Columns
from services.orders.domain import copy
from services.orders.domain.checks import (
    COUNTING_STATES,
    MICROSECONDS_PER_DAY,
    REASONS,
    SHANGHAI_OFFSET_US,
    Rules,
    Status,
    check,
)

REJECTED_ORDER_NO_LENGTH = 64

# (pooling area, industry, days since 1970-01-01, count)
Tally = tuple[int, int, int, int]


@dataclass(frozen=True)
class Rejected:
    """A row that is not stored. `content` is kept for conflicts, so that nothing sent is lost."""

    index: int
    order_no: str
    status: Status
    field: str
    content: dict[str, Any] | None = None


@dataclass(frozen=True)
class Judged:
    """What became of a batch, as far as it can be told without looking at what is held.

    `row_of` gives the place in the batch of each sound row; `rows` are their bytes, `hashes` those
    of their leaves. `is_first` says that every sound row is the first revision of an order that
    stands once in the batch, so that COPY may be tried without looking. `doubled` are the last of
    the rows, without leaves: each has the identity of one before it, and tells how it is refused
    if that one is stored; None if it is the same again.
    """

    rejected: list[Rejected]
    doubled: list[Rejected | None]
    is_first: bool
    row_of: list[int]
    hashes: list[bytes]
    root: bytes
    tallies: list[Tally]
    rows: pa.BinaryArray


def judge(
    columns: Columns, platform: str, rules: Rules, not_enrolled: Sequence[int], batch_no: int
) -> Judged:
    """Check, hash, count and encode a batch."""
    refusals = check(columns, rules, not_enrolled)
    row_of: Sequence[int] = range(len(columns))
    area = refusals.pooling_area
    rejected: list[Rejected] = []
    if not pc.all(refusals.sound).as_py():
        rejected = _refused(columns, refusals.rule)
        row_of = _positions(refusals.sound)
        columns, area = columns.take(refusals.sound), area.filter(refusals.sound)
    leaves = leaf_encoding.leaves(columns, platform)
    once = pc.count_distinct(columns.order_no).as_py() == len(columns)
    doubled = {} if once else _doubled(columns, leaves, row_of)
    more: list[pa.BinaryArray] = []
    if doubled:
        is_again = pa.array([place in doubled for place in range(len(columns))])
        is_first = pc.invert(is_again)
        places = [*_positions(is_first), *doubled]
        row_of = [row_of[place] for place in places]
        again, area_again = columns.take(is_again), area.filter(is_again)
        columns, area, leaves = (
            columns.take(is_first),
            area.filter(is_first),
            leaves.filter(is_first),
        )
        more = [copy.copy_rows(again, area_again, platform, batch_no, first=len(columns))]
    hashes = leaf_encoding.hashes(leaves)
    rows = copy.copy_rows(columns, area, platform, batch_no)
    return Judged(
        rejected=rejected,
        doubled=list(doubled.values()),
        is_first=once and (pc.max(columns.revision).as_py() or 1) == 1,
        row_of=list(row_of),
        hashes=hashes,
        root=tree.root(hashes),
        tallies=tallies(columns, area),
        rows=pa.concat_arrays([rows, *more]) if more else rows,
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
    cut = order_no[:REJECTED_ORDER_NO_LENGTH]
    return "".join(character if character.isprintable() else "?" for character in cut)


def _refused(columns: Columns, rule: pa.Int8Array) -> list[Rejected]:
    refused = pc.not_equal(rule, 0)
    numbers, rules = columns.order_no.filter(refused), rule.filter(refused)
    return [
        Rejected(index, readable(number), *REASONS[reason])
        for index, number, reason in zip(
            _positions(refused), numbers.to_pylist(), rules.to_pylist(), strict=True
        )
    ]


def _positions(mask: pa.BooleanArray) -> list[int]:
    positions = array("Q")
    found = pc.indices_nonzero(mask)
    positions.frombytes(memoryview(found.buffers()[1])[: len(found) * 8])
    return positions.tolist()


def _doubled(
    columns: Columns, leaves: pa.BinaryArray, row_of: Sequence[int]
) -> dict[int, Rejected | None]:
    """Where a row has the identity of an earlier one: None if it is the same, or a conflict."""
    counted = columns.order_no.value_counts()
    several = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    first: dict[tuple[str, int], int] = {}
    doubled: dict[int, Rejected | None] = {}
    for place in _positions(pc.is_in(columns.order_no, value_set=several)):
        identity = (columns.order_no[place].as_py(), columns.revision[place].as_py())
        earlier = first.setdefault(identity, place)
        if earlier == place:
            continue
        doubled[place] = None
        if leaves[earlier] != leaves[place]:
            doubled[place] = Rejected(
                row_of[place],
                identity[0],
                Status.CONFLICT_IN_BATCH,
                "revision",
                columns.row(place),
            )
    return doubled
