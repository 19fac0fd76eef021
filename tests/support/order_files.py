"""Files of orders as platforms have them, and how they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from services.client.files.faults import Reason, RowFault, Unreadable
from services.client.files.file_reader import rows_of
from services.client.files.mapping import FileMapping, parse_mapping
from tests.support.platforms import PEARL, SWIFT

# The columns of the tables and files below.
COLUMNS = """
[columns]
platform = "platform_hint"
industry = { constant = "RIDE_HAILING" }
order_no = "order_no"
worker = "worker_hint"
accept_time = "accepted_at"
end_time = "completed_at"
place = { lng = "pickup_lng", lat = "pickup_lat" }
"""
WORDS = f"""
[words.platform]
"A" = "{SWIFT}"
"B" = "{PEARL}"
"""
PLACES = """
[places]
within_km = 40.0
[[places.centres]]
pooling_area = "440100"
lat = 40.7233
lng = -73.9985
[[places.centres]]
pooling_area = "440600"
lat = 40.7831
lng = -73.9712
"""
MAPPING = f"{COLUMNS}{WORDS}{PLACES}[moments]\nshift_days = 4564\n"


def mapping_text(
    columns: str = "",
    *,
    file: str = "",
    moments: str = "",
    words: str = "",
    without: tuple[str, ...] = (),
) -> str:
    """A mapping of the columns above with further lines in its tables, and without some fields."""
    fields = "\n".join(
        line for line in COLUMNS.splitlines() if line.partition(" ")[0] not in without
    )
    tables = f"[file]\n{file}\n[moments]\n{moments}\n"
    return f"{tables}{fields}\n{columns}\n{WORDS}{words}\n{PLACES}"


def mapping_of(columns: str = "", **tables: Any) -> FileMapping:
    """The same, read."""
    return parse_mapping(mapping_text(columns, **tables), Path("mapping.toml"))


def orders_table(count: int = 6) -> pa.Table:
    start = datetime.fromisoformat("2013-01-02T03:00:00+00:00")
    moment = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "platform_hint": ["AB"[n % 2] for n in range(count)],
            "order_no": [f"=t-{n}" if n == 0 else f"t-{n}" for n in range(count)],
            "worker_hint": [f"w{n % 3}" for n in range(count)],
            "accepted_at": pa.array([start] * count, moment),
            "completed_at": pa.array(
                [None if n == 1 else start.replace(hour=4) for n in range(count)], moment
            ),
            "pickup_lng": [0.0 if n == 0 else -73.99 for n in range(count)],
            "pickup_lat": [0.0 if n == 0 else 40.72 for n in range(count)],
        }
    )


@dataclass(frozen=True)
class FileContent:
    """What a file holds as its mapping reads it: orders as dicts, and (row, fault, field)."""

    orders: list[dict[str, Any]]
    wrong: list[tuple[int, str, str]]

    def column(self, name: str) -> list[Any]:
        return [order[name] for order in self.orders]


def content_of(path: Path, mapping: FileMapping) -> FileContent:
    """Read a file in this process. Raises Unreadable."""
    rows = [row for table in rows_of(path, mapping) for row in table.to_pylist()]
    wrong = [row for row in rows if row["fault"] is not None]
    return FileContent(
        [row for row in rows if row["fault"] is None],
        [(row["file_row"], RowFault(row["fault"]).name, row["fault_field"]) for row in wrong],
    )


def refusal_of(path: Path, mapping: FileMapping) -> Reason:
    """Why a file is refused; in both languages."""
    with pytest.raises(Unreadable) as refused:
        content_of(path, mapping)
    reason = refused.value.reason
    assert re.search(r"[\u4e00-\u9fff]", reason.what_zh), reason
    return reason
