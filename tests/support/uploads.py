"""Order rows, batches and uploads for tests of orders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pyarrow as pa
from google.rpc import error_details_pb2
from oip.orders.v1 import orders_pb2 as pb

from services.orderlog.columns import SCHEMA
from services.orderlog.entries import microseconds, moment
from services.orderlog.signer import VERIFIER_FILE
from services.orders.__main__ import SERVICE
from services.orders.domain.orders import Record
from services.orders.domain.row_rules import State
from services.runtime.base.clock import SetClock, SystemClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.client import Channels
from services.runtime.service.context import ServiceContext
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Database
from services.runtime.storage.key_file import load_or_make_keys
from tests.support.databases import Databases
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, stack_client

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


def a_record(values: Mapping[str, Any], record_time: datetime, *, late: bool = False) -> Record:
    """A row as it is stored when its batch is recorded."""
    picked_up, ended = values["pick_up_time_us"], values["end_time_us"]
    return Record(
        platform=SWIFT,
        order_no=values["order_no"],
        revision=values["revision"],
        worker=values["worker"],
        industry=values["industry"],
        state=State(values["state"]),
        accept_time=moment(values["accept_time_us"]),
        pick_up_time=moment(picked_up) if picked_up else None,
        end_time=moment(ended) if ended else None,
        place=values["place_of_acceptance"],
        reason=values["reason"],
        batch_no=values["revision"],
        batch_id=f"b{values['revision']}",
        leaf_index=0,
        create_time=record_time,
        late=late,
    )


def as_rows(batch_id: str, rows: Iterable[dict[str, Any]], platform: str = SWIFT) -> Any:
    """A batch as messages."""
    return pb.UploadOrdersRequest(
        batch_id=batch_id,
        platform=f"platforms/{platform}",
        rows=pb.OrderRows(rows=[pb.OrderRow(**values) for values in rows]),
    )


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as the Arrow table of the proto; 0 and nothing become null."""
    columns = {}
    for field in SCHEMA:
        key = f"{field.name}_us" if field.name.endswith("_time") else field.name
        values = [each[key] for each in rows]
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


@asynccontextmanager
async def orders_client(settings: Settings, databases: Databases) -> AsyncIterator[StackClient]:
    """Orders alone on a new database, in August 2025, with workers 1 to 9 enrolled."""
    filled = settings.model_copy(update={"database_url": await databases.fresh("orders")})
    async with stack_client([SERVICE], filled, SetClock(NOW), compares=False) as client:
        await enrol(client, *range(1, 10))
        yield client


async def enrol(client: StackClient, *workers: int, platform: str = SWIFT) -> None:
    """Enrol workers as if PlatformRegistered and WorkersEnrolled had been consumed."""
    await register(client, platform)
    await execute(
        client,
        "insert into orders.platform_worker select %s, unnest(%s::bigint[]) on conflict do nothing",
        platform,
        list(workers),
    )


async def register(client: StackClient, *platforms: str) -> None:
    """Register platforms as if PlatformRegistered had been consumed."""
    await execute(
        client,
        "insert into orders.registered_platform select unnest(%s::text[]) on conflict do nothing",
        list(platforms),
    )


async def execute(client: StackClient, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement as the superuser; its rows, if it has any."""
    url = client.stack.settings.database_url
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), values or None)
        return await cursor.fetchall() if cursor.description else []


async def upload(
    client: StackClient, *batches: Any, platform: str = SWIFT
) -> list[pb.UploadOrdersResponse]:
    """Send batches on one stream; all answers."""
    stub = client.orders("platform", platform=platform)
    return [answer async for answer in stub.UploadOrders(iter(batches), timeout=60)]


async def upload_one(client: StackClient, batch: Any, platform: str = SWIFT) -> pb.OrderBatch:
    """Send one batch that is expected to be accepted."""
    (answer,) = await upload(client, batch, platform=platform)
    assert answer.WhichOneof("outcome") == "receipt", answer
    return answer.receipt


async def upload_refused(
    client: StackClient, batch: Any, platform: str = SWIFT
) -> tuple[grpc.StatusCode, str, str]:
    """Send one batch that is expected to be refused: code, reason, sentence."""
    (answer,) = await upload(client, batch, platform=platform)
    assert answer.WhichOneof("outcome") == "problem", answer
    return problem_in(answer.problem)


async def violations(client: StackClient) -> list[str]:
    """The invariants of orders that do not hold, with their details."""
    return await _violations(client.context("orders"))


async def violations_at(settings: Settings) -> list[str]:
    """The same of a service that runs elsewhere, or no longer."""
    database = Database(settings.database_of("orders"), "orders", pool_size=1)
    context = ServiceContext(
        service="orders",
        database=database,
        clock=SystemClock(),
        cipher=ColumnCipher(load_or_make_keys(settings.keys_path)),
        channels=Channels({}, str),
        province=settings.province,
        state_dir=settings.state_dir,
        makes_keys=True,
    )
    try:
        return await _violations(context)
    finally:
        await database.close()


async def _violations(context: ServiceContext) -> list[str]:
    async with context.database.begin() as tx:
        checks = await SERVICE.verify(tx, context)
    return [f"{check.invariant}: {check.detail}" for check in checks if not check.holds]


def verifier_key(client: StackClient) -> str:
    """The key that auditors check the heads with."""
    path = client.stack.settings.state_dir / VERIFIER_FILE
    return path.read_text(encoding="ascii").strip()


def problem_in(status: Any) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and sentence of a status."""
    reason = ""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            reason = info.reason
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    return code, reason, status.message
