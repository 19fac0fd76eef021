"""Places over whole columns: a code of the row first, then polygons, then the nearest centre."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.client.error_words import library_words
from services.client.files.cells import (
    as_texts,
    divisions_in,
    is_true,
    null_where,
    numbers_in,
    plain_word,
    real,
)
from services.client.files.columns import Cell, Ref
from services.client.files.datums import to_wgs84
from services.client.files.faults import FileFault, RowFault, Unreadable
from services.client.files.mapping import Centre, FileMapping

EARTH_RADIUS_KM = 6371.0088
_RADIAN = math.pi / 180
NO_PLACE = 0


class PlaceBy(IntEnum):
    """What said where a row's place is."""

    UNKNOWN = 0
    ADCODE = 1
    POOLING_AREA = 2
    POLYGON = 3
    CENTRE = 4


@dataclass(frozen=True)
class PlaceReading:
    """The division codes of rows (NO_PLACE where unknown), what said so, and wrong cells."""

    codes: Any
    by: Any
    faults: list[tuple[RowFault, Any]]


class PlaceFinder:
    """Finds the places of rows as a mapping says."""

    def __init__(self, mapping: FileMapping) -> None:
        """Raises Unreadable if polygons need a library that is not installed."""
        self._columns = mapping.columns.place
        self._decimal = mapping.file.decimal
        self._places = mapping.places
        self._meanings = {plain_word(word): int(code) for word, code in mapping.words.place.items()}
        self._polygons = _Polygons(mapping) if mapping.places.polygons is not None else None

    def find(self, columns: Mapping[Ref, Any], count: int) -> PlaceReading:
        """The places of `count` rows with these columns."""
        codes = pa.nulls(count, pa.int32())
        by = pa.repeat(pa.scalar(PlaceBy.UNKNOWN.value, pa.int8()), count)
        faults: list[tuple[RowFault, Any]] = []
        for cell, source in (
            (self._columns.adcode, PlaceBy.ADCODE),
            (self._columns.pooling_area, PlaceBy.POOLING_AREA),
        ):
            if cell is not None:
                values, wrong = self._codes(cell, columns, count)
                codes, by = _filled(codes, by, values, source)
                faults += wrong
        if self._columns.lng is not None and codes.null_count:
            lng, lat, wrong = self._coordinates(columns)
            faults += wrong
            codes, by = self._by_coordinates(lng, lat, codes, by)
        return PlaceReading(pc.coalesce(codes, pa.scalar(NO_PLACE, pa.int32())), by, faults)

    def _codes(
        self, cell: Cell, columns: Mapping[Ref, Any], count: int
    ) -> tuple[Any, list[tuple[RowFault, Any]]]:
        if cell.ref is None:
            word = str(cell.constant)
            code = self._meanings.get(plain_word(word)) or int(word)
            return pa.repeat(pa.scalar(code, pa.int32()), count), []
        column = columns[cell.ref]
        texts = as_texts(column)
        if texts is None:
            # Codes as floating-point numbers: a program has read empty cells among them.
            texts = column.cast(pa.string())
        reading = divisions_in(texts, self._meanings)
        return reading.values, reading.faults

    def _coordinates(
        self, columns: Mapping[Ref, Any]
    ) -> tuple[Any, Any, list[tuple[RowFault, Any]]]:
        """Longitude and latitude in WGS84, null where unknown: 0 and 0 means unknown too."""
        degrees, faults = [], []
        for cell, most in ((self._columns.lng, 180.0), (self._columns.lat, 90.0)):
            assert cell is not None
            assert cell.ref is not None
            reading = numbers_in(columns[cell.ref], self._decimal)
            value = reading.values
            if self._places.per_degree != 1.0:
                value = pc.divide(value, real(self._places.per_degree))
            # Not a number, or infinite, is outside too.
            inside = pc.fill_null(pc.less_equal(pc.abs(value), real(most)), fill_value=True)
            faults += [(RowFault.NOT_A_COORDINATE, mask) for _, mask in reading.faults]
            faults.append((RowFault.NOT_A_COORDINATE, pc.invert(inside)))
            degrees.append(null_where(value, pc.invert(inside)))
        lng, lat = degrees
        is_zero = pc.and_(pc.equal(lng, real(0.0)), pc.equal(lat, real(0.0)))
        nowhere = pc.fill_null(is_zero, fill_value=True)
        lng, lat = to_wgs84(null_where(lng, nowhere), null_where(lat, nowhere), self._places.datum)
        return lng, lat, faults

    def _by_coordinates(self, lng: Any, lat: Any, codes: Any, by: Any) -> tuple[Any, Any]:
        if self._polygons is not None:
            inside = self._polygons.codes(lng, lat)
            codes, by = _filled(codes, by, inside, PlaceBy.POLYGON)
        if self._places.centres and codes.null_count:
            assert self._places.within_km is not None
            area = nearest_area(lng, lat, self._places.centres, self._places.within_km)
            codes, by = _filled(codes, by, area, PlaceBy.CENTRE)
        return codes, by


class _Polygons:
    """The polygons of divisions, ready to be searched; the first that has a point counts."""

    def __init__(self, mapping: FileMapping) -> None:
        try:
            import shapely  # noqa: PLC0415 - the distribution has it as an extra
        except ImportError as error:
            raise Unreadable(FileFault.LIBRARY_MISSING, extra="polygons") from error
        polygons = mapping.places.polygons
        assert polygons is not None
        self._shapely = shapely
        self._shapes: list[tuple[int, Any]] = []

        def moved(lng: Any, lat: Any) -> tuple[Any, Any]:
            east, north = to_wgs84(pa.array(lng), pa.array(lat), polygons.datum)
            return east.to_numpy(zero_copy_only=False), north.to_numpy(zero_copy_only=False)

        for code, geometry in polygons.features:
            shape = _shape(shapely, geometry, polygons.file)
            if polygons.datum != "WGS84":
                shape = shapely.transform(shape, moved, interleaved=False)
            if not shapely.is_valid(shape):
                shape = shapely.make_valid(shape)
            shapely.prepare(shape)
            self._shapes.append((code, shape))

    def codes(self, lng: Any, lat: Any) -> Any:
        """The division that each point lies in; null where none has it."""
        codes = pa.nulls(len(lng), pa.int32())
        for code, shape in self._shapes:
            west, south, east, north = self._shapely.bounds(shape)
            near = pc.and_(
                pc.and_(pc.greater_equal(lng, real(west)), pc.less_equal(lng, real(east))),
                pc.and_(pc.greater_equal(lat, real(south)), pc.less_equal(lat, real(north))),
            )
            open_rows = is_true(pc.and_(near, pc.is_null(codes)))
            rows = pc.indices_nonzero(open_rows)
            if len(rows):
                x, y = (column.take(rows).to_numpy(zero_copy_only=False) for column in (lng, lat))
                inside = pa.array(self._shapely.intersects_xy(shape, x, y))
                hits = pa.array([code], pa.int32()).take(
                    null_where(pa.repeat(pa.scalar(0, pa.int32()), len(rows)), pc.invert(inside))
                )
                codes = pc.replace_with_mask(codes, open_rows, hits)
        return codes


def _shape(shapely: Any, geometry: str, file: str) -> Any:
    try:
        return shapely.from_geojson(geometry)
    except shapely.errors.ShapelyError as error:
        said = library_words(f"{file}: {error}")
        raise Unreadable(FileFault.DAMAGED, kind="GeoJSON", reason=said) from error


def nearest_area(lng: Any, lat: Any, centres: tuple[Centre, ...], within_km: float) -> Any:
    """The pooling area of the nearest centre by great-circle distance; null beyond `within_km`."""
    nearest = pc.add(pc.multiply(lat, real(0.0)), real(within_km))
    area = pa.nulls(len(lat), pa.int32())
    for centre in centres:
        distance = _distance_km(lat, lng, centre)
        closer = is_true(pc.less_equal(distance, nearest))
        nearest = pc.if_else(closer, distance, nearest)
        area = pc.if_else(closer, pa.scalar(int(centre.pooling_area), pa.int32()), area)
    return area


def _distance_km(lat: Any, lng: Any, centre: Centre) -> Any:
    """Great-circle distance (haversine)."""
    dlat = pc.sin(pc.multiply(pc.subtract(lat, real(centre.lat)), real(_RADIAN / 2)))
    dlng = pc.sin(pc.multiply(pc.subtract(lng, real(centre.lng)), real(_RADIAN / 2)))
    here = pc.cos(pc.multiply(lat, real(_RADIAN)))
    there = real(math.cos(centre.lat * _RADIAN))
    across = pc.multiply(pc.multiply(here, there), pc.multiply(dlng, dlng))
    half = pc.add(pc.multiply(dlat, dlat), across)
    bounded = pc.min_element_wise(half, real(1.0), skip_nulls=False)
    return pc.multiply(pc.asin(pc.sqrt(bounded)), real(2 * EARTH_RADIUS_KM))


def _filled(codes: Any, by: Any, values: Any, source: PlaceBy) -> tuple[Any, Any]:
    """The codes with those of a further source where there was none, and what said so."""
    is_new = pc.and_(pc.is_null(codes), pc.is_valid(values))
    marked = pc.if_else(is_new, pa.scalar(source.value, pa.int8()), by)
    return pc.coalesce(codes, values), marked
