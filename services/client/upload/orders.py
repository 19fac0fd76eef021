"""The orders in a file, as tables in the form of the proto."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.upload.columns import MOMENT, STATES
from services.client.upload.mapping import Centre, FileMapping
from services.client.upload.order_files import OrderFileUnreadable, read_file

EARTH_RADIUS_KM = 6371.0088
DAY_US = 86_400_000_000
INDUSTRIES = {"RIDE_HAILING": 1, "INSTANT_DELIVERY": 2, "SAME_CITY_FREIGHT": 3}
NO_PLACE = 0


def orders_of(path: Path, mapping: FileMapping, platform: str) -> Iterator[pa.Table]:
    """A platform's orders in a file, in its order and a piece at a time.

    Columns are those of the proto's Arrow form without `worker`, and two more: `worker_hint` (the
    platform's number of the worker) and `file_row` (from 1, without a header). An unknown place of
    acceptance is 0: the service refuses such a row with UNKNOWN_PLACE. A row without completion is
    an order under way. Raises OrderFileUnreadable.
    """
    for piece in tables_in(path, mapping):
        rows = rows_of(piece, platform)
        if rows.num_rows:
            yield _orders(rows.combine_chunks(), mapping)


def read_orders(path: Path, mapping: FileMapping) -> dict[str, pa.Table]:
    """The orders of a file that fits the memory, by platform; see `orders_of`."""
    tables: defaultdict[str, list[pa.Table]] = defaultdict(list)
    for piece in tables_in(path, mapping):
        for platform in pc.unique(piece["platform"]).to_pylist():
            tables[platform].append(_orders(rows_of(piece, platform).combine_chunks(), mapping))
    return {code: pa.concat_tables(tables[code]).combine_chunks() for code in sorted(tables)}


def with_platforms(
    file: str, pieces: Iterable[pa.Table], mapping: FileMapping
) -> Iterator[pa.Table]:
    """A file's columns with the platform of each row and, as `file_row`, its place in the file."""
    hints = pa.array(mapping.platforms, pa.string())
    codes = pa.array(mapping.platforms.values(), pa.string())
    row_count = 0
    for piece in pieces:
        place = pc.index_in(piece["platform_hint"].combine_chunks(), value_set=hints)
        if place.null_count:
            at = pc.index(pc.is_null(place), True).as_py()
            hint = str(piece["platform_hint"][at])[:100]
            what = (
                f"row {row_count + at + 1} has the platform_hint {hint!r}, and the mapping names "
                "no platform for it; add it"
            )
            raise OrderFileUnreadable(file=file, what=what)
        rows = pa.array(range(row_count + 1, row_count + piece.num_rows + 1), pa.int64())
        row_count += piece.num_rows
        yield piece.append_column("platform", codes.take(place)).append_column("file_row", rows)


def nearest_area(lat: Any, lng: Any, mapping: FileMapping) -> Any:
    """The pooling area of the nearest centre by great-circle distance; 0 beyond `within_km`."""
    nearest = pc.add(pc.multiply(lat, 0.0), mapping.within_km)
    area = pa.repeat(pa.scalar(NO_PLACE, pa.int32()), len(lat))
    for centre in mapping.centres:
        distance = _distance_km(lat, lng, centre)
        closer = pc.fill_null(pc.less_equal(distance, nearest), fill_value=False)
        nearest = pc.if_else(closer, distance, nearest)
        area = pc.if_else(closer, pa.scalar(int(centre.pooling_area), pa.int32()), area)
    return area


def tables_in(path: Path, mapping: FileMapping) -> Iterator[pa.Table]:
    """A file piece by piece, with the platform and the place of each row."""
    pieces = read_file(path, mapping.zone, mapping.encoding)
    return with_platforms(path.name, pieces, mapping)


def rows_of(piece: pa.Table, platform: str) -> pa.Table:
    """The rows of one platform in a piece of a file."""
    return piece.filter(pc.equal(piece["platform"], platform))


def _orders(part: pa.Table, mapping: FileMapping) -> pa.Table:
    count = part.num_rows
    shift = pa.scalar(mapping.shift_days * DAY_US, pa.duration("us"))
    columns = {name: part[name].combine_chunks() for name in part.column_names}
    ended = columns["completed_at"]
    state = pc.if_else(pc.is_valid(ended), STATES["COMPLETED"], STATES["ACCEPTED"]).cast(pa.int8())
    if "state" in columns:
        # Its names were checked by the reader.
        place = pc.index_in(columns["state"], value_set=pa.array(STATES, pa.string()))
        state = pc.coalesce(pa.array(STATES.values(), pa.int8()).take(place), state)
    return pa.table(
        {
            "order_no": columns["order_no"],
            "revision": pc.fill_null(columns["revision"], 1)
            if "revision" in columns
            else pa.repeat(pa.scalar(1, pa.int32()), count),
            "industry": pa.repeat(pa.scalar(INDUSTRIES[mapping.industry], pa.int8()), count),
            "state": state,
            "accept_time": pc.add(columns["accepted_at"], shift),
            "pick_up_time": pc.add(columns["picked_up_at"], shift)
            if "picked_up_at" in columns
            else pa.nulls(count, MOMENT),
            "end_time": pc.add(ended, shift),
            "place_of_acceptance": nearest_area(
                columns["pickup_lat"], columns["pickup_lng"], mapping
            ),
            "reason": columns.get("reason", pa.nulls(count, pa.string())),
            "worker_hint": columns["worker_hint"],
            "file_row": columns["file_row"],
        }
    )


def _distance_km(lat: Any, lng: Any, centre: Centre) -> Any:
    """Great-circle distance (haversine)."""
    to_radians = 0.017453292519943295
    dlat = pc.multiply(pc.subtract(lat, centre.lat), to_radians / 2)
    dlng = pc.multiply(pc.subtract(lng, centre.lng), to_radians / 2)
    here = pc.cos(pc.multiply(lat, to_radians))
    there = pc.cos(pa.scalar(centre.lat * to_radians))
    across = pc.multiply(pc.multiply(here, there), pc.power(pc.sin(dlng), 2))
    half = pc.add(pc.power(pc.sin(dlat), 2), across)
    bounded = pc.min_element_wise(half, 1.0, skip_nulls=False)
    return pc.multiply(pc.asin(pc.sqrt(bounded)), 2 * EARTH_RADIUS_KM)
