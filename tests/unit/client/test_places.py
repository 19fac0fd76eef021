"""Where orders were accepted: codes, coordinates of three datums, polygons, centres."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from services.client.files.columns import Ref
from services.client.files.datums import gcj02_of_wgs84, to_wgs84
from services.client.files.mapping import FileMapping, parse_mapping
from services.client.files.mapping_faults import MappingWrong
from services.client.files.places import PlaceBy, PlaceFinder
from tests.support.platforms import SWIFT

# Places in WGS84 and the same in GCJ-02, as a published implementation has them.
SHANGHAI = (121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)
SHENZHEN = (113.912316, 22.543847), (113.9171764808363, 22.540796131694766)
BEIJING = (116.377817, 39.911954), (116.38404722455657, 39.91334545536069)
METRE = 1e-5

SQUARES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"adcode": code, "code6": code},
            "geometry": {"type": "Polygon", "coordinates": rings},
        }
        for code, rings in (
            (440106, [[[113, 23], [114, 23], [114, 24], [113, 24], [113, 23]]]),
            (
                440105,
                [
                    [[114, 23], [115, 23], [115, 24], [114, 24], [114, 23]],
                    [[114.4, 23.4], [114.6, 23.4], [114.6, 23.6], [114.4, 23.6], [114.4, 23.4]],
                ],
            ),
        )
    ],
}
CENTRES = """
within_km = 40.0
[[places.centres]]
pooling_area = "440100"
lat = 23.5
lng = 114.5
"""


def mapping(place: str, places: str, folder: Path) -> FileMapping:
    text = f"""
[columns]
platform = {{ constant = "{SWIFT}" }}
industry = {{ constant = "RIDE_HAILING" }}
order_no = "no"
worker = "worker"
accept_time = "begin"
end_time = "end"
place = {{ {place} }}
[words.place]
"Tianhe" = "440106"
[places]
{places}
"""
    return parse_mapping(text, folder / "mapping.toml")


def find(mapping: FileMapping, **columns: list[Any]) -> tuple[list[int], list[str], list[str]]:
    """Codes, what said so, and the fault of each row, if any."""
    arrays = {Ref(name): pa.array(values) for name, values in columns.items()}
    count = len(next(iter(arrays.values())))
    reading = PlaceFinder(mapping).find(arrays, count)
    faults = [
        next((fault.name for fault, mask in reading.faults if mask[row].as_py()), "")
        for row in range(count)
    ]
    return (
        reading.codes.to_pylist(),
        [PlaceBy(number).name for number in reading.by.to_pylist()],
        faults,
    )


@pytest.mark.parametrize(("wgs84", "gcj02"), [SHANGHAI, SHENZHEN, BEIJING])
def test_gcj_02_agrees_with_published_values_both_ways(
    wgs84: tuple[float, float], gcj02: tuple[float, float]
) -> None:
    there = gcj02_of_wgs84(pa.array([wgs84[0]]), pa.array([wgs84[1]]))
    back = to_wgs84(pa.array([gcj02[0]]), pa.array([gcj02[1]]), "GCJ-02")

    assert [value[0].as_py() for value in there] == pytest.approx(gcj02, abs=1e-9)
    assert [value[0].as_py() for value in back] == pytest.approx(wgs84, abs=METRE / 10)


def test_bd_09_is_moved_twice() -> None:
    # The same place in BD-09 and GCJ-02.
    bd09, gcj02 = (116.404, 39.915), (116.39762729119315, 39.90865673957631)

    expected = to_wgs84(pa.array([gcj02[0]]), pa.array([gcj02[1]]), "GCJ-02")
    found = to_wgs84(pa.array([bd09[0]]), pa.array([bd09[1]]), "BD-09")

    for ours, theirs in zip(found, expected, strict=True):
        assert ours[0].as_py() == pytest.approx(theirs[0].as_py(), abs=METRE)


def test_outside_china_the_datums_are_the_same() -> None:
    lng, lat = pa.array([-87.6]), pa.array([41.9])

    assert to_wgs84(lng, lat, "GCJ-02") == (lng, lat)


def test_a_code_of_the_row_comes_before_polygons_and_these_before_the_centre(
    tmp_path: Path,
) -> None:
    (tmp_path / "squares.geojson").write_text(json.dumps(SQUARES), encoding="utf-8")
    rules = mapping(
        'adcode = "code", pooling_area = "city", lng = "x", lat = "y"',
        f'polygons = {{ file = "squares.geojson" }}\n{CENTRES}',
        tmp_path,
    )

    codes, by, faults = find(
        rules,
        code=["440112", "Tianhe", None, "", None, None],
        city=[None, "440600", "440600", None, None, None],
        x=[113.5, 113.5, 113.5, 113.5, 114.5, 0.0],
        y=[23.5, 23.5, 23.5, 23.5, 23.5, 0.0],
    )

    assert codes == [440112, 440106, 440600, 440106, 440100, 0]
    assert by == ["ADCODE", "ADCODE", "POOLING_AREA", "POLYGON", "CENTRE", "UNKNOWN"]
    assert faults == [""] * 6


def test_a_hole_is_not_in_its_polygon_and_a_border_is_in_the_first(tmp_path: Path) -> None:
    (tmp_path / "squares.geojson").write_text(json.dumps(SQUARES), encoding="utf-8")
    rules = mapping(
        'lng = "x", lat = "y"',
        'polygons = { file = "squares.geojson", code = "code6" }',
        tmp_path,
    )

    codes, _, _ = find(rules, x=[114.5, 114.3, 114.0, 120.0], y=[23.5, 23.3, 23.5, 23.5])

    assert codes == [0, 440105, 440106, 0]


def test_polygons_and_coordinates_have_their_own_datums(tmp_path: Path) -> None:
    wgs84, gcj02 = SHENZHEN
    ring = [[x, y] for x, y in square(gcj02, 5 * METRE)]
    content = {
        "features": [
            {
                "properties": {"adcode": "440305"},
                "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]},
            }
        ]
    }
    (tmp_path / "p.geojson").write_text(json.dumps(content), encoding="utf-8")
    polygons = 'polygons = { file = "p.geojson", datum = "GCJ-02" }'

    of_devices = mapping('lng = "x", lat = "y"', polygons, tmp_path)
    of_maps = mapping('lng = "x", lat = "y"', f'datum = "GCJ-02"\n{polygons}', tmp_path)

    assert find(of_devices, x=[wgs84[0], gcj02[0]], y=[wgs84[1], gcj02[1]])[0] == [440305, 0]
    assert find(of_maps, x=[wgs84[0], gcj02[0]], y=[wgs84[1], gcj02[1]])[0] == [0, 440305]


def square(centre: tuple[float, float], half: float) -> list[tuple[float, float]]:
    x, y = centre
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    return [(x + east * half, y + north * half) for east, north in corners]


@pytest.mark.parametrize(
    ("x", "y", "fault"),
    [
        ("114,5", "23,5", ""),
        ("23.5", "114.5", "NOT_A_COORDINATE"),
        ("east", "23.5", "NOT_A_COORDINATE"),
        ("181", "23.5", "NOT_A_COORDINATE"),
        ("", "", ""),
    ],
)
def test_what_is_no_coordinate_costs_the_row(tmp_path: Path, x: str, y: str, fault: str) -> None:
    rules = mapping('lng = "x", lat = "y"', CENTRES, tmp_path)
    decimal = rules.model_copy(
        update={"file": rules.file.model_copy(update={"decimal": "," if "," in x else "."})}
    )

    assert find(decimal, x=[x], y=[y])[2] == [fault]


def test_coordinates_may_be_whole_numbers(tmp_path: Path) -> None:
    rules = mapping('lng = "x", lat = "y"', f"per_degree = 1000000\n{CENTRES}", tmp_path)

    assert find(rules, x=[114_500_000], y=[23_500_000])[0] == [440100]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "p.geojson, the file of polygons, cannot be read"),
        ("{", "p.geojson is not JSON"),
        ("[]", "p.geojson is not a GeoJSON collection of features"),
        ('{"features": [{"properties": {}}]}', "feature 1 of p.geojson has no division code"),
        (
            '{"features": [{"properties": {"adcode": 440106}, "geometry": {"type": "Point"}}]}',
            "feature 1 of p.geojson is not a polygon",
        ),
    ],
)
def test_a_file_of_polygons_that_is_none_is_refused(
    tmp_path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "p.geojson").write_text(content, encoding="utf-8")

    with pytest.raises(MappingWrong, match=words):
        mapping('lng = "x", lat = "y"', 'polygons = { file = "p.geojson" }', tmp_path)
