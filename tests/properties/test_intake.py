"""Whatever platforms send, in whatever order and however often: receipts and tallies are exact.

A dictionary of the stored orders is the specification: it takes the batches in log order. What it
counts is `domain.legs.legs`, so that the SQL of intake and of `oip verify` is held equal to it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.kernel.periods import civil_day
from services.orders.domain.legs import legs
from services.runtime.base.settings import Settings
from services.runtime.rpc.wire import moment_from_wire
from tests.support.databases import Databases
from tests.support.platforms import credit_code
from tests.support.stack_client import StackClient
from tests.support.uploads import (
    NINE,
    a_record,
    as_rows,
    enrol,
    orders_client,
    row,
    upload,
    violations,
)

EXAMPLES = 25
AREAS = {440100: "440100", 440606: "440600"}
ELSEWHERE = 110105
S = pb.OrderRejection
CONFLICTS = (S.CONFLICT_IN_BATCH, S.EXISTS_WITH_DIFFERENT_CONTENT)
CREATED, EXISTS = "created", "exists"

Row = dict[str, Any]
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Sent:
    """A batch as it is sent, maybe for another time, on the first or the second stream."""

    batch_id: str
    rows: list[Row]
    stream: int


@dataclass
class HeldOrders:
    """The orders held of a platform: the revisions of each, and when each was recorded."""

    orders: dict[str, dict[int, Row]] = field(default_factory=dict)
    record_times: dict[tuple[str, int], datetime] = field(default_factory=dict)

    def take(self, rows: Sequence[Row], record_time: datetime) -> list[Any]:
        """The outcome of each row: created, exists, or the status of its rejection."""
        before = {order_no: dict(revisions) for order_no, revisions in self.orders.items()}
        outcomes = [self._take(one, before.get(one["order_no"], {})) for one in rows]
        for sent, outcome in zip(rows, outcomes, strict=True):
            if outcome == CREATED:
                self.record_times[sent["order_no"], sent["revision"]] = record_time
        return outcomes

    def _take(self, sent: Row, before: dict[int, Row]) -> Any:
        revision = sent["revision"]
        if revision < 1:
            return S.BAD_REVISION
        if sent["place_of_acceptance"] == ELSEWHERE:
            return S.UNKNOWN_PLACE
        if revision in before:
            return EXISTS if before[revision] == sent else S.EXISTS_WITH_DIFFERENT_CONTENT
        if before and revision < max(before):
            return S.REVISION_OLDER_THAN_HELD
        revisions = self.orders.setdefault(sent["order_no"], {})
        if revision in revisions:
            return EXISTS if revisions[revision] == sent else S.CONFLICT_IN_BATCH
        revisions[revision] = sent
        return CREATED

    def tallies(self) -> Counter[tuple[str, int, str]]:
        """The legs that count, by area, industry and service date."""
        tallies: Counter[tuple[str, int, str]] = Counter()
        for order_no, revisions in self.orders.items():
            chain = [
                a_record(one, self.record_times[order_no, revision])
                for revision, one in sorted(revisions.items())
            ]
            for leg in legs(chain):
                if leg.is_counted:
                    assert leg.end_time is not None
                    day = civil_day(leg.end_time).isoformat()
                    tallies[AREAS[leg.record.place], leg.record.industry, day] += 1
        return tallies


@pytest.fixture(scope="module")
async def client(stack: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    async with orders_client(stack, databases) as client:
        yield client


@st.composite
def rows(draw: st.DrawFn) -> Row:
    state = draw(st.integers(1, 4))
    # The last day of a month at 23:00 and the days after; an hour later it may be another day.
    day = timedelta(days=draw(st.sampled_from((-10, 0, 1))))
    accepted = NINE + day + timedelta(hours=draw(st.sampled_from((0, 8, 14))))
    return row(
        f"o-{draw(st.integers(0, 4))}",
        revision=draw(st.sampled_from((1, 1, 1, 2, 2, 3, 4, 0))),
        worker=draw(st.integers(1, 2)),
        state=state,
        accepted=accepted,
        ended=None if state == pb.ACCEPTED else accepted + timedelta(hours=1),
        place_of_acceptance=draw(st.sampled_from((440100, 440100, 440606, ELSEWHERE))),
        reason="test" if state == pb.REVERSED else "",
        industry=draw(st.integers(1, 2)),
    )


@st.composite
def batches(draw: st.DrawFn) -> list[Sent]:
    """Batches of one platform: rows of few orders, some doubled, some batches sent again."""
    pool = draw(st.lists(rows(), min_size=1, max_size=10))
    drawn = st.lists(st.sampled_from(pool), min_size=1, max_size=8)
    first = draw(st.lists(drawn, min_size=1, max_size=5))
    sent = [Sent(f"b-{place}", own, draw(st.integers(0, 1))) for place, own in enumerate(first)]
    again = draw(st.lists(st.tuples(st.sampled_from(sent), st.booleans(), st.integers(0, 1))))
    for number, (one, is_same_batch, stream) in enumerate(again[:4]):
        batch_id = one.batch_id if is_same_batch else f"again-{number}"
        sent.append(Sent(batch_id, one.rows, stream))
    return draw(st.permutations(sent))


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(sent=st.tuples(batches(), batches()))
def test_receipts_and_tallies_are_those_of_a_dictionary(
    client: StackClient, sent: tuple[list[Sent], list[Sent]]
) -> None:
    loop = asyncio.get_event_loop_policy().get_event_loop()
    loop.run_until_complete(_check(client, sent))


async def _check(client: StackClient, sent: Sequence[list[Sent]]) -> None:
    names = [credit_code(next(NUMBERS)) for _ in sent]
    for platform in names:
        await enrol(client, 1, 2, platform=platform)
    await asyncio.gather(
        *(_platform(client, platform, own) for platform, own in zip(names, sent, strict=True))
    )
    assert await violations(client) == []


async def _platform(client: StackClient, platform: str, sent: Sequence[Sent]) -> None:
    """Send all on two streams at once; each receipt is what the dictionary says."""
    streams = [
        [as_rows(one.batch_id, one.rows, platform) for one in sent if one.stream == number]
        for number in range(2)
    ]
    answers = await asyncio.gather(
        *(upload(client, *stream, platform=platform) for stream in streams if stream)
    )
    receipts = dict[int, pb.OrderBatch]()
    for answer in itertools.chain(*answers):
        assert answer.HasField("receipt"), answer
        known = receipts.setdefault(answer.receipt.log_index, answer.receipt)
        assert answer.receipt == known
    content = {one.batch_id: one.rows for one in sent}
    assert sorted(receipts) == list(range(len(content)))

    orders = HeldOrders()
    for _, receipt in sorted(receipts.items()):
        own = content[receipt.name.rpartition("/")[2]]
        recorded = moment_from_wire(receipt.create_time, "create_time")
        _compare(receipt, orders.take(own, recorded))
    assert await _tallies(client, platform) == orders.tallies()


def _compare(receipt: pb.OrderBatch, outcomes: list[Any]) -> None:
    refused = [one for one in outcomes if one not in {CREATED, EXISTS}]
    conflict_count = sum(one in CONFLICTS for one in refused)
    assert (
        receipt.received_count,
        receipt.created_count,
        receipt.exists_count,
        receipt.conflict_count,
        receipt.rejected_count,
    ) == (
        len(outcomes),
        outcomes.count(CREATED),
        outcomes.count(EXISTS),
        conflict_count,
        len(refused) - conflict_count,
    ), (receipt, outcomes)
    assert [(one.index, one.status) for one in receipt.rejections] == [
        (index, one) for index, one in enumerate(outcomes) if one not in {CREATED, EXISTS}
    ]
    by_reason = {one.status: one.row_count for one in receipt.rejected_by_reason}
    assert by_reason == Counter(one for one in refused if one not in CONFLICTS)


async def _tallies(client: StackClient, platform: str) -> Counter[tuple[str, int, str]]:
    tallies: Counter[tuple[str, int, str]] = Counter()
    for month in (6, 7, 8):
        answer = await client.orders("platform", platform=platform).ListOrderTallies(
            pb.ListOrderTalliesRequest(month=type_pb2.Month(year=2025, month=month), page_size=1000)
        )
        for one in answer.tallies:
            day = f"{one.service_date.year}-{one.service_date.month:02d}-{one.service_date.day:02d}"
            tallies[one.pooling_area, one.industry, day] += one.order_count
    return tallies
