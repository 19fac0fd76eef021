"""Coordinates in the datums of Chinese maps, over whole columns, turned into WGS84.

GCJ-02 (国测局坐标) moves coordinates inside China by up to some hundred metres, BD-09 (百度坐标)
moves those of GCJ-02 once more. The formulas are those that map services publish; the way back from
GCJ-02 has none and is found by approximation, to less than a metre.
"""

from __future__ import annotations

import math
from typing import Any

import pyarrow.compute as pc

from services.client.files.cells import real

_AXIS_M, _ECCENTRICITY = 6_378_245.0, 0.00669342162296594323
_TURN = math.pi * 3000 / 180
# Outside of it GCJ-02 is WGS84.
_WEST, _EAST, _SOUTH, _NORTH = 72.004, 137.8347, 0.8293, 55.8271
_ROUNDS = 3


class _Numbers:
    """A column of numbers with the signs of arithmetic, so that a formula reads as one."""

    __slots__ = ("column",)

    def __init__(self, column: Any) -> None:
        self.column = column

    def __add__(self, other: _Numbers | float) -> _Numbers:
        return _Numbers(pc.add(self.column, _bare(other)))

    def __sub__(self, other: _Numbers | float) -> _Numbers:
        return _Numbers(pc.subtract(self.column, _bare(other)))

    def __mul__(self, other: _Numbers | float) -> _Numbers:
        return _Numbers(pc.multiply(self.column, _bare(other)))

    def __truediv__(self, other: _Numbers | float) -> _Numbers:
        return _Numbers(pc.divide(self.column, _bare(other)))

    def sine(self) -> _Numbers:
        return _Numbers(pc.sin(self.column))

    def cosine(self) -> _Numbers:
        return _Numbers(pc.cos(self.column))

    def root(self) -> _Numbers:
        return _Numbers(pc.sqrt(pc.abs(self.column)))


def to_wgs84(lng: Any, lat: Any, datum: str) -> tuple[Any, Any]:
    """Coordinates of a datum (WGS84, GCJ-02, BD-09) in WGS84; nulls stay null."""
    if datum == "WGS84":
        return lng, lat
    if datum == "BD-09":
        lng, lat = _gcj02_of_bd09(lng, lat)
    return _wgs84_of_gcj02(lng, lat)


def gcj02_of_wgs84(lng: Any, lat: Any) -> tuple[Any, Any]:
    """Coordinates of WGS84 in GCJ-02."""
    east, north = _shift(_Numbers(lng), _Numbers(lat))
    inside = pc.and_(
        pc.and_(pc.greater(lng, real(_WEST)), pc.less(lng, real(_EAST))),
        pc.and_(pc.greater(lat, real(_SOUTH)), pc.less(lat, real(_NORTH))),
    )
    return (
        pc.if_else(inside, pc.add(lng, east.column), lng),
        pc.if_else(inside, pc.add(lat, north.column), lat),
    )


def _wgs84_of_gcj02(lng: Any, lat: Any) -> tuple[Any, Any]:
    east, north = lng, lat
    for _ in range(_ROUNDS):
        shifted_lng, shifted_lat = gcj02_of_wgs84(east, north)
        east = pc.subtract(east, pc.subtract(shifted_lng, lng))
        north = pc.subtract(north, pc.subtract(shifted_lat, lat))
    return east, north


def _gcj02_of_bd09(lng: Any, lat: Any) -> tuple[Any, Any]:
    x, y = _Numbers(lng) - 0.0065, _Numbers(lat) - 0.006
    radius = (x * x + y * y).root() - (y * _TURN).sine() * 0.00002
    angle = _Numbers(pc.atan2(y.column, x.column)) - (x * _TURN).cosine() * 0.000003
    return (radius * angle.cosine()).column, (radius * angle.sine()).column


def _shift(lng: _Numbers, lat: _Numbers) -> tuple[_Numbers, _Numbers]:
    """By how many degrees GCJ-02 moves a place to the east and to the north."""
    x, y = lng - 105.0, lat - 35.0
    common = _wave(x, (6.0, 20.0), (2.0, 20.0))
    north = x * 2.0 + y * 3.0 + y * y * 0.2 + x * y * 0.1 + x.root() * 0.2 - 100.0 + common
    north = (
        north + _wave(y, (1.0, 20.0), (1 / 3, 40.0)) + _wave(y, (1 / 12, 160.0), (1 / 30, 320.0))
    )
    east = x + y * 2.0 + x * x * 0.1 + x * y * 0.1 + x.root() * 0.1 + 300.0 + common
    east = east + _wave(x, (1.0, 20.0), (1 / 3, 40.0)) + _wave(x, (1 / 12, 150.0), (1 / 30, 300.0))
    radians = lat * (math.pi / 180)
    flatness = radians.sine() * radians.sine() * -_ECCENTRICITY + 1.0
    root = flatness.root()
    degrees = 180 / math.pi
    return (
        east * root * degrees / (radians.cosine() * _AXIS_M),
        north * flatness * root * (degrees / (_AXIS_M * (1 - _ECCENTRICITY))),
    )


def _wave(values: _Numbers, *terms: tuple[float, float]) -> _Numbers:
    """Two thirds of a sum of sines: (half turns per degree, height)."""
    first, second = terms
    low = (values * (math.pi * first[0])).sine() * first[1]
    high = (values * (math.pi * second[0])).sine() * second[1]
    return (low + high) * (2 / 3)


def _bare(value: _Numbers | float) -> Any:
    return value.column if isinstance(value, _Numbers) else real(value)
