"""Files of orders in every format that is read, and what does not stop at their edges."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from openpyxl import load_workbook

from services.client.files.faults import OrderFileUnreadable
from services.client.files.file_reader import rows_of
from services.client.files.mapping import load_mapping
from services.client.files.orders import orders_of, read_orders
from services.client.files.summary import summarise_file
from tests.support.order_files import (
    MAPPING,
    content_of,
    mapping_of,
    orders_table,
    refusal_of,
)
from tests.support.platforms import PEARL, SWIFT
from tests.support.written_files import (
    DAY,
    HEADER,
    MAP,
    NAMES,
    OBJECT,
    ROW,
    ZONED,
    csv,
    parquet,
    sheet,
)

# All formats alike.


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "csv.zst", "tsv", "arrow", "ndjson", "json"])
def test_all_formats_give_the_same_orders(tmp_path: Path, kind: str) -> None:
    table, file = orders_table(), tmp_path / f"o.{kind}"
    pyarrow.parquet.write_table(table, tmp_path / "o.parquet")
    if kind.startswith(("csv", "tsv")):
        options = pyarrow.csv.WriteOptions(delimiter="\t" if kind == "tsv" else ",")
        pyarrow.csv.write_csv(table, tmp_path / "plain", options)
        plain = (tmp_path / "plain").read_bytes()
        packed = {"gz": gzip.compress, "st": lambda text: pa.compress(text, "zstd", asbytes=True)}
        file.write_bytes(packed.get(kind[-2:], bytes)(plain))
    elif kind == "arrow":
        with pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        rows = [
            {
                key: str(value) if isinstance(value, datetime) else value
                for key, value in row.items()
            }
            for row in table.to_pylist()
        ]
        lines = "\n".join(map(json.dumps, rows))
        file.write_text(lines if kind == "ndjson" else json.dumps(rows), encoding="utf-8")

    assert content_of(file, MAP) == content_of(tmp_path / "o.parquet", MAP)


def test_a_workbook_gives_them_too(tmp_path: Path) -> None:
    numbers = [f"t-{number}" for number in range(6)]
    table = orders_table().set_column(1, "order_no", pa.array(numbers))
    rows = [
        [value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in row]
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True)
    ]
    pyarrow.parquet.write_table(table, tmp_path / "o.parquet")

    found = content_of(sheet(tmp_path, *rows), mapping_of(moments='zone = "UTC"'))

    assert found == content_of(tmp_path / "o.parquet", MAP)


# Parquet and Arrow.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accepted_at": [1752109200, 1752109200]}, "column accepted_at, from which the mapping"),
        ({"order_no": [1.5, 2.5]}, "column order_no, from which the mapping takes order_no, holds"),
        (
            {"pickup_lat": [[1.0], [2.0]]},
            "pickup_lat, from which the mapping takes place, holds an",
        ),
        ({"accepted_at": pa.array([20_000] * 2, pa.date32())}, "column accepted_at, from which"),
    ],
)
def test_a_column_of_a_type_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert refusal_of(parquet(tmp_path, **changes), MAP).what.startswith(words)


def test_numbers_dictionaries_and_structs_are_read(tmp_path: Path) -> None:
    hints = pa.array(["w1", "w1"]).dictionary_encode()
    nested = pa.array([{"no": 7}, {"no": 8}])
    path = parquet(tmp_path, order_no=nested, worker_hint=hints)

    found = content_of(path, mapping_of('order_no = "order_no.no"', without=("order_no",)))

    assert found.column("order_no") == ["7", "8"]
    assert found.column("worker_hint") == ["w1", "w1"]


def test_moments_of_a_type_without_a_zone_need_the_zone_of_the_mapping(tmp_path: Path) -> None:
    naive = pa.array([1_752_109_200_000_000_000] * 2, pa.timestamp("ns"))
    path = parquet(tmp_path, accepted_at=naive)

    assert {fault for _, fault, _ in content_of(path, MAP).wrong} == {"MOMENT_WITHOUT_ZONE"}
    assert content_of(path, ZONED).column("accept_time")[0] == datetime(2025, 7, 9, 17, tzinfo=UTC)


# Workbooks.


def test_dates_times_and_durations_of_a_sheet_are_read_as_it_shows_them(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        ["A", 7, "00042", DAY, time(9, 30), 1800, -73.99, 40.72],
        ["A", 8, 42, DAY, time(9, 30), None, -73.99, 40.72],
        names=["platform_hint", "order_no", "worker_hint", "day", "clock", "s", *NAMES[-2:]],
    )
    mapping = mapping_of(
        'accept_time = { date = "day", time = "clock" }\n'
        'end_time = { after = "accept_time", seconds = "s" }',
        moments='zone = "Asia/Shanghai"',
        without=("accept_time", "end_time"),
    )

    found = content_of(path, mapping)

    assert found.column("order_no") == ["7", "8"]
    assert found.column("worker_hint") == ["00042", "42"]
    begun = datetime(2025, 7, 10, 1, 30, tzinfo=UTC)
    assert found.column("end_time") == [begun + timedelta(minutes=30), None]
    assert found.column("state") == [2, 1]


def test_a_day_that_a_sheet_shows_without_a_time_is_no_moment(tmp_path: Path) -> None:
    path = sheet(tmp_path, ["A", "1", "w1", DAY, None, -73.99, 40.72])
    book = load_workbook(path)
    book.active["D2"].number_format = "yyyy-mm-dd"
    book.save(path)

    assert content_of(path, ZONED).wrong == [(1, "MOMENT_WITHOUT_TIME", "accept_time")]


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = sheet(tmp_path, list(OBJECT.values()), title="订单")

    assert len(content_of(path, mapping_of(file='sheet = "订单"')).orders) == 1
    assert refusal_of(path, mapping_of(file='sheet = "七月"')).what == (
        "it has no sheet 七月; its sheets are 订单"
    )


# Any format.


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("o.parquet.gz", ".parquet is not read compressed; unpack the file"),
        ("o.xls", ".xls is not one of .csv, .tsv, .xlsx, .parquet, .arrow, .ndjson, .jsonl, .json"),
        ("o.zip", ".zip is not one of "),
    ],
)
def test_other_suffixes_are_refused_with_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    assert refusal_of(tmp_path / name, MAP).what.startswith(words)


def test_the_mapping_may_name_the_format_of_a_file_with_another_suffix(tmp_path: Path) -> None:
    path = csv(tmp_path, ROW.format(no=1), name="o.txt")

    assert len(content_of(path, mapping_of(file='format = "csv"')).orders) == 1


@pytest.mark.parametrize("name", ["o.csv", "o.ndjson", "o.json", "o.parquet", "o.arrow", "o.xlsx"])
def test_a_file_without_rows_has_no_orders(tmp_path: Path, name: str) -> None:
    path, table = tmp_path / name, orders_table(0)
    if name == "o.parquet":
        pyarrow.parquet.write_table(table, path)
    elif name == "o.arrow":
        with pa.ipc.new_file(path, table.schema):
            pass
    elif name == "o.xlsx":
        sheet(tmp_path)
    else:
        path.write_text({"o.csv": f"{HEADER}\n", "o.json": "[]"}.get(name, ""))

    summary = summarise_file(path, MAP)

    assert (summary.row_count, summary.parts) == (0, {})


def test_a_file_is_summarised_and_read_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "o.parquet"
    pyarrow.parquet.write_table(orders_table(150_000), path, row_group_size=100_000)

    parts = summarise_file(path, MAP).parts
    pieces = list(orders_of(path, MAP, PEARL))

    assert {code: part.row_count for code, part in parts.items()} == {SWIFT: 75_000, PEARL: 75_000}
    assert parts[PEARL].worker_numbers == {"w0", "w1", "w2"}
    assert len(pieces) == 3
    assert pa.concat_tables(pieces)["file_row"].to_pylist() == list(range(2, 150_001, 2))
    assert pa.concat_tables(pieces).combine_chunks() == read_orders(path, MAP)[PEARL]


def test_a_word_that_the_mapping_does_not_explain_costs_its_row(tmp_path: Path) -> None:
    path = csv(tmp_path, ROW.format(no=1), "Z" + ROW.format(no=2)[1:])

    (wrong,) = summarise_file(path, MAP).wrong_rows()

    assert (wrong.row, wrong.fault.name, wrong.order_no) == (2, "UNKNOWN_WORD", "2")
    assert wrong.sentence == (
        "platform is 'Z', which the mapping does not explain; add it under [words.platform]."
    )
    assert wrong.sentence_zh == (
        "平台企业的值 'Z' 在映射文件中没有说明; 请加入 `[words.platform]`。"
    )


@pytest.mark.parametrize(("wrong_count", "is_refused"), [(100, False), (101, True)])
def test_a_file_with_many_wrong_rows_is_refused_as_a_whole(
    tmp_path: Path, wrong_count: int, *, is_refused: bool
) -> None:
    sound = [ROW.format(no=number) for number in range(500)]
    wrong = [ROW.format(no=1).replace("40.72", "north")] * wrong_count

    summary = summarise_file(csv(tmp_path, *sound, *wrong), MAP)

    assert summary.is_refused is is_refused
    if is_refused:
        with pytest.raises(OrderFileUnreadable) as refused:
            summary.require_few_wrong("o.csv")
        assert "101 of 601 rows are wrong, more than one in a hundred; the first: row 501: " in (
            refused.value.sentence
        )


def test_one_wrong_row_in_a_hundred_is_borne(tmp_path: Path) -> None:
    sound = [ROW.format(no=number) for number in range(20_000)]
    wrong = [ROW.format(no=1).replace("40.72", "north")] * 200

    assert not summarise_file(csv(tmp_path, *sound, *wrong), MAP).is_refused


def test_a_row_of_an_unknown_platform_is_nobodys_even_where_all_others_are_of_one(
    tmp_path: Path,
) -> None:
    stranger = ROW.format(no=2).replace("A,", "Somebody else,", 1)
    file = csv(tmp_path, ROW.format(no=1), stranger)

    sent = pa.concat_tables(orders_of(file, MAP, SWIFT))

    assert sent["file_row"].to_pylist() == [1]


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow", "ndjson"])
def test_a_file_takes_no_more_memory_than_a_few_pieces(tmp_path: Path, kind: str) -> None:
    table, path = orders_table(100_000), tmp_path / f"o.{kind}"
    times = 5 if kind == "ndjson" else 20
    if kind == "parquet":
        with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
            for _ in range(times):
                writer.write_table(table)
    elif kind == "csv":
        with pyarrow.csv.CSVWriter(path, table.schema) as writer:
            for _ in range(times):
                writer.write(table)
    elif kind == "ndjson":
        lines = (json.dumps(OBJECT) + "\n") * 100_000
        path.write_text(lines * times)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            for _ in range(times):
                writer.write_table(table)
    before, most, count = pa.total_allocated_bytes(), 0, 0

    for piece in rows_of(path, load_mapping_of(tmp_path)):
        count += piece.num_rows
        most = max(most, pa.total_allocated_bytes() - before)

    assert count == 100_000 * times
    assert most < 100 << 20
    assert kind == "ndjson" or table.nbytes * 20 > 100 << 20


def load_mapping_of(folder: Path) -> Any:
    (folder / "mapping.toml").write_text(MAPPING, encoding="utf-8")
    return load_mapping(folder / "mapping.toml")
