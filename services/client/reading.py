"""Files of orders as tables in the form of the proto: Parquet, CSV, Arrow, NDJSON."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.client.files import OrderFileUnreadable, read_file
from services.kernel.problems import Kind, Problem

EARTH_RADIUS_KM = 6371.0088
DAY_US = 86_400_000_000
INDUSTRIES = {"RIDE_HAILING": 1, "INSTANT_DELIVERY": 2, "SAME_CITY_FREIGHT": 3}
STATES = {"ACCEPTED": 1, "COMPLETED": 2, "CANCELLED": 3, "REVERSED": 4}
NO_PLACE = 0

_MOMENT = pa.timestamp("us", tz="UTC")


class MappingWrong(Problem):
    """The mapping file cannot be used."""

    kind, reason = Kind.MALFORMED, "MAPPING_WRONG"
    words = "The mapping {file} cannot be used: {what}."
    words_zh = "映射文件 {file} 无法使用: {what}。"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Centre(_Strict):
    """The centre of a pooling area, WGS84 degrees."""

    pooling_area: Annotated[str, Field(pattern=r"^[1-9]\d{5}$")]
    lat: Annotated[float, Field(ge=-90, le=90)]
    lng: Annotated[float, Field(ge=-180, le=180)]


class Mapping(_Strict):
    """How a file's rows are read as orders of a province."""

    industry: Annotated[str, Field(pattern="^(RIDE_HAILING|INSTANT_DELIVERY|SAME_CITY_FREIGHT)$")]
    province: Annotated[str, Field(pattern=r"^[1-9]\d{5}$")]
    # Days by which all dates are moved.
    shift_days: int = 0
    # A place farther than this from every centre is no known place.
    within_km: Annotated[float, Field(gt=0)]
    # platform_hint = unified social credit code
    platforms: dict[str, Annotated[str, Field(pattern="^[0-9A-Z]{18}$")]]
    centres: Annotated[list[Centre], Field(min_length=1)]


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file. Raises MappingWrong with one sentence."""
    try:
        return Mapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        what = f"it cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})"
        raise MappingWrong(file=path.name, what=what) from error
    except tomllib.TOMLDecodeError as error:
        raise MappingWrong(file=path.name, what=f"it is not TOML ({error})") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = (
            f"the key {key} is unknown; remove it"
            if first["type"] == "extra_forbidden"
            else f"{key}: {first['msg'].lower()}"
        )
        raise MappingWrong(file=path.name, what=what) from None


def read_orders(path: Path, mapping: Mapping) -> dict[str, pa.Table]:
    """The file's orders by platform (credit code), in the file's order.

    Columns are those of the proto's Arrow form without `worker`, and two of our own: `worker_hint`
    (the platform's number of the worker) and `file_row` (from 1, without a header). A place of
    acceptance that is unknown is 0: the service refuses such a row with UNKNOWN_PLACE. A row
    without completion is an order under way.
    """
    return by_platform(path.name, read_file(path), mapping)


def by_platform(file: str, table: pa.Table, mapping: Mapping) -> dict[str, pa.Table]:
    """A file's columns as orders by platform; see `read_orders`."""
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    hints = columns["platform_hint"]
    unknown = sorted(set(hints.unique().to_pylist()) - set(mapping.platforms), key=str)
    if unknown:
        what = f"the mapping names no platform for platform_hint {str(unknown[0])[:100]!r}; add it"
        raise OrderFileUnreadable(file=file, what=what)
    orders = _orders(columns, mapping)
    codes = sorted(set(mapping.platforms.values()))
    found = {}
    for code in codes:
        own = [hint for hint, platform in mapping.platforms.items() if platform == code]
        part = orders.filter(pc.is_in(hints, value_set=pa.array(own)))
        if part.num_rows:
            found[code] = part.combine_chunks()
    return found


def nearest_area(lat: Any, lng: Any, mapping: Mapping) -> Any:
    """The pooling area of the nearest centre by great circle; 0 beyond `within_km`."""
    nearest = pc.add(pc.multiply(lat, 0.0), mapping.within_km)
    area = pa.repeat(pa.scalar(NO_PLACE, pa.int32()), len(lat))
    for centre in mapping.centres:
        distance = _distance_km(lat, lng, centre)
        closer = pc.fill_null(pc.less_equal(distance, nearest), fill_value=False)
        nearest = pc.if_else(closer, distance, nearest)
        area = pc.if_else(closer, pa.scalar(int(centre.pooling_area), pa.int32()), area)
    return area


def _orders(columns: dict[str, Any], mapping: Mapping) -> pa.Table:
    count = len(columns["order_no"])
    shift = pa.scalar(mapping.shift_days * DAY_US, pa.duration("us"))
    ended = columns["completed_at"]
    nothing = pa.nulls(count, pa.string())
    state = pc.if_else(pc.is_valid(ended), STATES["COMPLETED"], STATES["ACCEPTED"]).cast(pa.int8())
    if "state" in columns:
        named = pc.index_in(columns["state"], value_set=pa.array(list(STATES)))
        state = pc.coalesce(pc.add(named, 1).cast(pa.int8()), state)
    return pa.table(
        {
            "order_no": columns["order_no"],
            "revision": pc.fill_null(columns["revision"], 1)
            if "revision" in columns
            else pa.repeat(pa.scalar(1, pa.int32()), count),
            "industry": pa.repeat(pa.scalar(INDUSTRIES[mapping.industry], pa.int8()), count),
            "state": state,
            "accept_time": pc.add(columns["accepted_at"], shift),
            "pick_up_time": pa.nulls(count, _MOMENT),
            "end_time": pc.add(ended, shift),
            "place_of_acceptance": nearest_area(
                columns["pickup_lat"], columns["pickup_lng"], mapping
            ),
            "reason": columns.get("reason", nothing),
            "worker_hint": columns["worker_hint"],
            "file_row": pa.array(range(1, count + 1), pa.int64()),
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
