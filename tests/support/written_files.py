"""Small files of orders in the formats that platforms use."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from openpyxl import Workbook

from tests.support.order_files import (
    mapping_of,
    orders_table,
)

NAMES = orders_table(0).column_names
HEADER = ",".join(NAMES)
ROW = "A,{no},w1,2025-07-10T11:00:00+08:00,2025-07-10T12:00:00+08:00,-73.99,40.72"
MAP = mapping_of()
ZONED = mapping_of(moments='zone = "Asia/Shanghai"')
DAY = datetime.fromisoformat("2025-07-10")
OBJECT = dict(
    zip(
        NAMES,
        ["A", "1", "w1", "2025-07-10T03:00:00Z", "2025-07-10T04:00:00Z", -73.99, 40.72],
        strict=True,
    )
)


def csv(folder: Path, *lines: str, name: str = "o.csv", encoding: str = "utf-8") -> Path:
    content = "\n".join((HEADER, *lines, "")).encode(encoding)
    packed = gzip.compress(content) if name.endswith("gz") else content
    (folder / name).write_bytes(
        pa.compress(content, "zstd", asbytes=True) if name.endswith("zst") else packed
    )
    return folder / name


def ndjson(folder: Path, *rows: Any, name: str = "o.ndjson") -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def parquet(folder: Path, **changes: Any) -> Path:
    table = orders_table(2)
    for name, column in changes.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(column) if type(column) is list else column)
    pyarrow.parquet.write_table(table, folder / "o.parquet")
    return folder / "o.parquet"


def sheet(folder: Path, *rows: list[Any], names: list[str] = NAMES, title: str = "Sheet") -> Path:
    book = Workbook()
    page = book.active
    page.title = title
    for row in (names, *rows):
        page.append(row)
    book.save(folder / "o.xlsx")
    return folder / "o.xlsx"
