"""The orders service as a process that is killed and started again on one database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import psycopg
from oip.orders.v1 import orders_pb2 as pb

from services.client.upload.batches import Batch, split_into_batches
from services.runtime.base.nats_users import MIGRATION
from services.runtime.base.settings import Settings
from services.runtime.events.envelope import stream_of
from services.runtime.events.jetstream import EPOCH_HEADER, ID_HEADER, connect
from tests.support.intake_load import PLATFORMS, WORKERS, Serving, orders
from tests.support.uploads import violations_at

SWIFT = PLATFORMS[0]
ROWS_PER_BATCH = 200

# Written together: numbers, published events, audit rows and batches must count the same.
_COUNTS = """
select (select count(*) from orders.orders),
    (select count(distinct order_no) from orders.orders),
    (select coalesce(sum(order_count), 0) from orders.order_tally),
    (select count(*) from orders.order_batch),
    (select count(*) from orders.audit where action = 'oip.orders.v1.UploadOrders'),
    (select count(*) from orders.outbox where subject = 'oip.orders.v1.OrderBatchRecorded')
"""
_UNSENT = "select count(*) from orders.outbox where send_time is null"
_NUMBERS = "select pub_seq from orders.outbox order by pub_seq"
_OPEN = """
select count(*) from pg_stat_activity where datname = current_database()
    and application_name = 'oip_orders' and state like 'idle in transaction%'
"""


async def enrol(url: str) -> None:
    """Register one platform and enrol all workers of the generated orders with it."""
    await ask(
        url, "insert into orders.registered_platform values (%s) on conflict do nothing", SWIFT
    )
    await ask(
        url,
        "insert into orders.platform_worker select %s, generate_series(1, %s::bigint)"
        " on conflict do nothing",
        SWIFT,
        WORKERS,
    )


async def ask(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement as the superuser; its rows, if it has any."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), values or None)
        return await cursor.fetchall() if cursor.description else []


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 90.0) -> None:
    """Wait until something holds, and fail if it does not in time."""
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - another process sends no notice
            await asyncio.sleep(0.05)


@dataclass
class Lives:
    """What a platform knows of the service over all restarts: batches sent, receipts returned."""

    settings: Settings
    sent: list[Batch] = field(default_factory=list)
    receipts: dict[str, pb.OrderBatch] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The database that outlives the service."""
        return self.settings.database_url

    def more(self, count: int) -> list[Batch]:
        """This many batches of orders that were never sent."""
        first = len(self.sent) * ROWS_PER_BATCH
        table = orders(count * ROWS_PER_BATCH, first=first, prefix=secrets.token_hex(3))
        batches = list(split_into_batches(table, secrets.token_hex(4), ROWS_PER_BATCH))
        self.sent += batches
        return batches

    async def send(self, serving: Serving, batches: Sequence[Batch]) -> set[grpc.StatusCode]:
        """Send batches on one stream, keep each receipt; the refusals of those without one."""

        async def requests() -> AsyncIterator[pb.UploadOrdersRequest]:
            for one in batches:
                yield pb.UploadOrdersRequest(
                    batch_id=one.batch_id, platform=f"platforms/{SWIFT}", arrow_ipc=one.content
                )

        refusals = set()
        call = serving.stub(SWIFT).UploadOrders(requests(), timeout=60)
        try:
            async for answer in call:
                if answer.WhichOneof("outcome") == "receipt":
                    self.keep(answer.receipt)
                else:
                    refusals.add(_code(answer.problem.code))
        except grpc.aio.AioRpcError as error:
            refusals.add(error.code())
        return refusals

    def keep(self, receipt: pb.OrderBatch) -> None:
        """Remember a receipt; the same batch never has another."""
        held = self.receipts.setdefault(receipt.name, receipt)
        assert held == receipt

    async def find_receipts_again(self, serving: Serving) -> None:
        """Every receipt that was ever sent is found with the same content."""
        stub = serving.stub(SWIFT)
        for name, receipt in self.receipts.items():
            assert await stub.GetOrderBatch(pb.GetOrderBatchRequest(name=name)) == receipt

    async def check(self) -> None:
        """All batches sent are held once, with their receipts, tallies, events and audit rows."""
        assert len(self.receipts) == len(self.sent)
        assert sum(one.created_count for one in self.receipts.values()) == self.rows
        assert await violations_at(self.settings) == []
        batches = len(self.sent)
        (counted,) = await ask(self.url, _COUNTS)
        assert counted == (self.rows, self.rows, self.rows, batches, batches, batches)
        await self.check_published()
        await until(self._nothing_is_open)

    @property
    def rows(self) -> int:
        """Orders sent so far."""
        return sum(one.row_count for one in self.sent)

    async def check_published(self) -> None:
        """Every event was published once, under numbers without a gap."""
        await until(self._all_sent)
        numbers = [number for (number,) in await ask(self.url, _NUMBERS)]
        assert numbers == list(range(1, len(numbers) + 1))
        ((epoch,),) = await ask(self.url, "select epoch from orders.outbox_counter")
        assert sorted(await self._envelopes(epoch)) == sorted(
            f"orders:{epoch}:{number}" for number in numbers
        )

    async def _envelopes(self, epoch: str) -> list[str]:
        """The ids of this database's events as JetStream holds them."""
        bus = await connect(self.settings, MIGRATION, on_closed=lambda: None)
        try:
            stream = stream_of("orders")
            state = (await bus.js.stream_info(stream)).state
            found = []
            for number in range(state.first_seq, state.last_seq + 1):
                headers = (await bus.js.get_msg(stream, number)).headers or {}
                if headers.get(EPOCH_HEADER) == epoch:
                    found.append(headers[ID_HEADER])
            return found
        finally:
            await bus.close()

    async def _all_sent(self) -> bool:
        return await ask(self.url, _UNSENT) == [(0,)]

    async def _nothing_is_open(self) -> bool:
        return await ask(self.url, _OPEN) == [(0,)]


def _code(number: int) -> grpc.StatusCode:
    return next(one for one in grpc.StatusCode if one.value[0] == number)
