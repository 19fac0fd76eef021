"""The orders in a file, as tables in the form of the proto."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.mapping import FileMapping
from services.client.files.order_files import read_rows

# The columns of the proto's Arrow form without `worker`, and two more.
COLUMNS = (
    "order_no",
    "revision",
    "industry",
    "state",
    "accept_time",
    "pick_up_time",
    "end_time",
    "place_of_acceptance",
    "reason",
    "worker_hint",
    "file_row",
)


def orders_of(path: Path, mapping: FileMapping, platform: str) -> Iterator[pa.Table]:
    """A platform's orders in a file, in its order and a piece at a time; wrong rows are left out.

    Columns are those of the proto's Arrow form without `worker`, and two more: `worker_hint` (the
    platform's number of the worker) and `file_row` (from 1, without a header). An unknown place of
    acceptance is 0: the service refuses such a row with UNKNOWN_PLACE. A row without an end is an
    order under way. Raises OrderFileUnreadable.
    """
    for piece in read_rows(path, mapping):
        # A row whose platform is not known has none, and is nobody's.
        is_platform = pc.fill_null(pc.equal(piece["platform"], platform), fill_value=False)
        is_own = pc.and_(pc.is_null(piece["fault"]), is_platform)
        rows = piece if pc.all(is_own).as_py() else piece.filter(is_own)
        if rows.num_rows:
            yield rows.select(COLUMNS)


def read_orders(path: Path, mapping: FileMapping) -> dict[str, pa.Table]:
    """The orders of a file that fits the memory, by platform; see `orders_of`."""
    tables: defaultdict[str, list[pa.Table]] = defaultdict(list)
    for piece in read_rows(path, mapping):
        sound = piece.filter(pc.is_null(piece["fault"]))
        for platform in pc.unique(sound["platform"]).to_pylist():
            own = sound.filter(pc.equal(sound["platform"], platform))
            tables[platform].append(own.select(COLUMNS))
    return {code: pa.concat_tables(tables[code]).combine_chunks() for code in sorted(tables)}
