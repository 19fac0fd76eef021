"""Order rows and an uploader for tests of orders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pyarrow as pa
from oip.orders.v1 import orders_pb2 as pb
from oip.orders.v1 import orders_pb2_grpc

from services.orderlog.columns import SCHEMA
from services.orderlog.entries import microseconds
from services.orders.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.client import Channels
from services.runtime.service.stack import Stack
from services.runtime.service.stack import stack as run_stack
from tests.support.databases import Databases

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
NOW = datetime(2025, 8, 1, 1, 0, tzinfo=UTC)
NINE = datetime(2025, 7, 10, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai


def row(order_no: str, **changes: Any) -> dict[str, Any]:
    """A sound row: completed after half an hour, in Guangzhou, by worker 1."""
    accepted = changes.pop("accepted", NINE)
    ended = changes.pop("ended", accepted + timedelta(minutes=30))
    return {
        "order_no": order_no,
        "revision": 1,
        "worker": 1,
        "industry": 1,
        "state": pb.COMPLETED,
        "accept_time_us": microseconds(accepted),
        "pick_up_time_us": 0,
        "end_time_us": microseconds(ended) if ended else 0,
        "place_of_acceptance": 440100,
        "reason": "",
        **changes,
    }


def as_rows(batch_id: str, rows: Iterable[dict[str, Any]], platform: str = SWIFT) -> Any:
    """A batch as messages."""
    return pb.UploadOrdersRequest(
        batch_id=batch_id,
        platform=f"platforms/{platform}",
        rows=pb.OrderRows(rows=[pb.OrderRow(**one) for one in rows]),
    )


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as the Arrow table of the proto; 0 and nothing become null."""
    columns = {}
    for field in SCHEMA:
        key = f"{field.name}_us" if field.name.endswith("_time") else field.name
        values = [one[key] for one in rows]
        if field.name.endswith("_time"):
            array = pa.array([value or None for value in values], pa.int64()).cast(field.type)
        elif field.name == "reason":
            array = pa.array([value or None for value in values], field.type)
        else:
            array = pa.array(values, field.type)
        columns[field.name] = array
    return pa.table(columns)


def ipc(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def as_arrow(batch_id: str, table: pa.Table | bytes, platform: str = SWIFT) -> Any:
    """A batch as an Arrow IPC stream."""
    content = table if isinstance(table, bytes) else ipc(table)
    return pb.UploadOrdersRequest(
        batch_id=batch_id, platform=f"platforms/{platform}", arrow_ipc=content
    )


class OrderDesk:
    """Orders as its callers see it."""

    def __init__(self, running: Stack) -> None:
        self.running = running
        self._opened: list[Channels] = []

    def at(self, *roles: str, platform: str = "") -> orders_pb2_grpc.OrderServiceAsyncStub:
        channels = self.running.channels("test", *roles, platform=platform)
        self._opened.append(channels)
        return channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")

    async def close(self) -> None:
        for channels in self._opened:
            await channels.close()

    async def enrol(self, *workers: int, platform: str = SWIFT) -> None:
        """Enrol workers as if enrolment had told of them."""
        await self.execute(
            "insert into orders.platform_worker select %s, unnest(%s::bigint[])"
            " on conflict do nothing",
            platform,
            list(workers),
        )

    async def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser; its rows, if it has any."""
        url = self.running.settings.database_url
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            cursor = await connection.execute(statement, values)
            return await cursor.fetchall() if cursor.description else []

    async def upload(self, *batches: Any, platform: str = SWIFT) -> list[pb.UploadOrdersResponse]:
        """Send batches on one stream; all answers."""

        async def requests() -> AsyncIterator[Any]:
            for batch in batches:
                yield batch

        stub = self.at("platform", platform=platform)
        return [answer async for answer in stub.UploadOrders(requests(), timeout=60)]

    async def receipt(self, batch: Any, platform: str = SWIFT) -> pb.OrderBatch:
        """Send one batch that is expected to be taken."""
        (answer,) = await self.upload(batch, platform=platform)
        assert answer.WhichOneof("outcome") == "receipt", answer
        return answer.receipt

    async def problem(self, batch: Any, platform: str = SWIFT) -> tuple[grpc.StatusCode, str, str]:
        """Send one batch that is expected to be refused: code, reason, sentence."""
        (answer,) = await self.upload(batch, platform=platform)
        assert answer.WhichOneof("outcome") == "problem", answer
        return problem_in(answer.problem)


@asynccontextmanager
async def order_desk(settings: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    """Orders alone with a database of its own, in August 2025, and workers 1 to 9."""
    filled = settings.model_copy(update={"database_url": await databases.fresh("orders")})
    clock = SetClock(NOW)
    async with run_stack([SERVICE], filled, clock=clock, any_port=True, grace=1) as running:
        desk = OrderDesk(running)
        await desk.enrol(*range(1, 10))
        yield desk
        await desk.close()


async def broken_invariants(desk: OrderDesk) -> list[str]:
    """What no longer holds."""
    async with desk.running.contexts["orders"].database.begin() as tx:
        checks = await SERVICE.verify(tx)
        if SERVICE.verify_with is not None:
            checks += await SERVICE.verify_with(tx, desk.running.contexts["orders"])
    return [f"{one.invariant}: {one.detail}" for one in checks if not one.holds]


def problem_in(status: Any) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and sentence of a status."""
    from google.rpc import error_details_pb2

    reason = ""
    for detail in status.details:
        told = error_details_pb2.ErrorInfo()
        if detail.Unpack(told):
            reason = told.reason
    code = next(one for one in grpc.StatusCode if one.value[0] == status.code)
    return code, reason, status.message
