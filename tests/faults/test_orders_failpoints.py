"""Orders is killed at each of its failpoints and started again."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from google.type import date_pb2
from oip.enrolment.v1 import events_pb2
from oip.orders.v1 import orders_pb2 as pb
from oip.type.v1 import type_pb2

from services.client.upload.stream import upload_orders
from services.runtime.base import failpoints
from services.runtime.base.settings import Settings
from services.runtime.events.envelope import Envelope
from services.runtime.events.jetstream import connect
from tests.support.databases import Databases
from tests.support.intake_load import WORKERS, Serving, event_signer_of, serving_orders
from tests.support.killed_orders import SWIFT, Lives, ask, enrol, until

SERVICES = Path(failpoints.__file__).resolve().parents[2]
DEATH_SECONDS = 120
# An event that was not acknowledged comes again after JetStream's own wait.
REDELIVERY_SECONDS = 60
_FAILPOINT = re.compile(r'failpoint\("([a-z_.]+)"\)')


def failpoints_in(*folders: str) -> list[str]:
    """The failpoints that the code of these folders passes."""
    files = [file for folder in folders for file in sorted((SERVICES / folder).rglob("*.py"))]
    names = [name for file in files for name in _FAILPOINT.findall(file.read_text("utf-8"))]
    return sorted(set(names))


@pytest.fixture(scope="module")
async def lives(stack: Settings, databases: Databases) -> Lives:
    """A database that outlives the service in all tests of this file, with two batches in it."""
    lives = Lives(stack.model_copy(update={"database_url": await databases.fresh("orders")}))
    await enrol(lives.url)
    async with serving_orders(lives.settings) as serving:
        assert await lives.send(serving, lives.more(2)) == set()
    return lives


async def worker_enrolled(lives: Lives, _serving: Serving) -> Callable[[Serving], Awaitable[None]]:
    """Enrolment publishes a worker; the next life must know it."""
    worker = WORKERS + 1 + secrets.randbelow(1_000_000)
    event = events_pb2.WorkersEnrolled(platform=f"platforms/{SWIFT}", workers=[worker])
    envelope = Envelope(
        "enrolment", secrets.token_hex(6), 1, event.DESCRIPTOR.full_name, event.SerializeToString()
    )
    bus = await connect(lives.settings, "enrolment", on_closed=lambda: None)
    try:
        await bus.publish(event_signer_of(lives.settings, "enrolment").sign(envelope))
    finally:
        await bus.close()

    async def is_known() -> bool:
        statement = "select count(*) from orders.platform_worker where worker = %s"
        return await ask(lives.url, statement, worker) == [(1,)]

    async def is_consumed_once(_serving: Serving) -> None:
        await until(is_known, REDELIVERY_SECONDS)
        statement = "select count(*) from orders.inbox where epoch = %s"
        assert await ask(lives.url, statement, envelope.epoch) == [(1,)]

    return is_consumed_once


async def totals_declared(lives: Lives, serving: Serving) -> Callable[[Serving], Awaitable[None]]:
    """The platform declares a day; a repeat with the same id declares it once."""
    day = date_pb2.Date(year=2025, month=7, day=1 + secrets.randbelow(28))
    request = pb.DeclareOrderTotalsRequest(
        request_id=f"declare-{secrets.token_hex(6)}",
        platform=f"platforms/{SWIFT}",
        service_date=day,
        order_count=3,
        tallies=[
            pb.OrderTally(
                platform=f"platforms/{SWIFT}",
                pooling_area="440100",
                industry=type_pb2.RIDE_HAILING,
                service_date=day,
                order_count=3,
            )
        ],
    )
    with pytest.raises(grpc.aio.AioRpcError):
        await serving.stub(SWIFT).DeclareOrderTotals(request, timeout=DEATH_SECONDS)

    async def is_declared_once(after: Serving) -> None:
        first = await after.stub(SWIFT).DeclareOrderTotals(request)
        again = await after.stub(SWIFT).DeclareOrderTotals(request)
        statement = "select count(*) from orders.command where request_id = %s"
        assert first == again
        assert await ask(lives.url, statement, request.request_id) == [(1,)]

    return is_declared_once


async def batches_sent(lives: Lives, serving: Serving) -> Callable[[Serving], Awaitable[None]]:
    """Four batches on one stream, sent again under the same ids by the platform's client."""
    batches = lives.more(4)
    await lives.send(serving, batches)

    async def are_taken_once(after: Serving) -> None:
        for receipt in await upload_orders(after.stub(SWIFT), SWIFT, batches):
            lives.keep(receipt)
        assert await lives.send(after, batches) == set()

    return are_taken_once


# Parts in which test_kills.py kills every service that has them.
ELSEWHERE = {"month_end", "signatures"}
# What brings the service to the failpoints of a part. A part that is missing here fails its test.
PROVOKED = {
    "orders": batches_sent,
    "relay": batches_sent,
    "listener": worker_enrolled,
    "requests": totals_declared,
}


def test_every_failpoint_of_the_code_is_registered_and_every_registered_one_is_in_the_code() -> (
    None
):
    assert failpoints_in("") == sorted(failpoints.NAMES)
    assert {"orders.before_copy", "orders.before_commit", "orders.after_commit"} <= set(
        failpoints_in("orders")
    )


@pytest.mark.parametrize(
    "place",
    [
        place
        for place in failpoints_in("orders", "runtime")
        if place.partition(".")[0] not in ELSEWHERE
    ],
)
async def test_a_service_killed_at_a_failpoint_loses_and_doubles_nothing(
    lives: Lives, place: str
) -> None:
    async with serving_orders(lives.settings, OIP_FAILPOINT=f"{place}:kill") as serving:
        resolves = await PROVOKED[place.partition(".")[0]](lives, serving)
        # A failpoint that is not reached kills no process, and this fails.
        ended = await asyncio.wait_for(serving.process.wait(), DEATH_SECONDS)
        assert ended == -signal.SIGKILL

    async with serving_orders(lives.settings) as serving:
        await lives.find_receipts_again(serving)
        await resolves(serving)
        await lives.find_receipts_again(serving)
        await lives.check()


@pytest.fixture(scope="module", autouse=True)
async def no_reader_process_is_left() -> AsyncIterator[None]:
    """Reader processes of a killed service see their stream end, and end too."""
    before = set(reader_processes())
    yield

    async def are_gone() -> bool:
        return not set(reader_processes()) - before

    await until(are_gone)


def reader_processes() -> list[int]:
    pids = []
    for entry in Path("/proc").iterdir():
        try:
            is_reader = b"services.orders.reader.process" in (entry / "cmdline").read_bytes()
            is_orphan = is_reader and "\nPPid:\t1\n" in (entry / "status").read_text("ascii")
        except OSError:
            continue
        if is_orphan:
            pids.append(int(entry.name))
    return pids
