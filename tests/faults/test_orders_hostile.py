"""Orders under too large, harmful or silent callers; OIP_SEED repeats a run.

The service runs as a separate process, so that its memory can be read from outside.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.ipc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.orders.v1 import orders_pb2 as pb
from oip.orders.v1 import orders_pb2_grpc

from services.orderlog.columns import SCHEMA
from services.runtime.base.settings import Settings
from services.runtime.base.tenant_limits import Limits
from services.runtime.rpc.client import CLIENT_OPTIONS
from tests.support.databases import Databases
from tests.support.intake_load import Serving, serving_orders
from tests.support.killed_orders import ask, enrol, until
from tests.support.mutations import MUTATIONS, SEED, mutated
from tests.support.platforms import SWIFT
from tests.support.raw_upload import packed, send_raw
from tests.support.uploads import as_arrow, as_rows, ipc, problem_in, row, table_of

KIB, MIB = 1 << 10, 1 << 20
SILENT_STREAMS, CONNECTIONS, SILENT_SECONDS = 256, 4, 10
LIMIT = Limits().platform.streams
DEAF_SECONDS = 5
PEAK_GROWTH_MAX = 50 * MIB


@pytest.fixture(scope="module")
async def filled(stack: Settings, databases: Databases) -> Settings:
    settings = stack.model_copy(update={"database_url": await databases.fresh("orders")})
    await enrol(settings.database_url)
    return settings


@pytest.fixture(scope="module")
async def serving(filled: Settings) -> AsyncIterator[Serving]:
    """One process for the file: nothing of all this ends it."""
    async with serving_orders(filled) as serving:
        await send(serving, as_rows("warm", [row(f"warm-{n}") for n in range(5000)]))
        yield serving
        assert serving.process.returncode is None


async def send(serving: Serving, *batches: Any, seconds: float = 60) -> list[Any]:
    """Send batches on one stream; all answers."""
    stream = serving.stub(SWIFT).UploadOrders(iter(batches), timeout=seconds)
    return [answer async for answer in stream]


async def is_well(serving: Serving, name: str) -> bool:
    """Whether the service accepts the next batch as usual."""
    (answer,) = await send(serving, as_rows(name, [row(name)]))
    return bool(answer.receipt.created_count == 1)


async def raw(serving: Serving, *messages: bytes, **options: Any) -> list[Any]:
    token = serving.issuer.issue("test", ["platform"], SWIFT)
    return await send_raw(serving.address, token, *messages, **options)


async def code_of(serving: Serving, *messages: bytes, **options: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw(serving, *messages, **options)
    return caught.value.code()


def memory(serving: Serving, line: str) -> int:
    """A line of the service's own memory in /proc, in bytes."""
    text = Path(f"/proc/{serving.process.pid}/status").read_text(encoding="ascii")
    return int(text.partition(f"{line}:")[2].split()[0]) * KIB


def begin_peak(serving: Serving) -> int:
    """Let the kernel measure the peak again; the present value."""
    Path(f"/proc/{serving.process.pid}/clear_refs").write_text("5", encoding="ascii")
    return memory(serving, "VmRSS")


def workers_of(serving: Serving) -> list[int]:
    """The worker processes of the service."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{serving.process.pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


async def test_a_message_of_five_megabytes_is_refused_before_it_is_held(serving: Serving) -> None:
    before = begin_peak(serving)

    assert await code_of(serving, bytes(5 * MIB)) is grpc.StatusCode.RESOURCE_EXHAUSTED

    assert memory(serving, "VmHWM") - before < PEAK_GROWTH_MAX
    assert await is_well(serving, "after-large")


async def test_a_gzip_bomb_is_refused_before_it_is_unpacked(serving: Serving) -> None:
    before = begin_peak(serving)

    code = await code_of(serving, bytes(128 * MIB), compression=grpc.Compression.Gzip)

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory(serving, "VmHWM") - before < PEAK_GROWTH_MAX
    assert await is_well(serving, "after-gzip")


async def test_metadata_of_64_kib_is_refused(serving: Serving) -> None:
    before = begin_peak(serving)

    code = await code_of(serving, b"", metadata=(("x-padding", "x" * 64 * KIB),))

    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory(serving, "VmHWM") - before < PEAK_GROWTH_MAX
    assert await is_well(serving, "after-metadata")


async def test_a_hundred_thousand_rows_in_a_batch_are_refused(serving: Serving) -> None:
    rows = batch_of_rows("too-many", packed(1, b"") * 100_000)
    arrow = as_arrow("too-many", table_of([row("too-many")] * 60_000))
    before = begin_peak(serving)

    answers = await raw(serving, rows, arrow.SerializeToString())

    told = [problem_in(answer.problem)[:2] for answer in answers]
    assert told == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "BATCH_TOO_LARGE")] * 2
    assert memory(serving, "VmHWM") - before < PEAK_GROWTH_MAX
    assert await is_well(serving, "after-many")


async def test_the_most_rows_that_fit_a_message_are_refused_as_cheaply(serving: Serving) -> None:
    # Two million rows are some two hundred megabytes once parsed: of a worker, not of the service.
    rows = packed(1, b"") * ((4 * MIB - KIB) // 2)
    before = begin_peak(serving)

    (answer,) = await raw(serving, batch_of_rows("empty-rows", rows))

    assert problem_in(answer.problem)[1] == "BATCH_TOO_LARGE"
    assert memory(serving, "VmHWM") - before < PEAK_GROWTH_MAX
    answers = await raw(serving, *(batch_of_rows(f"empty-rows-{n}", rows) for n in range(8)))
    assert {problem_in(answer.problem)[1] for answer in answers} == {"BATCH_TOO_LARGE"}
    assert memory(serving, "VmHWM") - before < 2 * PEAK_GROWTH_MAX
    assert await is_well(serving, "after-empty-rows")


async def test_rows_in_two_million_pieces_are_refused_within_bounds(serving: Serving) -> None:
    pieces = batch_of_rows("pieces", b"") + packed(3, b"") * ((4 * MIB - KIB) // 2)
    before = begin_peak(serving)

    answers = await raw(serving, pieces, pieces, pieces)

    assert {problem_in(answer.problem)[1] for answer in answers} == {"MALFORMED"}
    # The one list that the service's own parser makes of a message; of two at a time.
    assert memory(serving, "VmHWM") - before < 3 * PEAK_GROWTH_MAX
    assert await is_well(serving, "after-pieces")


def batch_of_rows(name: str, rows: bytes) -> bytes:
    request = pb.UploadOrdersRequest(batch_id=name, platform=f"platforms/{SWIFT}")
    return request.SerializeToString() + packed(3, rows)


async def test_arrow_that_was_changed_at_random_costs_its_batch_and_nothing_else(
    serving: Serving,
) -> None:
    sys.stdout.write(f"OIP_SEED={SEED}\n")
    chance = random.Random(SEED)
    sound = ipc(table_of([row(f"mutated-{n}") for n in range(40)]))
    outcomes: dict[str, int] = {}
    for start in range(0, MUTATIONS, 50):
        batches = [
            as_arrow(f"mutated-{number}", mutated(sound, chance))
            for number in range(start, min(MUTATIONS, start + 50))
        ]
        for answer in await send(serving, *batches, seconds=120):
            outcome = "taken"
            if answer.WhichOneof("outcome") == "problem":
                outcome = problem_in(answer.problem)[1]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    sys.stdout.write(f"{outcomes}\n")

    assert set(outcomes) <= {"taken", "BATCH_UNREADABLE", "BATCH_SIZE_WRONG", "BATCH_BROKE_READER"}
    assert sum(outcomes.values()) == MUTATIONS
    assert await is_well(serving, "after-mutations")


def bomb(rows_at_a_time: int, times: int, text_bytes: int) -> bytes:
    """A small Arrow stream that unpacks to a multiple of itself."""
    rows = table_of([row("bomb")] * rows_at_a_time)
    texts = pa.array(["x" * text_bytes] * rows_at_a_time, pa.string())
    batch = rows.set_column(9, "reason", texts).cast(SCHEMA).combine_chunks().to_batches()[0]
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, SCHEMA, options=options) as writer:
        for _ in range(times):
            writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize(
    ("rows_at_a_time", "times", "text_bytes"),
    [(500, 60, 80_000), (2, 1, 600_000_000)],
    ids=["many batches of 40 MB", "one of more than a gigabyte"],
)
async def test_a_bomb_of_compressed_arrow_is_refused_and_the_service_does_not_grow(
    serving: Serving, rows_at_a_time: int, times: int, text_bytes: int
) -> None:
    content = bomb(rows_at_a_time, times, text_bytes)
    assert len(content) < 4 * MIB
    before = begin_peak(serving)

    (answer,) = await send(serving, as_arrow(f"bomb-{times}", content))

    code, reason, _ = problem_in(answer.problem)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert reason in {"BATCH_UNREADABLE", "BATCH_BROKE_READER"}
    assert memory(serving, "VmHWM") - before < PEAK_GROWTH_MAX
    assert await is_well(serving, f"after-bomb-{times}")


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL], ids=["SIGSEGV", "SIGKILL"])
async def test_a_worker_process_dies_alone_and_the_stream_goes_on(
    serving: Serving, number: signal.Signals
) -> None:
    table = table_of([row(f"dies-{number}-{n}") for n in range(20_000)])
    answered = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        yield as_arrow(f"dies-{number}", table)
        await answered.wait()
        yield as_arrow(f"lives-{number}", table)

    answers = aiter(serving.stub(SWIFT).UploadOrders(requests(), timeout=60))
    reading = asyncio.ensure_future(anext(answers))
    while not reading.done():
        for pid in workers_of(serving):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        await asyncio.sleep(0.001)
    answered.set()
    broken, taken = await reading, await anext(answers)

    assert problem_in(broken.problem)[1] == "BATCH_BROKE_READER"
    assert taken.receipt.created_count == table.num_rows
    assert serving.process.returncode is None


async def test_streams_that_stop_sending_hold_the_places_of_their_platform_alone(
    serving: Serving,
) -> None:
    before = begin_peak(serving)
    token = serving.issuer.issue("test", ["platform"], SWIFT)
    # A connection carries a hundred streams at most; gRPC shares one among like channels.
    options = [*CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(serving.address, options) for _ in range(CONNECTIONS)]
    answered: set[int] = set()

    async def silent(number: int) -> grpc.StatusCode:
        async def requests() -> AsyncIterator[Any]:
            yield as_rows(f"silent-{number}", [row(f"silent-{number}")])
            await asyncio.sleep(10 * SILENT_SECONDS)

        stub = orders_pb2_grpc.OrderServiceStub(channels[number % CONNECTIONS])
        call = stub.UploadOrders(
            requests(), timeout=SILENT_SECONDS, metadata=[("authorization", f"Bearer {token}")]
        )
        try:
            async for _ in call:
                answered.add(number)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    async def are_all_open() -> bool:
        return len(answered) == LIMIT

    waiting = asyncio.gather(*(silent(number) for number in range(SILENT_STREAMS)))
    await until(are_all_open)
    assert not waiting.done()
    # Probes and others are answered meanwhile.
    async with grpc.aio.insecure_channel(serving.health_address) as channel:
        probe = health_pb2.HealthCheckRequest(service="liveness")
        answer = await health_pb2_grpc.HealthStub(channel).Check(probe, timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    codes = await asyncio.wait_for(waiting, 4 * SILENT_SECONDS)
    await asyncio.gather(*(channel.close() for channel in channels))

    assert codes.count(grpc.StatusCode.DEADLINE_EXCEEDED) == LIMIT
    # The client's library calls a write that the refusal cuts off an internal error.
    refused = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
    assert {code for code in codes if code is not grpc.StatusCode.DEADLINE_EXCEEDED} <= refused

    async def has_places_again() -> bool:
        """The service ends its side of the streams a moment after the client."""
        with suppress(grpc.aio.AioRpcError):
            return await is_well(serving, "after-silence-at-once")
        return False

    await until(has_places_again)
    assert memory(serving, "VmHWM") - before < 2 * PEAK_GROWTH_MAX
    assert await is_well(serving, "after-silence")


async def test_streams_whose_answers_nobody_reads_hold_little_and_hinder_nobody(
    serving: Serving,
) -> None:
    before = begin_peak(serving)
    stub = serving.stub(SWIFT)
    wrong = [row(f"deaf-{n}", industry=99) for n in range(200)]

    async def requests(stream: int) -> AsyncIterator[Any]:
        for number in itertools.count():
            yield as_rows(f"deaf-{stream}-{number}", wrong)
            await asyncio.sleep(0.05)

    calls = [stub.UploadOrders(requests(one), timeout=DEAF_SECONDS) for one in range(4)]
    assert await is_well(serving, "beside-deaf")
    # The client's library calls a write that the deadline cuts off an internal error.
    ends = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL}
    assert {await call.code() for call in calls} <= ends

    assert memory(serving, "VmHWM") - before < 2 * PEAK_GROWTH_MAX
    assert await is_well(serving, "after-deaf")


async def test_after_all_of_it_the_books_are_right_and_nothing_is_left_open(
    serving: Serving, filled: Settings
) -> None:
    async def is_at_rest() -> bool:
        question = (
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and application_name = 'oip_orders' and state like 'idle in transaction%%'"
        )
        return await ask(filled.database_url, question) == [(0,)]

    await until(is_at_rest)
    assert len(workers_of(serving)) <= 2
    outcomes = (
        "select count(*) from orders.order_batch where received_count <>"
        " created_count + exists_count + conflict_count + rejected_count"
    )
    assert await ask(filled.database_url, outcomes) == [(0,)]
