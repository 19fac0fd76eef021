"""Files of orders in the forms met in practice, each with the outcome that is right for it.

The files lie beside the checkout; where they are absent the tests are skipped. `OIP_ORDER_FORMS`
names another folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.client.files.faults import Unreadable
from services.client.files.mapping import FileMapping, parse_mapping
from services.client.files.mapping_faults import MappingWrong
from services.client.files.proposals import propose
from tests.support.order_files import content_of
from tests.support.platforms import SWIFT

BESIDE = Path(__file__).parents[3].parent / "shared" / "data" / "order-forms"
FOLDER = Path(os.environ.get("OIP_ORDER_FORMS", BESIDE))
pytestmark = [
    pytest.mark.real_orders,
    pytest.mark.skipif(
        not FOLDER.exists(), reason="the folder order-forms is not beside the checkout"
    ),
]

ENGLISH = {
    "platform": "platform_hint",
    "order_no": "order_no",
    "worker": "worker_hint",
    "accept_time": "accepted_at",
    "end_time": "completed_at",
    "lng": "pickup_lng",
    "lat": "pickup_lat",
}
CHINESE = {
    "platform": "平台",
    "order_no": "订单编号",
    "worker": "骑手编号",
    "accept_time": "接单时间",
    "end_time": "完成时间",
    "lng": "接单经度",
    "lat": "接单纬度",
}
SHANGHAI = 'zone = "Asia/Shanghai"'
NINE = datetime(2025, 7, 10, 1, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Form:
    """A file, what its mapping says besides the columns, and what has to come of it."""

    file: str
    orders: tuple[str, ...] = ()
    wrong: tuple[tuple[int, str], ...] = ()
    refused: str = ""
    columns: str = ""
    file_table: str = ""
    moments: str = SHANGHAI
    words: str = ""
    names: tuple[tuple[str, str], ...] = tuple(ENGLISH.items())
    begins: datetime | None = NINE

    @property
    def mapping(self) -> FileMapping:
        return mapping_of(dict(self.names), self)


def mapping_of(names: dict[str, str], form: Form) -> FileMapping:
    return parse_mapping(
        f"""
[file]
{form.file_table}
[columns]
platform = "{names["platform"]}"
industry = {{ constant = "RIDE_HAILING" }}
order_no = "{names["order_no"]}"
worker = "{names["worker"]}"
accept_time = "{names["accept_time"]}"
end_time = "{names["end_time"]}"
place = {{ lng = "{names["lng"]}", lat = "{names["lat"]}" }}
{form.columns}
[moments]
{form.moments}
[words.platform]
"A" = "{SWIFT}"
{form.words}
[places]
within_km = 40.0
[[places.centres]]
pooling_area = "440100"
lat = 23.1291
lng = 113.2644
""",
        Path("mapping.toml"),
    )


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


FORMS = (
    Form("03_semicolon.csv", ("c1",), file_table='separator = ";"'),
    Form("03_semicolon.csv", refused="COLUMN_MISSING"),
    Form("05_date_only.csv", wrong=((1, "MOMENT_WITHOUT_TIME"),)),
    Form("05b_date_only_end.csv", wrong=((1, "MOMENT_WITHOUT_TIME"),)),
    Form("06_slashes.csv", ("f1",), moments=f'{SHANGHAI}\nform = "%Y/%m/%d %H:%M:%S"'),
    Form("06_slashes.csv", wrong=((1, "NOT_A_MOMENT"),)),
    Form("08_no_seconds.csv", ("h1",)),
    Form("10_epoch_ms.csv", ("j1",), moments='form = "unix milliseconds"'),
    Form("10_epoch_ms.csv", wrong=((1, "IMPLAUSIBLE_MOMENT"),), moments='form = "unix seconds"'),
    Form("13_offset_without_colon.csv", ("m1",), moments=""),
    Form("14_summary_row.csv", ("n1", "n2"), wrong=((3, "UNKNOWN_WORD"),)),
    Form("16_excel_number.csv", wrong=((1, "CUT_NUMBER"), (2, "CUT_NUMBER"))),
    Form("18_blanks_around.csv", ("r1", "r2")),
    Form("20_extra_comma.csv", ("t1", "t2")),
    Form("22_quoted_newline.csv", ("v1", "v2"), columns='reason = "reason"'),
    Form(
        "24_dst_twice.csv",
        wrong=((1, "HOUR_EXISTS_TWICE"),),
        moments='zone = "America/Chicago"',
    ),
    Form(
        "24_dst_twice.csv",
        ("x1",),
        moments='zone = "America/Chicago"\ntwice = "later"',
        begins=utc("2025-11-02T01:15:00-06:00"),
    ),
    Form("26_upper_header.csv", ("z1",)),
    Form("28_state_lower.csv", ("zb",), columns='state = "state"'),
    Form(
        "28_state_lower.csv",
        ("zb",),
        columns='state = "state"',
        words='[words.state]\n"Completed" = "CANCELLED"',
    ),
    Form("30_midnight_24.csv", ("zd",), begins=utc("2025-07-10T23:50:00+08:00")),
    Form("32_ndjson_numbers.ndjson", ("1372636858620000589",)),
    Form("34_ndjson_nested.ndjson", ("nd2",)),
    Form(
        "34_ndjson_nested.ndjson",
        ("nd2",),
        columns='reason = "extra.a.1"',
    ),
    Form("34_ndjson_nested.ndjson", refused="NESTED_VALUE", columns='reason = "extra"'),
    Form(
        "40_gbk_header_zh.csv", ("ga",), file_table='encoding = "gbk"', names=tuple(CHINESE.items())
    ),
    Form("42_gbk_undeclared.csv", refused="NOT_UTF8"),
    Form("42_gbk_undeclared.csv", ("gd",), file_table='encoding = "gb18030"'),
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.file)
def test_every_form_has_its_right_outcome(form: Form) -> None:
    if form.refused:
        with pytest.raises(Unreadable) as refused:
            content_of(FOLDER / form.file, form.mapping)
        assert refused.value.fault.value == form.refused
        return

    found = content_of(FOLDER / form.file, form.mapping)

    assert tuple(found.column("order_no")) == form.orders
    assert tuple((row, fault) for row, fault, _ in found.wrong) == form.wrong
    assert set(found.column("accept_time")) <= {form.begins}


def test_every_file_of_the_folder_has_a_case() -> None:
    files = {path.name for path in FOLDER.iterdir() if path.suffix not in {".toml", ".md"}}

    assert files == {form.file for form in FORMS}


def test_a_line_break_in_a_cell_counts_as_a_blank() -> None:
    form = next(form for form in FORMS if form.file == "22_quoted_newline.csv")

    reasons = content_of(FOLDER / form.file, form.mapping).column("reason")

    assert reasons == ['first second, with "quotes"', None]


@pytest.mark.parametrize("file", sorted({form.file for form in FORMS}))
def test_a_proposal_names_what_the_file_does_not_say_and_reads_the_rest(file: str) -> None:
    proposal = propose(FOLDER / file)
    text = proposal.text
    with pytest.raises(MappingWrong):
        parse_mapping(text, Path("mapping.toml"))
    text = text.replace('"A" = ""', f'"A" = "{SWIFT}"').replace('"Totals" = ""', "# no platform")
    text = text.replace('constant = ""', 'constant = "RIDE_HAILING"')
    for name in ("within_km", "[[places.centres]]", "pooling_area", "lat", "lng"):
        text = text.replace(f"# {name}", name)
    expected = [form for form in FORMS if form.file == file and form.orders]

    found = content_of(FOLDER / file, parse_mapping(text, Path("mapping.toml")))

    if expected and "24_dst" not in file:
        assert tuple(found.column("order_no")) == expected[0].orders
        assert set(found.column("accept_time")) <= {expected[0].begins}
    elif "24_dst" not in file:
        assert found.orders == []
