"""Generated orders in bulk, a service process for them, and the bare COPY to compare with."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from oip.orders.v1 import orders_pb2 as pb
from oip.orders.v1 import orders_pb2_grpc
from sqlalchemy.engine import make_url

from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import upload_orders
from services.orderlog.columns import SCHEMA
from services.orderlog.entries import microseconds
from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.events.event_keys import EventSigner
from services.runtime.events.jetstream import migrate_streams
from services.runtime.rpc.client import Channels
from services.runtime.rpc.tokens import Issuer
from services.runtime.service.host import event_signer
from tests.support.databases import Databases
from tests.support.ports import reserved_port
from tests.support.service_process import wait_until_ready
from tests.support.uploads import NINE

Done = TypeVar("Done")

PLATFORMS = (
    "91110108MA01ABCD2H",
    "91350100M000100Y43",
    "91460100MA5T00003T",
    "91440101MA5PLT0043",
)
WORKERS = 200_000
# Of rows that came by bare COPY; intake's own numbers begin with 1.
BARE_BATCH = 0
DAYS = 31
AREAS = (440100, 440600, 441900, 442000)
MOMENT = pa.timestamp("us", tz="UTC")
# Columns of the table in the order of the reference's file.
REFERENCE_COLUMNS = (
    "order_no, revision, worker, industry, state, accept_time, pick_up_time, end_time,"
    " place_of_acceptance, reason, platform, pooling_area, batch_no, leaf_index"
)


def orders(count: int, *, first: int = 0, prefix: str = "25") -> pa.Table:
    """Orders as a platform sends them: day by day, numbers random within their day."""
    index = pa.array(range(first, first + count), pa.int64())
    day = pc.divide(pc.multiply(pc.subtract(index, first), DAYS), count)
    mixed = pc.bit_wise_and(pc.multiply(index, 2_654_435_761), 0xFFFFFFFF)
    second = pc.divide(pc.multiply(mixed, 86_400 - 3600), 1 << 32)
    start = microseconds(NINE) // 86_400_000_000 * 86_400_000_000 - 9 * 86_400_000_000
    accepted = pc.add(pc.multiply(pc.add(pc.multiply(day, 86_400), second), 1_000_000), start)
    length = pc.multiply(pc.add(pc.bit_wise_and(mixed, 2047), 300), 1_000_000)
    digits = pc.utf8_lpad(mixed.cast(pa.string()), 10, "0")
    number = pc.binary_join_element_wise(
        prefix + "07", pc.utf8_lpad(pc.add(day, 1).cast(pa.string()), 2, "0"), digits, ""
    )
    worker = pc.add(_remainder(pc.multiply(mixed, 7), WORKERS), 1)
    area = pc.take(pa.array(AREAS, pa.int32()), pc.bit_wise_and(pc.shift_right(mixed, 5), 3))
    return pa.table(
        {
            "order_no": number,
            "revision": pa.repeat(pa.scalar(1, pa.int32()), count),
            "worker": worker,
            "industry": pc.add(_remainder(index, 3), 1).cast(pa.int8()),
            "state": pa.repeat(pa.scalar(pb.COMPLETED, pa.int8()), count),
            "accept_time": accepted.cast(MOMENT),
            "pick_up_time": pc.add(accepted, 120_000_000).cast(MOMENT),
            "end_time": pc.add(accepted, length).cast(MOMENT),
            "place_of_acceptance": area,
            "reason": pa.nulls(count, pa.string()),
        }
    ).cast(SCHEMA)


def dirty(table: pa.Table, known: pa.Table) -> pa.Table:
    """One row in a hundred made invalid, and one replaced by one that is held."""
    index = pa.array(range(table.num_rows), pa.int64())
    wrong = pc.equal(_remainder(index, 100), 17)
    place = pc.if_else(wrong, pa.scalar(110105, pa.int32()), table["place_of_acceptance"])
    table = table.set_column(8, "place_of_acceptance", place)
    again = pc.equal(_remainder(index, 100), 53)
    columns = [
        pc.if_else(again, known[name].slice(0, table.num_rows), table[name])
        for name in table.column_names
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True))).cast(SCHEMA)


def reference_file(table: pa.Table, platform: str) -> list[bytes]:
    """The same rows as text, as psql would send them, in blocks of a few megabytes."""
    count = table.num_rows
    whole = table
    for name in ("accept_time", "pick_up_time", "end_time"):
        place = whole.column_names.index(name)
        whole = whole.set_column(place, name, table[name].cast(pa.timestamp("us")))
    for name, column in (
        ("platform", pa.repeat(platform, count)),
        ("pooling_area", table["place_of_acceptance"]),
        ("batch_no", pa.repeat(pa.scalar(BARE_BATCH, pa.int64()), count)),
        ("leaf_index", pa.array(range(count), pa.int32())),
    ):
        whole = whole.append_column(name, column)
    blocks = []
    for start in range(0, count, 40_000):
        sink = pa.BufferOutputStream()
        options = pa.csv.WriteOptions(include_header=False, quoting_style="none", delimiter="\t")
        pa.csv.write_csv(whole.slice(start, 40_000), sink, options)
        blocks.append(sink.getvalue().to_pybytes())
    return blocks


async def bare_copy(url: str, blocks: Sequence[bytes]) -> float:
    """Seconds of one COPY of all rows into the table with its indexes, with its commit."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        begin = time.perf_counter()
        command = f"copy orders.orders ({REFERENCE_COLUMNS}) from stdin (null '')"
        async with connection.cursor() as cursor, cursor.copy(command) as sink:
            for block in blocks:
                await sink.write(block)
        await connection.commit()
        return time.perf_counter() - begin


async def enrolled(databases: Databases) -> str:
    """A fresh database of orders with workers 1 to 200,000 enrolled; its URL."""
    url = await databases.fresh("orders")
    await enrol_all(url)
    return url


async def enrol_all(url: str) -> None:
    """Enrol workers 1 to 200,000 with all platforms, as if enrolment had published them."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            "insert into orders.registered_platform select unnest(%s::text[])"
            " on conflict do nothing",
            (list(PLATFORMS),),
        )
        await connection.execute(
            "insert into orders.platform_worker select p, w from unnest(%s::text[]) p,"
            " generate_series(1, %s) w",
            (list(PLATFORMS), WORKERS),
        )
        await connection.execute("vacuum analyze orders.platform_worker")
        await connection.execute("checkpoint")


async def checkpoint(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("checkpoint")


@dataclass
class Serving:
    """The orders service as a separate process."""

    address: str
    health_address: str
    process: asyncio.subprocess.Process
    issuer: Issuer
    channels: list[Channels]

    def stub(self, platform: str) -> orders_pb2_grpc.OrderServiceAsyncStub:
        source = self.issuer.source("bench", ["platform"], platform)
        channels = Channels({"orders": self.address}, source)
        self.channels.append(channels)
        return channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")

    def staff_stub(self) -> orders_pb2_grpc.OrderServiceAsyncStub:
        channels = Channels(
            {"orders": self.address}, self.issuer.source("bench", ["adjudicator", "fund_officer"])
        )
        self.channels.append(channels)
        return channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")

    @property
    def priority(self) -> int:
        """The priority the system granted it: a negative one comes before the common one."""
        return os.getpriority(os.PRIO_PROCESS, self.process.pid)

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the service and its worker processes."""
        pages = 0
        waiting = [self.process.pid]
        while waiting:
            pid = waiting.pop()
            own = Path(f"/proc/{pid}")
            pages += int((own / "statm").read_text(encoding="ascii").split()[1])
            for task in (own / "task").iterdir():
                waiting += map(int, (task / "children").read_text(encoding="ascii").split())
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def peak_while(self, work: Awaitable[Done]) -> tuple[Done, float]:
        """What the work gives, and the most memory held meanwhile, in bytes."""
        peak = 0.0

        async def watch() -> None:
            nonlocal peak
            while True:
                peak = max(peak, float(self.memory_bytes))
                await asyncio.sleep(0.2)

        watching = asyncio.create_task(watch())
        try:
            return await work, peak
        finally:
            watching.cancel()

    async def upload(self, parts: dict[str, list[Batch]]) -> tuple[float, list[pb.OrderBatch]]:
        """Send each platform's batches on a separate stream; seconds and receipts."""
        stubs = {platform: self.stub(platform) for platform in parts}
        begin = time.perf_counter()
        receipts = await asyncio.gather(
            *(upload_orders(stubs[platform], platform, own) for platform, own in parts.items())
        )
        return time.perf_counter() - begin, [one for some in receipts for one in some]

    async def upload_rows(self, parts: dict[str, list[Any]]) -> float:
        """The same with messages, which are ready before the clock starts."""

        async def send(platform: str, requests: list[Any]) -> None:
            async def stream() -> AsyncIterator[Any]:
                for request in requests:
                    yield request

            stub = self.stub(platform)
            answers = [one async for one in stub.UploadOrders(stream(), timeout=600)]
            assert all(one.HasField("receipt") for one in answers), answers[-1]

        begin = time.perf_counter()
        await asyncio.gather(*(send(*part) for part in parts.items()))
        return time.perf_counter() - begin


def serving_orders(settings: Settings, **environment: str) -> AbstractAsyncContextManager[Serving]:
    """Run `python -m services.orders` on these servers; ready when the block begins."""
    return serving_orders_at(0, settings, environment)


def event_signer_of(settings: Settings, producer: str) -> EventSigner:
    """Signs the events that a producer has for a database."""
    keys = _event_keys_of(settings)
    update = {"event_key_file": keys / f"{producer}.pem", "event_trust_dir": keys}
    return event_signer(settings.model_copy(update=update), producer)


def _event_keys_of(settings: Settings) -> Path:
    """The folder of event keys of a database.

    The nats-server of the session holds events of other databases too; other keys signed them.
    """
    return settings.state_dir / "event-keys" / (make_url(settings.database_url).database or "")


@asynccontextmanager
async def serving_orders_at(
    priority: int, settings: Settings, environment: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Serving]:
    """The same at a priority, as a deployment gives it to a replica."""
    producers = ("enrolment", "staff")
    await migrate_streams(settings, {"orders": producers})
    for producer in producers:
        event_signer_of(settings, producer)
    issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())
    keys = _event_keys_of(settings)
    with reserved_port() as port, reserved_port() as health_port:
        address = f"127.0.0.1:{port}"
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.priority",
            str(priority),
            sys.executable,
            "-m",
            "services.orders",
            # The scheduler shares cores by session first: load and service must not share one.
            start_new_session=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "OIP_DATABASE_URL": settings.database_url,
                "OIP_NATS_URL": settings.nats_url,
                "OIP_NATS_MONITOR_URL": settings.nats_monitor_url,
                "OIP_NATS_KEY_DIR": str(settings.nats_key_path("orders").parent),
                "OIP_STATE_DIR": str(settings.state_dir),
                "OIP_EVENT_KEY_FILE": str(keys / "orders.pem"),
                "OIP_EVENT_TRUST_DIR": str(keys),
                "OIP_ORDERS_ADDRESS": address,
                "OIP_HEALTH_PORT": str(health_port),
                "OIP_QUIET": "true",
                **environment,
            },
        )
        serving = Serving(address, f"127.0.0.1:{health_port}", process, issuer, [])
        try:
            await wait_until_ready(process, serving.health_address)
            yield serving
        finally:
            for channels in serving.channels:
                await channels.close()
            if process.returncode is None:
                process.terminate()
            await process.wait()


def split(table: pa.Table, run: str = "") -> dict[str, list[Batch]]:
    """A table cut into batches for four platforms, a quarter each."""
    run = run or secrets.token_hex(4)
    quarter = table.num_rows // len(PLATFORMS)
    return {
        platform: list(
            split_into_batches(table.slice(number * quarter, quarter), f"{run}-{number}")
        )
        for number, platform in enumerate(PLATFORMS)
    }


def some_of_each(table: pa.Table, count: int) -> pa.Table:
    """This many rows of a table, the first ones of each platform, such that `split` finds them."""
    quarter = table.num_rows // len(PLATFORMS)
    part = count // len(PLATFORMS)
    return pa.concat_tables(
        [table.slice(number * quarter, part) for number in range(len(PLATFORMS))]
    ).combine_chunks()


def messages(parts: dict[str, list[Batch]]) -> dict[str, list[Any]]:
    """The same batches as row messages."""
    return {
        platform: [
            pb.UploadOrdersRequest(
                batch_id=batch.batch_id,
                platform=f"platforms/{platform}",
                rows=pb.OrderRows(rows=_rows(batch.content)),
            )
            for batch in own
        ]
        for platform, own in parts.items()
    }


def _rows(content: bytes) -> Iterator[pb.OrderRow]:
    table = pa.ipc.open_stream(content).read_all()
    columns = [
        (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for column in table.columns
    ]
    for number, revision, worker, industry, state, *times, place, _ in zip(*columns, strict=True):
        yield pb.OrderRow(
            order_no=number,
            revision=revision,
            worker=worker,
            industry=industry,
            state=state,
            accept_time_us=times[0],
            pick_up_time_us=times[1],
            end_time_us=times[2],
            place_of_acceptance=place,
        )


def _remainder(numbers: Any, divisor: int) -> Any:
    return pc.subtract(numbers, pc.multiply(pc.divide(numbers, divisor), divisor))
