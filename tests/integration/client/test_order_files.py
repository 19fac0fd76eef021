"""Files of orders as platforms really write them, and the sentence for what cannot be read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from services.client.upload.columns import REQUIRED, Unreadable
from services.client.upload.file_reader import read_columns
from services.client.upload.formats import LINE_BYTES_MAX
from services.client.upload.mapping import FileMapping, MappingWrong, load_mapping
from services.client.upload.order_files import OrderFileUnreadable
from services.client.upload.orders import orders_of, read_orders
from services.client.upload.summary import summarise_file
from tests.support.order_files import MAPPING, orders_table
from tests.support.platforms import PEARL, SWIFT

HEADER = ",".join(REQUIRED)
ROW = "A,{no},w1,2013-01-02T11:00:00+08:00,2013-01-02T12:00:00+08:00,-73.99,40.72"
ONE = dict(
    zip(REQUIRED, ["A", "1", "w1", *["2013-01-02T03:00:00Z"] * 2, -73.99, 40.72], strict=True)
)


@pytest.fixture
def mapping(tmp_path: Path) -> Callable[..., FileMapping]:
    def write(**keys: str) -> FileMapping:
        lines = "".join(f'{name} = "{value}"\n' for name, value in keys.items())
        (tmp_path / "mapping.toml").write_text(lines + MAPPING, encoding="utf-8")
        return load_mapping(tmp_path / "mapping.toml")

    return write


def csv(folder: Path, *lines: str, name: str = "o.csv", encoding: str = "utf-8") -> Path:
    content = "\n".join((HEADER, *lines, "")).encode(encoding)
    (folder / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return folder / name


def ndjson(folder: Path, *rows: dict[str, Any], name: str = "o.ndjson") -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def parquet(folder: Path, **changes: Any) -> Path:
    table = orders_table(2)
    for name, column in changes.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(column) if type(column) is list else column)
    pyarrow.parquet.write_table(table, folder / "o.parquet")
    return folder / "o.parquet"


def refusal(path: Path, zone: str = "", encoding: str = "utf-8") -> str:
    with pytest.raises(Unreadable) as refused:
        list(read_columns(path, zone, encoding))
    return str(refused.value)


def accepted(path: Path, zone: str = "", encoding: str = "utf-8") -> list[Any]:
    tables = read_columns(path, zone, encoding)
    return pa.concat_tables(tables)["accepted_at"].to_pylist()  # type: ignore[no-any-return]


# States.


@pytest.mark.parametrize("state", ["cancelled", "REVERSD", "Completed ", "2"])
def test_a_misspelt_state_is_refused_with_its_row_and_the_names(tmp_path: Path, state: str) -> None:
    rows = [{**ONE, "state": "CANCELLED"}, {**ONE, "state": ""}, {**ONE, "state": state}]

    said = refusal(ndjson(tmp_path, *rows))

    assert said.startswith(f"row 3 has the state {state!r}, which is none of ACCEPTED, COMPLETED, ")


def test_only_an_empty_state_is_the_default(
    tmp_path: Path, mapping: Callable[..., FileMapping]
) -> None:
    rows = [
        {**ONE, "state": "REVERSED", "reason": "test"},
        {**ONE, "state": "", "picked_up_at": "2013-01-02T03:10:00Z"},
        {**ONE, "state": None, "completed_at": None},
        {**ONE, "state": "CANCELLED"},
    ]

    table = read_orders(ndjson(tmp_path, *rows), mapping())[SWIFT]

    assert table["state"].to_pylist() == [4, 2, 1, 3]
    assert [bool(moment) for moment in table["pick_up_time"].to_pylist()] == [0, 1, 0, 0]


def test_an_industry_that_does_not_exist_is_refused_with_the_names(
    mapping: Callable[..., FileMapping], tmp_path: Path
) -> None:
    mapping()
    path = tmp_path / "mapping.toml"
    path.write_text(path.read_text().replace("RIDE_HAILING", "ride_hailing"))

    with pytest.raises(MappingWrong, match="industry: input should be 'RIDE_HAILING', 'INSTANT_"):
        load_mapping(path)


# Moments.


def test_moments_without_a_zone_are_refused_and_the_mapping_may_name_it(tmp_path: Path) -> None:
    naive = pa.array([1_357_124_400_000_000] * 2, pa.timestamp("us"))
    path = parquet(tmp_path, accepted_at=naive)

    said = refusal(path)
    (read, _) = accepted(path, "Asia/Shanghai")

    assert said.startswith("column accepted_at is timestamp[us], without a zone; ")
    assert 'zone = "Asia/Shanghai"' in said
    assert read == datetime(2013, 1, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_so_are_texts_of_moments(tmp_path: Path, kind: str) -> None:
    naive, zoned = "2013-01-02 11:00:00", "2013-01-02T11:00:00+0800"
    if kind == "csv":
        path = csv(tmp_path, *(f"A,1,w1,{text},,-73.99,40.72" for text in (zoned, naive)))
    elif kind == "ndjson":
        path = ndjson(tmp_path, *({**ONE, "accepted_at": text} for text in (zoned, naive)))
    else:
        path = parquet(tmp_path, accepted_at=[zoned, naive])

    said = refusal(path)
    read = accepted(path, "+08:00")

    assert said.startswith("row 2 has the accepted_at '2013-01-02 11:00:00', without a zone; ")
    assert read == [datetime(2013, 1, 2, 3, tzinfo=UTC)] * 2


def test_a_zone_and_an_encoding_that_do_not_exist_are_refused(
    mapping: Callable[..., FileMapping],
) -> None:
    with pytest.raises(MappingWrong, match="'Mars/Crater' is not a time zone; write one as 'Asia/"):
        mapping(zone="Mars/Crater")
    with pytest.raises(MappingWrong, match="'gb99' is not an encoding; write one as 'utf-8' or"):
        mapping(encoding="gb99")


def test_another_mapping_has_another_digest(mapping: Callable[..., FileMapping]) -> None:
    assert mapping().digest == mapping().digest
    assert mapping().digest != mapping(zone="Asia/Shanghai").digest


# Values that are none.


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("accepted_at", "yesterday", "row 2 has the accepted_at 'yesterday'; write it as 2025-"),
        ("pickup_lat", "north", "row 2 has the pickup_lat 'north', which is not a number"),
    ],
)
def test_a_cell_that_cannot_be_read_is_named(
    tmp_path: Path, column: str, value: str, words: str
) -> None:
    cells = dict(zip(REQUIRED, ROW.format(no=2).split(","), strict=True)) | {column: value}

    said = refusal(csv(tmp_path, ROW.format(no=1), ",".join(cells.values())))

    assert said.startswith(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accepted_at": [1752109200, 1752109200]}, "column accepted_at is int64; write timest"),
        ({"order_no": [1.5, 2.5]}, "column order_no is double; write texts"),
        ({"pickup_lat": [[1.0], [2.0]]}, "column pickup_lat is list"),
    ],
)
def test_a_column_of_a_kind_that_says_little_is_refused(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert refusal(parquet(tmp_path, **changes)).startswith(words)


def test_numbers_as_order_numbers_and_columns_in_a_dictionary_are_read(tmp_path: Path) -> None:
    hints = pa.array(["w1", "w1"]).dictionary_encode()

    (table,) = read_columns(parquet(tmp_path, order_no=[7, 8], worker_hint=hints))

    assert table["order_no"].to_pylist() == ["7", "8"]
    assert table["worker_hint"].to_pylist() == ["w1", "w1"]


def test_a_text_that_never_ends_does_not_break_its_batch(tmp_path: Path) -> None:
    (table,) = read_columns(parquet(tmp_path, order_no=["x" * 6_000_000, "2"]))

    assert [len(one) for one in table["order_no"].to_pylist()] == [1000, 1]


# Formats.


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "o.csv"
    path.write_text(f"{HEADER},order_no\n{ROW.format(no=1)},2\n")

    assert refusal(path) == "column order_no occurs twice; remove one"


def test_ndjson_without_a_column_is_refused(tmp_path: Path) -> None:
    less = {name: value for name, value in ONE.items() if name != "completed_at"}

    said = refusal(ndjson(tmp_path, less))

    assert said.startswith("column completed_at is missing; it needs platform_hint, ")


def test_a_wrong_row_of_ndjson_is_named_wherever_it_stands(tmp_path: Path) -> None:
    rows = [ONE] * 60_000 + [{**ONE, "order_no": 1}]
    path = ndjson(tmp_path, *rows)
    assert path.stat().st_size > LINE_BYTES_MAX

    assert "Column(/order_no) changed from string to number in row 60001)" in refusal(path)


def test_a_short_row_of_csv_is_named_wherever_it_stands(tmp_path: Path) -> None:
    path = csv(tmp_path, *[ROW.format(no=1)] * 70_000, "A,1")
    assert path.stat().st_size > LINE_BYTES_MAX

    assert "row 70001 has 2 cells, but the header has 7; write one cell for" in refusal(path)


@pytest.mark.parametrize("name", ["o.csv", "o.ndjson"])
def test_a_line_without_end_is_named(tmp_path: Path, name: str) -> None:
    long = "x" * (2 * LINE_BYTES_MAX + 1)
    if name == "o.csv":
        path = csv(tmp_path, ROW.format(no=1), ROW.format(no=long))
    else:
        path = ndjson(tmp_path, ONE, {**ONE, "order_no": long})

    assert "there is no end of the line within 1 MiB after row " in refusal(path)


@pytest.mark.parametrize("name", ["o.csv", "o.csv.gz"])
def test_another_encoding_is_named_with_its_line_and_the_mapping_may_name_it(
    tmp_path: Path, name: str
) -> None:
    lines = (ROW.format(no="1"), ROW.format(no="京A-2"))
    path = csv(tmp_path, *lines, name=name, encoding="gb18030")

    said = refusal(path)
    (table,) = read_columns(path, "", "gb18030")

    assert said.startswith("line 3 is not UTF-8; save the file as UTF-8, or name its encoding ")
    assert 'encoding = "gb18030"' in said
    assert table["order_no"].to_pylist() == ["1", "京A-2"]


def test_an_encoding_that_the_file_has_not_is_named(tmp_path: Path) -> None:
    path = tmp_path / "o.ndjson"
    path.write_bytes(json.dumps(ONE).encode() + b"\n\xff\xff\n")

    assert refusal(path, "", "gb18030") == "line 2 is not gb18030, as the mapping says it is"


def test_lines_of_json_have_two_suffixes_and_text_may_be_packed(tmp_path: Path) -> None:
    plain = ndjson(tmp_path, ONE, name="o.jsonl")
    packed = tmp_path / "o.ndjson.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert len(accepted(plain)) == len(accepted(packed)) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("o.parquet.gz", ".parquet is not read compressed; unpack the file"),
        ("o.xlsx", ".xlsx is not one of .parquet, .csv, .arrow, .ndjson, .jsonl; save it as"),
        ("o.zip", ".zip is not one of "),
    ],
)
def test_other_suffixes_are_refused_with_what_to_do(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_bytes(b"x")

    assert refusal(tmp_path / name).startswith(words)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"a,b\n" + b"1,2\n" * 99, mtime=0)[:30], b"a,b\n1,2\n"],
    ids=["cut short", "not packed"],
)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "o.csv.gz").write_bytes(content)

    assert "it is not a valid csv file" in refusal(tmp_path / "o.csv.gz")


@pytest.mark.parametrize("name", ["o.csv", "o.ndjson", "o.parquet", "o.arrow"])
def test_a_file_without_rows_has_no_orders(
    tmp_path: Path, mapping: Callable[..., FileMapping], name: str
) -> None:
    path, table = tmp_path / name, orders_table(0)
    if name == "o.parquet":
        pyarrow.parquet.write_table(table, path)
    elif name == "o.arrow":
        with pa.ipc.new_file(path, table.schema):
            pass
    else:
        path.write_text(f"{HEADER}\n" if name == "o.csv" else "")

    assert summarise_file(path, mapping()) == {}


# A piece at a time.


def test_a_file_is_summarised_and_read_in_pieces(
    tmp_path: Path, mapping: Callable[..., FileMapping]
) -> None:
    path, read_as = tmp_path / "o.parquet", mapping()
    pyarrow.parquet.write_table(orders_table(150_000), path, row_group_size=100_000)

    shares = summarise_file(path, read_as)
    pieces = list(orders_of(path, read_as, PEARL))

    assert {code: share.row_count for code, share in shares.items()} == {
        SWIFT: 75_000,
        PEARL: 75_000,
    }
    assert shares[PEARL].worker_numbers == {"w0", "w1", "w2"}
    assert len(pieces) == 3
    assert pa.concat_tables(pieces)["file_row"].to_pylist() == list(range(2, 150_001, 2))
    assert pa.concat_tables(pieces).combine_chunks() == read_orders(path, read_as)[PEARL]


def test_a_platform_that_the_mapping_does_not_name_is_named_with_its_row(
    tmp_path: Path, mapping: Callable[..., FileMapping]
) -> None:
    path = csv(tmp_path, ROW.format(no=1), "Z" + ROW.format(no=2)[1:])

    with pytest.raises(OrderFileUnreadable) as refused:
        summarise_file(path, mapping())

    assert "row 2 has the platform_hint 'Z', and the mapping names no platform for it; add it" in (
        refused.value.sentence
    )


def test_a_file_that_is_wrong_at_its_end_is_refused_at_its_end(
    tmp_path: Path, mapping: Callable[..., FileMapping]
) -> None:
    path = csv(tmp_path, *[ROW.format(no=1)] * 70_000, ROW.format(no=1).replace("40.72", "x"))

    with pytest.raises(OrderFileUnreadable) as refused:
        summarise_file(path, mapping())

    assert "row 70001 has the pickup_lat 'x', which is not a number" in refused.value.sentence


@pytest.mark.parametrize("kind", ["parquet", "csv", "arrow"])
def test_a_file_takes_no_more_memory_than_a_few_pieces(tmp_path: Path, kind: str) -> None:
    table, path = orders_table(100_000), tmp_path / f"o.{kind}"
    if kind == "parquet":
        with pyarrow.parquet.ParquetWriter(path, table.schema) as writer:
            for _ in range(20):
                writer.write_table(table)
    elif kind == "csv":
        with pyarrow.csv.CSVWriter(path, table.schema) as writer:
            for _ in range(20):
                writer.write(table)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            for _ in range(20):
                writer.write_table(table)
    before, most, count = pa.total_allocated_bytes(), 0, 0

    for piece in read_columns(path):
        count += piece.num_rows
        most = max(most, pa.total_allocated_bytes() - before)

    assert count == 2_000_000
    assert most < 100 << 20 < table.nbytes * 20
