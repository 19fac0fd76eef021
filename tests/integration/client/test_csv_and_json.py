"""CSV and JSON files of orders: headers, cells, encodings, paths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.client.files.csv_files import ROW_BYTES_MAX
from services.client.files.mapping import load_mapping
from services.client.files.summary import summarise_file
from tests.support.order_files import (
    content_of,
    mapping_of,
    mapping_text,
    refusal_of,
)
from tests.support.written_files import (
    HEADER,
    MAP,
    NAMES,
    OBJECT,
    ROW,
    csv,
    ndjson,
)

# CSV.


def test_a_header_below_a_title_rows_to_skip_and_other_signs(tmp_path: Path) -> None:
    lines = [
        "Orders of July;;;;;;",
        "",
        HEADER.replace(",", ";"),
        "text;text;text;time;time;degrees;degrees",
        ROW.format(no=1).replace(",", ";").replace(".", ","),
    ]
    (tmp_path / "o.csv").write_text("\n".join(lines), encoding="utf-8")

    found = content_of(
        tmp_path / "o.csv",
        mapping_of(file='separator = ";"\ndecimal = ","\nheader = 3\nskip = 1'),
    )

    assert found.wrong == []
    assert found.column("place_of_acceptance") == [440100]


def test_columns_by_position_where_there_is_no_header(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(ROW.format(no=1) + "\n", encoding="utf-8")
    text = mapping_text(file="header = 0").replace("worker =", "worker =")
    for place, name in enumerate(NAMES, 1):
        text = text.replace(f'"{name}"', f"{{ position = {place} }}")
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")

    found = content_of(tmp_path / "o.csv", load_mapping(tmp_path / "m.toml"))

    assert (found.column("order_no"), found.column("worker_hint")) == (["1"], ["w1"])


def test_a_row_with_too_few_cells_costs_itself_wherever_it_stands(tmp_path: Path) -> None:
    path = csv(tmp_path, *[ROW.format(no=1)] * 70_000, "A,1", ROW.format(no=2))
    assert path.stat().st_size > ROW_BYTES_MAX

    found = content_of(path, MAP)

    assert found.wrong == [(70_001, "UNEVEN_ROW", "")]
    assert [order["file_row"] for order in found.orders[-2:]] == [70_000, 70_002]


def test_empty_cells_at_the_end_of_some_rows_are_no_harm(tmp_path: Path) -> None:
    rows = [ROW.format(no=number) + "," * (number % 3) for number in range(9)]

    found = content_of(csv(tmp_path, *rows), MAP)

    assert found.wrong == []
    assert found.column("order_no") == [str(number) for number in range(9)]
    assert found.column("file_row") == list(range(1, 10))


def test_rows_that_leave_out_empty_cells_at_their_end_are_read(tmp_path: Path) -> None:
    (tmp_path / "o.csv").write_text(
        f"{HEADER},remark,note\n"
        + "".join(f"{ROW.format(no=number)}\n" for number in range(5))
        + f"{ROW.format(no=5)},late,x\n",
        encoding="utf-8",
    )

    found = content_of(tmp_path / "o.csv", mapping_of('reason = "remark"'))

    assert found.wrong == []
    assert found.column("reason") == [None] * 5 + ["late"]


def test_a_heading_in_the_middle_is_named(tmp_path: Path) -> None:
    found = content_of(csv(tmp_path, ROW.format(no=1), HEADER, ROW.format(no=2)), MAP)

    assert found.wrong == [(2, "REPEATED_HEADER", "platform")]
    assert found.column("order_no") == ["1", "2"]


def test_a_number_made_of_a_row_is_the_same_for_the_same_row(tmp_path: Path) -> None:
    text = mapping_text('order_no = { hash = "row" }', without=("order_no",))
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    some = text.replace('"row"', '["worker_hint", "accepted_at"]')
    (tmp_path / "some.toml").write_text(some, encoding="utf-8")
    path = csv(tmp_path, ROW.format(no=1), ROW.format(no=2), ROW.format(no=1))

    by_row = content_of(path, load_mapping(tmp_path / "m.toml")).column("order_no")
    by_some = content_of(path, load_mapping(tmp_path / "some.toml")).column("order_no")

    assert by_row[0] == by_row[2] != by_row[1]
    assert len(set(by_some)) == 1
    assert all(len(number) == 32 for number in by_row + by_some)


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz"])
def test_another_encoding_is_named_with_its_line_and_the_mapping_may_name_it(
    tmp_path: Path, name: str
) -> None:
    path = csv(tmp_path, ROW.format(no="1"), ROW.format(no="京A-2"), name=name, encoding="gb18030")

    refused = refusal_of(path, MAP)
    found = content_of(path, mapping_of(file='encoding = "gbk"'))

    assert (refused.fault, refused.what[:25]) == ("NOT_UTF8", "line 3 is not UTF-8; save")
    assert 'encoding = "gb18030" (known: gb18030, gbk, big5, utf-16' in refused.what
    assert found.column("order_no") == ["1", "京A-2"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "big5"])
def test_encodings_with_a_mark_need_no_name_and_others_one(tmp_path: Path, encoding: str) -> None:
    path = csv(tmp_path, ROW.format(no="臺北-1"), encoding=encoding)
    name = "" if encoding in {"utf-16", "utf-8-sig"} else f'encoding = "{encoding}"'

    assert content_of(path, mapping_of(file=name)).column("order_no") == ["臺北-1"]


def test_an_encoding_that_the_file_has_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(json.dumps(OBJECT).encode() + b"\n\xff\xff\n")

    refused = refusal_of(path, mapping_of(file='encoding = "gb18030"'))

    assert refused.what == "line 2 is not gb18030, as the mapping says it is"


# JSON.


def test_nested_values_are_named_by_path(tmp_path: Path) -> None:
    rows = [
        {**OBJECT, "courier": {"ids": [{"no": 7}, {"no": 8}]}, "worker_hint": None},
        {**OBJECT, "courier": None},
        {**OBJECT, "courier.ids.1.no": "9"},
    ]
    mapping = mapping_of('worker = "courier.ids.1.no"', without=("worker",))

    found = content_of(ndjson(tmp_path, *rows), mapping)

    assert found.column("worker_hint") == ["8", "9"]
    assert found.wrong == [(2, "EMPTY_CELL", "worker")]


def test_a_value_that_holds_others_is_refused_with_the_path_to_write(tmp_path: Path) -> None:
    row = {**OBJECT, "worker_hint": {"id": 7}}

    refused = refusal_of(ndjson(tmp_path, row), MAP)

    assert refused.fault == "NESTED_VALUE"
    assert refused.what.endswith("name the value in it by its path, such as worker_hint.id")


def test_orders_deep_in_a_json_file_are_found_by_path(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    path.write_text(json.dumps({"code": 0, "data": {"total": 2, "orders": [OBJECT, OBJECT]}}))

    refused = refusal_of(path, MAP)
    found = content_of(path, mapping_of(file='path = "data.orders"'))

    assert refused.fault == "NO_ARRAY"
    assert refused.what.endswith('it has arrays at: "data.orders"')
    assert len(found.orders) == 2


def test_numbers_keep_their_digits_and_a_wrong_line_costs_itself(tmp_path: Path) -> None:
    line = json.dumps(OBJECT).replace('"1"', "13726368586200005891234")
    path = ndjson(tmp_path, line, "{broken", "[1, 2]", json.dumps({**OBJECT, "order_no": 6.5e17}))

    found = content_of(path, MAP)

    assert found.column("order_no") == ["13726368586200005891234"]
    assert found.wrong == [
        (4, "CUT_NUMBER", "order_no"),
        (2, "NOT_AN_OBJECT", ""),
        (3, "NOT_AN_OBJECT", ""),
    ]


def test_a_line_that_is_no_object_is_quoted_once(tmp_path: Path) -> None:
    summary = summarise_file(ndjson(tmp_path, json.dumps(OBJECT), "[1, 2]"), MAP)

    assert "('[1, 2]')" in next(summary.wrong_rows()).sentence


def test_a_key_that_no_row_has_is_missing(tmp_path: Path) -> None:
    less = {name: value for name, value in OBJECT.items() if name != "completed_at"}

    refused = refusal_of(ndjson(tmp_path, less), MAP)

    assert refused.what.startswith("column completed_at is missing, from which the mapping takes ")
