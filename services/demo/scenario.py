"""What a month is made of: platforms, people, and rows to send, day by day.

Either made up (province.py), or read from a file of real order records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from services.demo import province
from services.demo.cases import Trip
from services.demo.province import Company, Person
from services.kernel.periods import Month, first_moment

# As the order service takes them, but for the worker, who stands by the platform's own number.
SCHEMA = pa.schema(
    [
        ("platform", pa.string()),
        ("send_date", pa.date32()),
        ("order_no", pa.string()),
        ("revision", pa.int32()),
        ("worker_number", pa.string()),
        ("industry", pa.int8()),
        ("state", pa.int8()),
        ("accept_time", pa.timestamp("us", "UTC")),
        ("pick_up_time", pa.timestamp("us", "UTC")),
        ("end_time", pa.timestamp("us", "UTC")),
        ("place_of_acceptance", pa.int32()),
        ("reason", pa.string()),
        # Sent once, right, and of an order that has ended.
        ("plain", pa.bool_()),
    ]
)
SENDING_ORDER = ("send_date", "platform", "accept_time", "order_no", "revision")
TRIP_COLUMNS = [
    "worker_number",
    "platform",
    "order_no",
    "accept_time",
    "end_time",
    "place_of_acceptance",
]


class ScenarioError(ValueError):
    """The month cannot be lived as asked; says what to do."""


@dataclass(frozen=True)
class Scenario:
    """A month to live. `name` makes its request ids its own, `rows` has the columns of SCHEMA."""

    name: str
    companies: tuple[Company, ...]
    workers: Mapping[str, tuple[Person, ...]]
    rows: pa.Table
    months: tuple[Month, ...]
    late_platform: str

    @property
    def month(self) -> Month:
        """The month that is lived through to its settlement: the first."""
        return self.months[0]

    @property
    def send_dates(self) -> list[date]:
        """The days on which rows are sent, in order."""
        days: list[date] = pc.unique(self.rows["send_date"]).to_pylist()
        return sorted(days)

    def trips(self) -> list[Trip]:
        """The orders of workers all of whose rows are plain: what accidents happen in."""
        plain = self.rows["plain"]
        unplain = pc.unique(self.rows.filter(pc.invert(plain))["worker_number"])
        kept = self.rows.filter(pc.invert(pc.is_in(self.rows["worker_number"], unplain)))
        return [
            Trip(
                row["worker_number"],
                row["platform"],
                row["order_no"],
                row["accept_time"],
                row["end_time"],
                str(row["place_of_acceptance"]),
            )
            for row in kept.select(TRIP_COLUMNS).to_pylist()
        ]


def made_up(order_count: int, worker_count: int, seed: int) -> Scenario:
    """The made-up province with so many sound orders and workers."""
    people = province.people(worker_count, seed)
    rows = _table(province.orders(people, order_count, seed))
    workers = {
        company.credit_code: tuple(one for one in people if index in one.companies)
        for index, company in enumerate(province.COMPANIES)
    }
    return Scenario(
        name=f"month-{seed}-{order_count}-{worker_count}",
        companies=province.COMPANIES,
        workers=workers,
        rows=rows,
        months=(province.MONTH,),
        late_platform=province.COMPANIES[1].credit_code,
    )


def file_name(orders: Path, mapping: Path) -> str:
    """A name for the scenario of a file: the same content gives the same name."""
    digest = hashlib.sha256(mapping.read_bytes())
    with orders.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"file-{digest.hexdigest()[:12]}"


def _table(orders: Iterator[province.Order]) -> pa.Table:
    chunks: list[pa.RecordBatch] = []
    waiting: list[province.Order] = []
    for order in orders:
        waiting.append(order)
        if len(waiting) == 20_000:
            chunks.append(_batch(waiting))
            waiting = []
    chunks.append(_batch(waiting))
    table = pa.Table.from_batches(chunks, SCHEMA)
    return table.sort_by([(column, "ascending") for column in SENDING_ORDER])


def _batch(orders: list[province.Order]) -> pa.RecordBatch:
    columns = {
        "platform": [province.COMPANIES[order.company].credit_code for order in orders],
        "send_date": [order.send_date for order in orders],
        "order_no": [order.order_no for order in orders],
        "revision": [order.revision for order in orders],
        "worker_number": [order.worker_number for order in orders],
        "industry": [order.industry for order in orders],
        "state": [order.state for order in orders],
        "accept_time": [order.accept_time for order in orders],
        "pick_up_time": [None for _ in orders],
        "end_time": [order.end_time for order in orders],
        "place_of_acceptance": [order.place for order in orders],
        "reason": [order.reason for order in orders],
        "plain": [order.plain for order in orders],
    }
    return pa.record_batch(columns, schema=SCHEMA)


def sent_at(day: date) -> datetime:
    """Two o'clock in the morning after a day, when platforms send what ended on it."""
    return first_moment(day + timedelta(days=1)) + timedelta(hours=2)
