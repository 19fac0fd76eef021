"""Orders under bad input: D3, D7, X2 to X6 and S7 of the catalogue; OIP_SEED repeats a run."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet
import pytest
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.settings import Settings
from tests.support.databases import Databases
from tests.support.uploading import (
    NINE,
    NOW,
    SWIFT,
    OrderDesk,
    as_arrow,
    as_rows,
    broken_invariants,
    ipc,
    order_desk,
    problem_in,
    row,
    table_of,
)

SEED = int(os.environ.get("OIP_SEED", "20250701"))
MUTATIONS = int(os.environ.get("OIP_MUTATIONS", "600"))
PATH = "/oip.orders.v1.OrderService/UploadOrders"
MIB = 1 << 20


@pytest.fixture(scope="module")
async def desk(stack: Settings, databases: Databases) -> AsyncIterator[OrderDesk]:
    async with order_desk(stack, databases) as desk:
        yield desk
        assert await broken_invariants(desk) == []


def rows_of(prefix: str, count: int) -> list[dict[str, Any]]:
    return [row(f"{prefix}-{number}") for number in range(count)]


async def raw_upload(desk: OrderDesk, *messages: bytes, metadata: Any = ()) -> list[Any]:
    """Send bytes as they are."""
    channels = desk.running.channels("test", "platform", platform=SWIFT)
    token = desk.running.issuer.issue("test", ["platform"], SWIFT)
    address = desk.running.addresses["orders"]
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream(
            PATH,
            request_serializer=bytes,
            response_deserializer=pb.UploadOrdersResponse.FromString,
        )(
            iter(messages),
            timeout=30,
            metadata=(("authorization", f"Bearer {token}"), *metadata),
        )
        try:
            return [answer async for answer in call]
        finally:
            await channels.close()


async def refused_stream(desk: OrderDesk, *messages: bytes, metadata: Any = ()) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await raw_upload(desk, *messages, metadata=metadata)
    return caught.value


async def test_d3_a_batch_sent_twice_at_once_is_stored_once(desk: OrderDesk) -> None:
    rows = rows_of("d3", 2000)
    one, two = await asyncio.gather(
        desk.receipt(as_rows("d3", rows)), desk.receipt(as_rows("d3", rows))
    )
    other, another = await asyncio.gather(
        desk.receipt(as_rows("d3-x", rows)), desk.receipt(as_rows("d3-y", rows))
    )
    changed = await desk.receipt(as_rows("d3-z", [*rows[1:], row("d3-0", worker=2)]))

    assert one == two
    assert one.created_count == other.exists_count == another.exists_count == 2000
    assert (changed.exists_count, changed.conflict_count) == (1999, 1)


async def test_d7_an_order_with_the_next_days_date_is_stored_once(desk: OrderDesk) -> None:
    await desk.receipt(as_rows("d7", [row("d7")]))

    later = row("d7", accepted=NINE + timedelta(days=1))
    receipt = await desk.receipt(as_arrow("d7-next", table_of([later])))

    assert (receipt.created_count, receipt.conflict_count) == (0, 1)
    held = await desk.execute("select count(*) from orders.orders where order_no = 'd7'")
    assert held == [(1,)]


@pytest.mark.parametrize("cut_after", [0, 1, 2, 3])
async def test_x2_a_stream_that_is_cut_goes_on_by_its_batch_ids(
    desk: OrderDesk, cut_after: int
) -> None:
    batches = [
        as_rows(f"x2-{cut_after}-{n}", rows_of(f"x2-{cut_after}-{n}", 500)) for n in range(4)
    ]

    async def some() -> AsyncIterator[Any]:
        for batch in batches[:cut_after]:
            yield batch
        await asyncio.sleep(0.05 * cut_after)
        call.cancel()
        await asyncio.sleep(30)

    call = desk.at("platform", platform=SWIFT).UploadOrders(some(), timeout=30)
    with pytest.raises(asyncio.CancelledError):
        async for _ in call:
            pass
    answers = await desk.upload(*batches)

    assert [answer.receipt.created_count for answer in answers] == [500] * 4
    held = await desk.execute(
        f"select count(*) from orders.orders where order_no like 'x2-{cut_after}-%%'"
    )
    assert held == [(2000,)]


WRONG: dict[str, dict[str, Any]] = {
    "number": {"order_no": ""},
    "state": {"state": 9},
    "future": {"accepted": NOW + timedelta(days=1)},
    "place": {"place_of_acceptance": 110105},
    "worker": {"worker": 999},
}


@pytest.mark.parametrize("kind", WRONG)
async def test_x3_ten_thousand_wrong_rows_are_each_named_and_cost_little(
    desk: OrderDesk, kind: str
) -> None:
    await desk.problem(as_rows(f"x3-{kind}-warm", []))
    begin = time.perf_counter()
    await desk.receipt(as_rows(f"x3-{kind}-clean", rows_of(f"x3-{kind}", 10_000)))
    clean = time.perf_counter() - begin
    wrong = [row(**{"order_no": f"w{n}", **WRONG[kind]}) for n in range(10_000)]
    await desk.receipt(as_rows(f"x3-{kind}-first", wrong[:1]))

    begin = time.perf_counter()
    receipt = await desk.receipt(as_rows(f"x3-{kind}", wrong))
    seconds = time.perf_counter() - begin

    assert (receipt.rejected_count, receipt.created_count) == (10_000, 0)
    assert len(receipt.rejections) == 1000
    stub, token, seen = desk.at("fund_officer"), "", 0
    while True:
        page = await stub.ListOrderRejections(
            pb.ListOrderRejectionsRequest(
                order_batch=receipt.name, page_size=1000, page_token=token
            )
        )
        seen, token = seen + len(page.rejections), page.next_page_token
        if not token:
            break
    assert seen == 10_000
    # Twice the clean batch, and a little for a machine that does other things too.
    assert seconds <= 2 * clean + 0.5


async def test_x4_bytes_that_are_no_message_get_a_fixed_text(desk: OrderDesk) -> None:
    texts = set()
    nested = b""
    for _ in range(300):
        size, packed = len(nested), b""
        while size > 127:
            packed, size = packed + bytes((size & 127 | 128,)), size >> 7
        nested = b"\x1a" + packed + bytes((size,)) + nested
    for content in (
        b"\xff\xff\xff",
        b"\x0a\xff",
        b"\x0a\x02\xff\xfe",
        b"\x1a\x05\x0a\x03\x0a\x01\xff",
    ):
        error = await refused_stream(desk, content)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        texts.add(error.details())
    assert len(texts) == 1
    assert "ff" not in texts.pop()

    unknown = as_rows("x4", [row("x4")]).SerializeToString() + b"\xfa\x7f\x03abc"
    (taken,) = await raw_upload(desk, unknown)
    (empty,) = await raw_upload(desk, b"")
    answers = await raw_upload(desk, b"\x0a\x02n1" + nested)
    assert taken.receipt.created_count == 1
    assert problem_in(empty.problem)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert problem_in(answers[0].problem)[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_x5_what_is_too_large_is_refused_and_costs_no_memory(desk: OrderDesk) -> None:
    before = resident_bytes()
    large = await refused_stream(desk, bytes(5 * MIB))
    too_many = await desk.problem(
        pb.UploadOrdersRequest(
            batch_id="x5",
            platform=f"platforms/{SWIFT}",
            rows=pb.OrderRows(rows=[pb.OrderRow()] * 100_000),
        )
    )
    padded = await refused_stream(desk, b"", metadata=(("x-padding", "x" * 65_536),))

    assert large.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert too_many[1] == "BATCH_SIZE_WRONG"
    assert padded.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert resident_bytes() - before < 150 * MIB  # both sides live in this process


async def test_x6_mutated_arrow_costs_its_batch_and_nothing_else(desk: OrderDesk) -> None:
    chance = random.Random(SEED)
    sound = ipc(table_of(rows_of("x6", 40)))
    outcomes: dict[str, int] = {}
    for start in range(0, MUTATIONS, 50):
        batches = []
        for number in range(start, min(MUTATIONS, start + 50)):
            content = bytearray(sound)
            for _ in range(chance.randint(1, 8)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            if chance.random() < 0.1:
                del content[chance.randrange(len(content)) :]
            batches.append(as_arrow(f"x6-{number}", bytes(content)))
        for answer in await desk.upload(*batches):
            outcome = "taken"
            if answer.WhichOneof("outcome") == "problem":
                outcome = problem_in(answer.problem)[1]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert set(outcomes) <= {"taken", "BATCH_UNREADABLE", "BATCH_SIZE_WRONG", "BATCH_BROKE_READER"}
    assert sum(outcomes.values()) == MUTATIONS, f"seed {SEED}"
    assert (await desk.receipt(as_rows("x6-after", [row("x6-after")]))).created_count == 1


async def test_x6_a_bomb_of_compressed_arrow_is_refused(desk: OrderDesk) -> None:
    import pyarrow as pa

    table = table_of([row("x6-bomb", reason="x" * 100)] * 50_000)
    huge = table.set_column(9, "reason", pa.array(["x" * 40_000] * 50_000, pa.string()))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, huge.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_table(huge, max_chunksize=25_000)
    content = sink.getvalue().to_pybytes()
    assert len(content) < 4 * MIB

    code, reason, _ = await desk.problem(as_arrow("x6-bomb", content))
    after = await desk.receipt(as_rows("x6-bomb-after", [row("x6-bomb-after")]))

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert reason in {"BATCH_UNREADABLE", "BATCH_BROKE_READER"}
    assert after.created_count == 1


_READ_MUTATED = """
import random, sys
from pathlib import Path
from services.client import load_mapping, read_orders
from services.kernel.problems import Problem
seed, count, path, mapping = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
chance, sound = random.Random(seed), path.read_bytes()
mapping = load_mapping(Path(mapping))
mutated = path.with_name("mutated.parquet")
for _ in range(count):
    content = bytearray(sound)
    for _ in range(chance.randint(1, 8)):
        content[chance.randrange(len(content))] = chance.randrange(256)
    mutated.write_bytes(content)
    try:
        read_orders(mutated, mapping)
    except Problem as problem:
        assert problem.reason == "ORDER_FILE_UNREADABLE", problem.reason
"""


def test_x6_mutated_parquet_is_a_sentence_for_the_client(tmp_path: Path) -> None:
    from tests.integration.orders.test_push import MAPPING, orders_table

    pyarrow.parquet.write_table(orders_table(50), tmp_path / "sound.parquet")
    (tmp_path / "mapping.toml").write_text(MAPPING, encoding="utf-8")

    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            _READ_MUTATED,
            str(SEED),
            str(MUTATIONS),
            str(tmp_path / "sound.parquet"),
            str(tmp_path / "mapping.toml"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr


async def test_s7_streams_that_stop_sending_end_at_their_deadline(desk: OrderDesk) -> None:
    before = resident_bytes()
    stub = desk.at("platform", platform=SWIFT)

    async def silent(number: int) -> grpc.StatusCode:
        async def requests() -> AsyncIterator[Any]:
            yield as_rows(f"s7-{number}", [row(f"s7-{number}")])
            await asyncio.sleep(60)

        call = stub.UploadOrders(requests(), timeout=8)
        try:
            async for answer in call:
                assert answer.receipt.created_count == 1
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    begin = time.perf_counter()
    codes = await asyncio.gather(*(silent(number) for number in range(60)))
    seconds = time.perf_counter() - begin

    assert set(codes) == {grpc.StatusCode.DEADLINE_EXCEEDED}
    assert seconds < 8 + 5
    assert resident_bytes() - before < 200 * MIB
    assert (await desk.receipt(as_rows("s7-after", [row("s7-after")]))).created_count == 1


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf(
        "SC_PAGE_SIZE"
    )
