"""Files and mappings that are wrong, harmful or not yet complete: each ends in one sentence."""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import time
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from openpyxl import Workbook

from services.client.files import sheets, text_streams
from services.client.files.faults import OrderFileUnreadable, Unreadable
from services.client.files.file_reader import rows_of
from services.client.files.mapping import parse_mapping
from services.client.files.mapping_faults import MappingWrong
from services.client.files.order_files import read_rows
from tests.support.order_files import content_of, mapping_of, mapping_text, orders_table, refusal_of

NAMES = orders_table(0).column_names
HEADER = ",".join(NAMES)
ROW = "A,{no},w1,2025-07-10 11:00:00,2025-07-10 12:00:00,-73.99,40.72"
MAP = mapping_of(moments='zone = "Asia/Shanghai"')
MIB = 1 << 20


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def rows(*numbers: object) -> str:
    return "".join(f"{ROW.format(no=number)}\n" for number in numbers)


# What expands.


@pytest.fixture
def small_files_expand_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part of an expansion that is free is small, so that a bomb need not be large."""
    for module in (text_streams, sheets):
        monkeypatch.setattr(module, "EXPANSION_FREE_BYTES", 8 * MIB)


@pytest.mark.usefixtures("small_files_expand_little")
def test_a_gzip_bomb_is_refused_long_before_its_end(tmp_path: Path) -> None:
    header = gzip.compress(f"{HEADER}\n".encode(), mtime=0)
    member = gzip.compress(rows(1).encode() * 20_000, 9, mtime=0)
    path = write(tmp_path / "o.csv.gz", header + member * 60)

    with pytest.raises(Unreadable) as error:
        sum(table.num_rows for table in rows_of(path, MAP))

    refused = error.value.reason
    assert refused.fault == "EXPANDS"
    assert int(re.findall(r"\((\d+) MiB so far\)", refused.what)[0]) < 50


def test_a_text_that_packs_well_is_no_bomb(tmp_path: Path) -> None:
    text = f"{HEADER}\n" + rows(1) * 100_000
    path = write(tmp_path / "o.csv.gz", gzip.compress(text.encode()))
    assert len(text) > 100 * path.stat().st_size

    assert sum(table.num_rows for table in rows_of(path, MAP)) == 100_000


@pytest.mark.usefixtures("small_files_expand_little")
def test_a_workbook_that_expands_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "o.xlsx"
    Workbook().save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet9.xml", b"<row/>" * (2 * MIB))

    assert refusal_of(path, MAP).fault == "EXPANDS"


def test_a_workbook_that_claims_a_million_columns_is_read(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(NAMES)
    book.active.append(ROW.format(no=1).split(","))
    book.save(tmp_path / "plain.xlsx")

    changed_sheet(tmp_path, "plain.xlsx", "o.xlsx", (b"A1:G2", b"A1:XFD1048576"))

    assert len(content_of(tmp_path / "o.xlsx", MAP).orders) == 1


def changed_sheet(folder: Path, source: str, target: str, *changes: tuple[bytes, bytes]) -> None:
    """A workbook with the text of its sheet changed."""
    with (
        zipfile.ZipFile(folder / source) as plain,
        zipfile.ZipFile(folder / target, "w") as changed,
    ):
        for name in plain.namelist():
            content = plain.read(name)
            if name == "xl/worksheets/sheet1.xml":
                for old, new in changes:
                    assert old in content
                    content = content.replace(old, new)
            changed.writestr(name, content)


# Cells and columns.


def test_a_formula_without_its_value_is_named_and_one_with_it_is_read(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(NAMES)
    book.active.append(['="A"', "1", *ROW.format(no=1).split(",")[2:]])
    book.active.append(["A", "=CONCATENATE(1,2)", *ROW.format(no=1).split(",")[2:]])
    book.save(tmp_path / "o.xlsx")
    changed_sheet(
        tmp_path,
        "o.xlsx",
        "counted.xlsx",
        (b'<c r="A2">', b'<c r="A2" t="str">'),
        (b'<c r="B3">', b'<c r="B3" t="str">'),
        (b"<v />", b"<v>A</v>"),
    )

    without = content_of(tmp_path / "o.xlsx", MAP)
    found = content_of(tmp_path / "counted.xlsx", MAP)

    assert without.wrong == [
        (1, "FORMULA_WITHOUT_VALUE", "platform"),
        (2, "FORMULA_WITHOUT_VALUE", "order_no"),
    ]
    assert found.column("order_no") == ["1", "A"]


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_ten_thousand_columns_are_refused(tmp_path: Path, kind: str) -> None:
    names = [*NAMES, *(f"c{number}" for number in range(10_000 - len(NAMES)))]
    path = tmp_path / f"o.{kind}"
    if kind == "xlsx":
        book = Workbook(write_only=True)
        page = book.create_sheet()
        page.append(names)
        book.save(path)
    elif kind == "csv":
        write(path, ",".join(names) + "\n" + rows(1).strip() + "," * 9993 + "\n")
    else:
        pyarrow.parquet.write_table(pa.table({name: [1] for name in names}), path)

    refused = refusal_of(path, MAP)

    assert refused.what == (
        "it has 10,000 columns, more than 2,000; keep those that the mapping names"
    )


def test_a_header_that_is_there_twice_is_refused_and_a_position_tells_which(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER},order_no\n{rows(1).strip()},2\n")
    mapping = mapping_of(
        "order_no = { position = 8 }",
        moments='zone = "Asia/Shanghai"',
        without=("order_no",),
    )

    refused = refusal_of(path, MAP)

    assert refused.fault == "COLUMN_TWICE"
    assert content_of(path, mapping).column("order_no") == ["2"]


def test_a_header_that_is_there_twice_and_not_used_is_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER},note,note\n{rows(1).strip()},x,y\n")

    assert len(content_of(path, MAP).orders) == 1


# Texts.


def test_lines_may_end_in_any_way(tmp_path: Path) -> None:
    lines = [HEADER, *(ROW.format(no=number) for number in range(4))]
    ends = ["\r\n", "\n", "\r", "\n\r\n", ""]
    path = write(tmp_path / "o.csv", "".join(map("".join, zip(lines, ends, strict=True))))

    found = content_of(path, MAP)

    assert (found.column("order_no"), found.wrong) == (["0", "1", "2", "3"], [])
    assert found.column("file_row") == [1, 2, 3, 4]


def test_a_nul_costs_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER}\n" + rows("1", "2\0", "3"))

    found = content_of(path, MAP)

    assert found.wrong == [(2, "CONTROL_CHARACTER", "order_no")]
    assert found.column("order_no") == ["1", "3"]


def test_utf_16_without_its_mark_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER}\n{rows(1)}".encode("utf-16-le"))

    assert refusal_of(path, MAP).fault == "LOOKS_LIKE_UTF16"


@pytest.mark.parametrize("after", [1, 20_000])
def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_rows_after_it(
    tmp_path: Path, after: int
) -> None:
    """In a column that the mapping does not name, too: nobody sees what stands there."""
    head = "".join(f"{ROW.format(no=number)},\n" for number in range(2))
    broken = f'{ROW.format(no=2)},"the customer left\n'
    tail = "".join(f"{ROW.format(no=number)},\n" for number in range(3, 3 + after))
    path = write(tmp_path / "o.csv", f"{HEADER},remarks\n{head}{broken}{tail}")

    refused = refusal_of(path, MAP)

    assert refused.fault in {"OPEN_QUOTE", "LONG_LINE"}
    assert "quotation mark" in refused.what
    assert after > 1 or "a quotation mark in row 3 is never closed" in refused.what


def test_a_closed_quotation_mark_at_the_end_of_a_file_is_none(tmp_path: Path) -> None:
    text = f'{HEADER},remarks\n{ROW.format(no=1)},"left\nlate"'

    assert sum(table.num_rows for table in rows_of(write(tmp_path / "o.csv", text), MAP)) == 1


@pytest.mark.parametrize("name", ["o.csv", "o.ndjson"])
def test_a_line_without_end_is_named(tmp_path: Path, name: str) -> None:
    long = "x" * (2 * MIB + 1)
    if name == "o.csv":
        path = write(tmp_path / name, f"{HEADER}\n" + rows(1, long))
    else:
        first = dict(zip(NAMES, ROW.format(no=1).split(","), strict=True))
        path = write(tmp_path / name, f"{json.dumps(first)}\n" + json.dumps({"order_no": long}))

    refused = refusal_of(path, MAP)

    assert refused.fault == "LONG_LINE"
    assert "there is no end of the line within 1 MiB after row " in refused.what


def test_an_uneven_row_with_an_open_quotation_mark_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER}\n" + rows(1, '"2', 3))

    refused = refusal_of(path, MAP)

    assert refused.fault == "OPEN_QUOTE"
    assert "a quotation mark in row 2 is never closed" in refused.what


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"a,b\n" + b"1,2\n" * 99, mtime=0)[:30], b"a,b\n1,2\n"],
    ids=["cut short", "not packed"],
)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path: Path, content: bytes) -> None:
    assert refusal_of(write(tmp_path / "o.csv.gz", content), MAP).fault in {
        "DAMAGED",
        "COLUMN_MISSING",
    }


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("o.csv", "", "EMPTY_FILE"),
        ("o.csv", "\n\n", "EMPTY_FILE"),
        ("o.xlsx", "PK", "DAMAGED"),
        ("o.parquet", "PAR1", "DAMAGED"),
        ("o.arrow", "ARROW1", "DAMAGED"),
        ("o.json", '[{"a": 1', "DAMAGED"),
        ("o.json", '{"a": 1}', "COLUMN_MISSING"),
    ],
)
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, name: str, content: str, fault: str
) -> None:
    path = write(tmp_path / name, content)
    if name == "o.json" and fault == "COLUMN_MISSING":
        # An object without an array has no orders.
        assert content_of(path, MAP).orders == []
        return

    assert refusal_of(path, MAP).fault == fault


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "o.csv").mkdir()

    assert refusal_of(tmp_path / "o.csv", MAP).fault == "NOT_OPENED"
    assert refusal_of(tmp_path / "none.csv", MAP).what == "there is no such file"


# Files that change, and libraries that are missing.


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER}\n" + rows(*range(200_000)))
    pieces = rows_of(path, MAP)
    next(pieces)

    with path.open("a", encoding="utf-8") as end:
        end.write(rows("late"))

    with pytest.raises(Unreadable) as refused:
        list(pieces)
    assert refused.value.fault.value == "CHANGED"


def test_a_file_that_grows_is_refused_by_the_program_that_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "o.csv", f"{HEADER}\n" + rows(*range(400_000)))
    stop = threading.Event()

    def grow() -> None:
        with path.open("a", encoding="utf-8") as end:
            while not stop.is_set():
                end.write(rows("late"))
                end.flush()
                time.sleep(0.01)

    growing = threading.Thread(target=grow)
    growing.start()
    try:
        with pytest.raises(OrderFileUnreadable) as refused:
            list(read_rows(path, MAP))
    finally:
        stop.set()
        growing.join()
    assert refused.value.sentence.endswith(
        "it was changed while it was read; wait until it is complete."
    )


@pytest.mark.parametrize(("kind", "library"), [("xlsx", "openpyxl"), ("json", "ijson")])
def test_a_format_whose_library_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "services.client.files.sheets")

    refused = refusal_of(write(tmp_path / f"o.{kind}", "[]"), MAP)

    assert refused.what.endswith(f"run pip install 'oip-client[{kind}]'")


# Mappings.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            mapping_text('worker = "courier"'),
            "worker is given a second time in line ",
        ),
        (
            mapping_text('worker = ["a", "b"]', without=("worker",)),
            "columns.worker names several columns; a field comes from one",
        ),
        (
            mapping_text('worker = { column = "a", position = 3 }', without=("worker",)),
            "columns.worker gives column and position; give one of column, position and constant",
        ),
        (
            mapping_text(moments='form = "%m-%d %H:%M:%S"'),
            "columns.accept_time: nothing gives the year: neither the form ",
        ),
        (mapping_text(moments='form = "yyyy-MM-dd HH:mm"'), "moments.form "),
        (mapping_text(moments='form = "%Y-%m-%d"'), 'moments.form "%Y-%m-%d" has no hour and'),
        (mapping_text(moments='zone = "Mars/Crater"'), 'moments.zone "Mars/Crater" is not a time'),
        (mapping_text(file='encoding = "gb99"'), "file.encoding is not one of utf-8, utf-16, "),
        (mapping_text(file="header = 0"), "columns names headers, but [file] says that there"),
        (mapping_text(without=("worker",)), "columns.worker is missing; say where it comes from"),
        (mapping_text(without=("end_time",)), "columns end_time is missing: nothing says when"),
        (mapping_text(words='[words.state]\n"x" = "DONE"'), "words.state.x is not one of "),
        (
            mapping_text('industry = { constant = "TAXI" }', without=("industry",)),
            'columns.industry: the constant "TAXI" is not known',
        ),
        (
            mapping_text('place = { lng = "x" }', without=("place",)),
            "columns.place needs both lng and lat",
        ),
        ("columns = 3", "columns is not a table"),
        ("[columns", "it is not TOML ("),
    ],
)
def test_a_mapping_that_is_wrong_is_refused_in_both_languages(text: str, words: str) -> None:
    with pytest.raises(MappingWrong) as refused:
        parse_mapping(text, Path("mapping.toml"))

    prefix = "The mapping mapping.toml cannot be used: "
    assert refused.value.sentence.startswith(prefix + words), refused.value.sentence
    assert refused.value.sentence_zh.startswith("映射文件 mapping.toml 无法使用: ")
    assert refused.value.sentence.removeprefix(prefix) not in refused.value.sentence_zh
