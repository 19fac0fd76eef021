"""Polygons of divisions, from a GeoJSON file (RFC 7946)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from services.client.error_words import os_words
from services.kernel.identifiers import is_division
from services.kernel.phrases import Language

FILE_BYTES_MAX = 64 << 20
_KINDS = frozenset({"Polygon", "MultiPolygon"})


class PolygonsWrong(ValueError):  # noqa: N818 - the mapping is refused, the program is right
    """The file has no polygons of divisions; phrases in both languages say why."""

    def __init__(self, what: str, what_zh: str) -> None:
        super().__init__(what)
        self.what, self.what_zh = what, what_zh


def read_polygons(path: Path, code: str) -> tuple[tuple[int, str], ...]:
    """The divisions in a file with their geometry as text; `code` is the property of the code.

    Raises PolygonsWrong.
    """
    content = _content(path)
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or not features:
        raise PolygonsWrong(
            f"{path.name} is not a GeoJSON collection of features",
            f"{path.name} 不是 GeoJSON 要素集合 (FeatureCollection)",
        )
    return tuple(_division(path, number, one, code) for number, one in enumerate(features, 1))


def _content(path: Path) -> Any:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise PolygonsWrong(
                f"{path.name} is larger than {FILE_BYTES_MAX >> 20} MiB; simplify its polygons",
                f"{path.name} 超过 {FILE_BYTES_MAX >> 20} MiB; 请简化多边形",
            )
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PolygonsWrong(
            f"{path.name}, the file of polygons, cannot be read: {os_words(error)}",
            f"多边形文件 {path.name} 无法读取: {os_words(error).text(Language.ZH)}",
        ) from error
    except ValueError as error:
        if isinstance(error, PolygonsWrong):
            raise
        raise PolygonsWrong(f"{path.name} is not JSON", f"{path.name} 不是 JSON") from error


def _division(path: Path, number: int, feature: Any, code: str) -> tuple[int, str]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    text = str((properties or {}).get(code, ""))
    if not is_division(text):
        raise PolygonsWrong(
            f"feature {number} of {path.name} has no division code in its property {code}",
            f"{path.name} 的第 {number} 个要素在属性 {code} 中没有行政区划代码",
        )
    if not isinstance(geometry, dict) or geometry.get("type") not in _KINDS:
        raise PolygonsWrong(
            f"feature {number} of {path.name} is not a polygon",
            f"{path.name} 的第 {number} 个要素不是多边形",
        )
    return int(text), json.dumps(geometry)
