"""The lateness that SQL computes, compared with `domain.orders.lateness` over random histories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kernel.periods import civil_day
from services.orders.domain.orders import Record, Report, lateness
from services.orders.domain.row_rules import State
from services.orders.store import freezes as freeze_store
from services.orders.store import intake
from services.orders.store import orders as order_store
from services.runtime.storage.database import Database, Transaction, assume_role
from tests.conftest import OpenDatabase
from tests.support.platforms import SWIFT

HOUR = timedelta(hours=1)
# Two hours before midnight in Shanghai, so that hours around it lie on two days.
EVENING = datetime(2025, 7, 1, 14, tzinfo=UTC)
WORKERS = (1, 2)
# Whole hours, so that moments often coincide.
moments = st.integers(0, 5).map(lambda count: EVENING + count * HOUR)
arrivals = st.integers(0, 9).map(lambda count: EVENING + count * HOUR)


@dataclass(frozen=True)
class History:
    """All records, by order and revision, and the reports of accidents."""

    records: tuple[Record, ...]
    reports: tuple[Report, ...]


@st.composite
def histories(draw: st.DrawFn) -> History:
    records: list[Record] = []
    for order_no in ("a", "b"):
        for revision in sorted(draw(st.sets(st.integers(1, 4), max_size=4))):
            accepted = draw(moments)
            ended = draw(st.none() | st.integers(0, 3).map(lambda count: count * HOUR))
            number = len(records) + 1
            records.append(
                Record(
                    platform=SWIFT,
                    order_no=order_no,
                    revision=revision,
                    worker=draw(st.sampled_from(WORKERS)),
                    industry=2,
                    state=draw(st.sampled_from(State)),
                    accept_time=accepted,
                    pick_up_time=None,
                    end_time=None if ended is None else accepted + ended,
                    place=440106,
                    reason="",
                    batch_no=number,
                    batch_id=f"b{number}",
                    leaf_index=0,
                    create_time=draw(arrivals),
                    late=False,
                )
            )
    reports = st.builds(Report, st.sampled_from(WORKERS), moments, arrivals)
    return History(tuple(records), tuple(draw(st.lists(reports, max_size=3))))


@given(history=histories())
@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_each_question_marks_the_records_that_the_rule_finds_late(
    database: OpenDatabase, history: History
) -> None:
    expected = {record.batch_no: record for record in marked(history)}

    async with rolled_back(await database("orders")) as tx:
        await insert(tx, history)
        of_orders = [
            record
            for order_no in ("a", "b")
            for record in await order_store.list_revisions(tx, SWIFT, order_no)
        ]
        others = [record for worker in WORKERS for record in await asked(tx, worker)]

    assert of_orders == list(expected.values())
    assert others == [expected[record.batch_no] for record in others]


def marked(history: History) -> list[Record]:
    """The records as the rule marks them."""
    found = []
    for _, group in groupby(history.records, key=lambda record: record.order_no):
        revisions = list(group)
        marks = lateness(revisions, history.reports)
        found += [replace(one, late=late) for one, late in zip(revisions, marks, strict=True)]
    return found


async def asked(tx: Transaction, worker: int) -> Sequence[Record]:
    """What the other two questions find of a worker: near a moment, and on each of the days."""
    week = 7 * 86_400_000_000
    near = await order_store.list_revisions_near(tx, worker, EVENING, HOUR, week)
    days = (civil_day(EVENING), civil_day(EVENING) + timedelta(days=1))
    of_days = [await order_store.list_of_day(tx, worker, day, None, 100) for day in days]
    return [*near, *(record for records in of_days for record in records)]


async def insert(tx: Transaction, history: History) -> None:
    """Store the records, each in a batch of its own, and the reports."""
    for number, report in enumerate(history.reports):
        await freeze_store.insert(
            tx, report.worker, report.moment, f"claims/{number}", report.create_time
        )
    await assume_role(tx, intake.ROLE, lock_wait="2s")
    for record in history.records:
        await tx.execute(
            sa.text(
                "insert into order_batch values (:batch_no, :platform, :batch_id, :batch_no, 1, 1,"
                " 0, 0, 0, '{}', decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex'),"
                " :create_time)"
            ),
            vars(record),
        )
        await tx.execute(
            sa.text(
                "insert into orders values (:batch_no, :worker, :accept_time, null, :end_time,"
                " :leaf_index, :revision, :place, 440100, :industry, :state, :platform, :order_no)"
            ),
            vars(record),
        )
    await assume_role(tx, "oip_orders", lock_wait="2s")


@asynccontextmanager
async def rolled_back(database: Database) -> AsyncIterator[Transaction]:
    """A transaction that leaves nothing."""
    with suppress(EOFError):
        async with database.begin() as tx:
            yield tx
            raise EOFError
