"""The content of a month: platforms, workers, and the rows to send day by day.

It is either fictional (province.py) or read from a file of real order records.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from services.client.files.mapping import load_mapping
from services.client.files.orders import read_orders
from services.demo import province
from services.demo.cases import Trip
from services.demo.province import Company, Person
from services.kernel.periods import Month, first_moment

# The rows that the order service takes, but with the platform's number of the worker.
SCHEMA = pa.schema(
    [
        ("platform", pa.string()),
        ("send_date", pa.date32()),
        ("order_no", pa.string()),
        ("revision", pa.int32()),
        ("worker_hint", pa.string()),
        ("industry", pa.int8()),
        ("state", pa.int8()),
        ("accept_time", pa.timestamp("us", "UTC")),
        ("pick_up_time", pa.timestamp("us", "UTC")),
        ("end_time", pa.timestamp("us", "UTC")),
        ("place_of_acceptance", pa.int32()),
        ("reason", pa.string()),
        ("file_row", pa.int64()),
        # Sent once, without fault, and of an order that has ended.
        ("plain", pa.bool_()),
    ]
)
SENDING_ORDER = ("send_date", "platform", "accept_time", "order_no", "revision")
TRIP_COLUMNS = [
    "worker_hint",
    "platform",
    "order_no",
    "accept_time",
    "end_time",
    "place_of_acceptance",
]


class ScenarioError(ValueError):
    """The month cannot be simulated; the text says what to do."""


@dataclass(frozen=True)
class Scenario:
    """A month to simulate. Request ids start with `name`; `rows` has the columns of SCHEMA."""

    name: str
    companies: tuple[Company, ...]
    workers: Mapping[str, tuple[Person, ...]]
    rows: pa.Table
    months: tuple[Month, ...]
    late_platform: str

    @property
    def month(self) -> Month:
        """The first month, which is simulated through to its settlement."""
        return self.months[0]

    @property
    def send_dates(self) -> list[date]:
        """The days on which rows are sent, in order."""
        days: list[date] = pc.unique(self.rows["send_date"]).to_pylist()
        return sorted(days)

    def trips(self) -> list[Trip]:
        """The orders of workers all of whose rows are plain; accidents happen in these."""
        plain = self.rows["plain"]
        unplain = pc.unique(self.rows.filter(pc.invert(plain))["worker_hint"])
        kept = self.rows.filter(pc.invert(pc.is_in(self.rows["worker_hint"], unplain)))
        return [
            Trip(
                row["worker_hint"],
                row["platform"],
                row["order_no"],
                row["accept_time"],
                row["end_time"],
                str(row["place_of_acceptance"]),
            )
            for row in kept.select(TRIP_COLUMNS).to_pylist()
        ]


def fictional(order_count: int, worker_count: int, seed: int) -> Scenario:
    """The fictional province with this many valid orders and workers."""
    people = province.people(worker_count, seed)
    rows = _table(province.orders(people, order_count, seed))
    workers = {
        company.credit_code: tuple(person for person in people if index in person.companies)
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


def from_file(orders: Path, mapping: Path) -> Scenario:
    """Real order records, read with a mapping; raises a Problem that says what is wrong.

    Every worker of the file is enrolled with a fictional citizen number.
    """
    rules = load_mapping(mapping)
    by_platform = read_orders(orders, rules)
    rows = pa.concat_tables(_as_rows(code, table) for code, table in by_platform.items())
    hints = sorted(filter(None, _hints(rows)))
    people = {
        hint: replace(province.person(index, 0), worker_number=hint)
        for index, hint in enumerate(hints)
    }
    workers = {
        code: tuple(
            people[hint] for hint in sorted(filter(None, set(table["worker_hint"].to_pylist())))
        )
        for code, table in by_platform.items()
    }
    companies = tuple(_company(code, table) for code, table in by_platform.items())
    return Scenario(
        name=file_name(orders, mapping),
        companies=companies,
        workers=workers,
        rows=rows.sort_by([(column, "ascending") for column in SENDING_ORDER]),
        months=_months(rows),
        late_platform=companies[-1].credit_code,
    )


def file_name(orders: Path, mapping: Path) -> str:
    """A name for the scenario of a file: the same content gives the same name."""
    digest = hashlib.sha256(mapping.read_bytes())
    with orders.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"file-{digest.hexdigest()[:12]}"


def _hints(rows: pa.Table) -> list[str]:
    hints: list[str] = pc.unique(rows["worker_hint"]).to_pylist()
    return hints


def _company(code: str, orders: pa.Table) -> Company:
    """The platform of a file, of the industry that most of its orders have."""
    number = pc.mode(orders["industry"])[0]["mode"].as_py()
    base = {company.industry: company.base_yuan for company in reversed(province.COMPANIES)}[number]
    return Company(code, f"Platform {code[-4:]}", number, base, "1.00", 1, (0, 0))


def _as_rows(code: str, table: pa.Table) -> pa.Table:
    """A platform's records in the form of SCHEMA; each is sent on the morning after it ended."""
    moment = pc.coalesce(table["end_time"], table["accept_time"])
    plain = pc.and_(
        pc.and_(pc.greater(table["place_of_acceptance"], 0), pc.is_valid(table["end_time"])),
        pc.fill_null(pc.less(table["accept_time"], table["end_time"]), fill_value=False),
    )
    columns = {
        **{name: table[name] for name in table.column_names},
        "platform": pa.repeat(pa.scalar(code), table.num_rows),
        "send_date": _civil(moment).cast(pa.date32()),
        "plain": plain,
    }
    return pa.table({field.name: columns[field.name] for field in SCHEMA}).cast(SCHEMA)


def _civil(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments as civil time in Shanghai, which has had no daylight saving since 1991."""
    local = pc.add(moments, pa.scalar(8 * 3600 * 1_000_000, pa.duration("us")))
    return local.cast(pa.timestamp("us"))


def _months(rows: pa.Table) -> tuple[Month, ...]:
    """The months in which orders at a known place ended."""
    ended = rows.filter(pc.greater(rows["place_of_acceptance"], 0))["end_time"]
    firsts = pc.unique(pc.floor_temporal(_civil(pc.drop_null(ended)), unit="month")).to_pylist()
    months = tuple(sorted(Month(first.year, first.month) for first in firsts))
    if not months:
        raise ScenarioError("No order of the file has ended at a known place; check the mapping.")
    return months


def _table(orders: Iterator[province.Order]) -> pa.Table:
    chunks: list[pa.RecordBatch] = []
    while waiting := list(itertools.islice(orders, 20_000)):
        chunks.append(_batch(waiting, len(chunks) * 20_000))
    table = pa.Table.from_batches(chunks, SCHEMA)
    return table.sort_by([(column, "ascending") for column in SENDING_ORDER])


def _batch(orders: list[province.Order], before: int) -> pa.RecordBatch:
    columns = {
        "platform": [province.COMPANIES[order.company].credit_code for order in orders],
        "send_date": [order.send_date for order in orders],
        "order_no": [order.order_no for order in orders],
        "revision": [order.revision for order in orders],
        "worker_hint": [order.worker_number for order in orders],
        "industry": [order.industry for order in orders],
        "state": [order.state for order in orders],
        "accept_time": [order.accept_time for order in orders],
        "pick_up_time": [None for _ in orders],
        "end_time": [order.end_time for order in orders],
        "place_of_acceptance": [order.place for order in orders],
        "reason": [order.reason for order in orders],
        "file_row": range(before + 1, before + len(orders) + 1),
        "plain": [order.plain for order in orders],
    }
    return pa.record_batch(columns, schema=SCHEMA)


def send_time(day: date) -> datetime:
    """Two o'clock on the morning after a day, when platforms send the orders that ended on it."""
    return first_moment(day + timedelta(days=1)) + timedelta(hours=2)
