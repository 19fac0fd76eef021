"""The column heads of public files: each goes through a mapping, or what it lacks is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.client.files.mapping import parse_mapping
from services.client.files.mapping_faults import MappingWrong
from tests.support.order_files import content_of, refusal_of


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


TAXI = (
    "pickup_community_area,fare,trip_start_month,trip_start_hour,trip_start_day,"
    "trip_start_timestamp,pickup_latitude,pickup_longitude,dropoff_latitude,dropoff_longitude,"
    "trip_miles,pickup_census_tract,dropoff_census_tract,payment_type,company,trip_seconds,"
    "dropoff_community_area,tips"
)
TAXI_MAPPING = """
[columns]
platform = "company"
industry = { constant = "RIDE_HAILING" }
order_no = { hash = "row" }
accept_time = "trip_start_timestamp"
end_time = { after = "accept_time", seconds = "trip_seconds" }
place = { adcode = "pickup_community_area", lng = "pickup_longitude", lat = "pickup_latitude" }
WORKER
[moments]
form = "unix seconds"
[words.platform]
"Flash Cab" = "91110108MA01ABCD2H"
[words.place]
"8" = "440106"
[places]
within_km = 40.0
[[places.centres]]
pooling_area = "440100"
lat = 41.9
lng = -87.6
"""


def test_city_taxi_records_lack_the_worker_and_are_read_where_a_column_gives_it(
    tmp_path: Path,
) -> None:
    row = "8,12.5,7,9,5,1752109200,41.89,-87.62,41.9,-87.6,2.1,,,Cash,Flash Cab,600,8,0"
    path = write(tmp_path / "o.csv", f"{TAXI},taxi_id\n{row},T7\n{row.replace('8,', ',', 1)},T8\n")
    with pytest.raises(MappingWrong, match=r"columns\.worker is missing; say where it comes from"):
        parse_mapping(TAXI_MAPPING.replace("WORKER", ""), Path("m.toml"))

    found = content_of(
        path, parse_mapping(TAXI_MAPPING.replace("WORKER", 'worker = "taxi_id"'), Path("m.toml"))
    )

    assert found.column("place_of_acceptance") == [440106, 440100]
    assert found.column("place_by") == [1, 4]
    seconds = [(order["end_time"] - order["accept_time"]).total_seconds() for order in found.orders]
    assert seconds == [600, 600]


def test_delivery_dispatch_lacks_end_courier_and_place(tmp_path: Path) -> None:
    text = """
[columns]
platform = { constant = "91110108MA01ABCD2H" }
industry = { constant = "INSTANT_DELIVERY" }
order_no = "order_id"
accept_time = "dispatch_time"
{more}
[moments]
form = "unix seconds"
"""
    with pytest.raises(MappingWrong, match=r"columns\.(worker|place) is missing"):
        parse_mapping(text.replace("{more}", ""), Path("m.toml"))
    more = """worker = "courier"
end_time = "finished"
place = { adcode = { constant = "440100" } }"""
    path = write(tmp_path / "o.csv", ",dt,dispatch_time,order_id\n0,20221017,1665964800,7\n")

    refused = refusal_of(path, parse_mapping(text.replace("{more}", more), Path("m.toml")))

    assert refused.fault == "COLUMN_MISSING"
    assert "the file has dt, dispatch_time, order_id" in refused.what


def test_parcel_delivery_needs_the_year_of_the_mapping(tmp_path: Path) -> None:
    text = """
[columns]
platform = { constant = "91110108MA01ABCD2H" }
industry = { constant = "INSTANT_DELIVERY" }
order_no = "order_id"
worker = "courier_id"
accept_time = "accept_time"
end_time = "delivery_time"
place = { adcode = { constant = "440100" }, lng = "lng", lat = "lat" }
[moments]
zone = "Asia/Shanghai"
form = "%m-%d %H:%M:%S"
{year}
[places]
datum = "GCJ-02"
within_km = 40.0
[[places.centres]]
pooling_area = "440100"
lat = 23.1
lng = 113.3
"""
    path = write(
        tmp_path / "o.csv",
        "order_id,courier_id,lng,lat,accept_time,delivery_time,ds\n"
        "1,7,113.3,23.1,07-10 08:46:00,07-10 09:20:00,710\n"
        "2,7,113.3,23.1,12-31 23:50:00,01-01 00:10:00,1231\n",
    )
    with pytest.raises(MappingWrong, match="nothing gives the year"):
        parse_mapping(text.replace("{year}", ""), Path("m.toml"))

    found = content_of(path, parse_mapping(text.replace("{year}", "year = 2022"), Path("m.toml")))

    assert [str(order["accept_time"])[:10] for order in found.orders] == [
        "2022-07-10",
        "2022-12-31",
    ]
    assert str(found.orders[1]["end_time"])[:16] == "2022-12-31 16:10"
