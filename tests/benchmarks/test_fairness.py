"""What other callers and probes notice of a platform that calls at twenty times its limit."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.orders.v1 import orders_pb2 as pb

from services.runtime.base.settings import Settings
from services.runtime.base.tenant_limits import Limits
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.intake_load import PLATFORMS, Serving, enrolled, orders, serving_orders, split

NOISY, QUIET = PLATFORMS[:2]
LIMIT = Limits().platform.calls_per_second
TIMES = 20
CALLS = 500
PAUSE_SECONDS = 0.02
WARM_SECONDS = 8
MOST_SECONDS = 30.0
ROWS = 8_000
YIELDING = 10


@dataclass
class Noticed:
    """Seconds of the calls of another platform, of a person of staff, and of probes."""

    platform: list[float] = field(default_factory=list)
    staff: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)


async def test_a_platform_at_twenty_times_its_limit_slows_nobody(
    stack: Settings, databases: Databases
) -> None:
    filled = stack.model_copy(update={"database_url": await enrolled(databases)})
    async with serving_orders(filled) as serving:
        await serving.upload(split(orders(ROWS)))
        await notice(serving, CALLS // 5)
        alone = await notice(serving, CALLS)
        async with noise(serving, LIMIT):
            at_limit = await notice(serving, CALLS)
        begin = time.perf_counter()
        async with noise(serving, TIMES * LIMIT) as codes:
            beside = await notice(serving, CALLS)
        seconds = time.perf_counter() - begin
    keep(
        "fairness",
        f"calls of another platform, of staff and of probes beside a platform that calls"
        f" {TIMES * LIMIT} times a second, {TIMES} times its limit, against the same without it",
        {
            "noisy_calls_per_second": sum(codes.values()) / seconds,
            "noisy_answered": codes.get("OK", 0),
            "noisy_refused": codes.get("RESOURCE_EXHAUSTED", 0),
            "platform_alone_p99_ms": p99(alone.platform) * 1000,
            "platform_beside_p99_ms": p99(beside.platform) * 1000,
            "platform_vs_alone_p99": p99(beside.platform) / p99(alone.platform),
            "platform_vs_at_limit_p99": p99(beside.platform) / p99(at_limit.platform),
            "staff_vs_alone_p99": p99(beside.staff) / p99(alone.staff),
            "staff_vs_at_limit_p99": p99(beside.staff) / p99(at_limit.staff),
            "health_slowest_ms": max(beside.health) * 1000,
        },
        at_most={
            "platform_vs_alone_p99": 2.0,
            "staff_vs_alone_p99": 2.0,
            "health_slowest_ms": 1000.0,
        },
    )


@asynccontextmanager
async def noise(serving: Serving, per_second: int) -> AsyncIterator[dict[str, int]]:
    """A platform that calls while the block runs; afterwards how its calls ended.

    It would call from a machine of its own, so it takes no core from the service and its askers.
    """
    codes: dict[str, int] = {}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.priority",
        str(YIELDING),
        sys.executable,
        "-m",
        "tests.support.noisy_tenant",
        serving.address,
        serving.issuer.issue("bench", ["platform"], NOISY),
        NOISY,
        str(per_second),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        # Until it has used up what a quiet tenant may send at once.
        await asyncio.sleep(WARM_SECONDS)
        yield codes
        async with asyncio.timeout(MOST_SECONDS):
            answer, _ = await process.communicate(b"")
        codes.update(json.loads(answer))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def notice(serving: Serving, count: int) -> Noticed:
    """Call as each of them in turn, at a pace below any limit."""
    noticed = Noticed()
    platform, staff = serving.stub(QUIET), serving.staff_stub()
    async with grpc.aio.insecure_channel(serving.health_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def of_platform() -> object:
            request = pb.ListOrderBatchesRequest(platform=f"platforms/{QUIET}", page_size=100)
            return await platform.ListOrderBatches(request)

        async def of_staff() -> object:
            request = pb.ListOrderBatchesRequest(platform=f"platforms/{QUIET}", page_size=100)
            return await staff.ListOrderBatches(request)

        async def of_probe() -> object:
            return await health.Check(health_pb2.HealthCheckRequest(service="readiness"), timeout=5)

        for _ in range(count):
            noticed.platform.append(await timed(of_platform))
            noticed.staff.append(await timed(of_staff))
            noticed.health.append(await timed(of_probe))
            await asyncio.sleep(PAUSE_SECONDS)
    return noticed


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Seconds of one call."""
    begin = time.perf_counter()
    await call()
    return time.perf_counter() - begin


def p99(seconds: list[float]) -> float:
    """The 99th percentile."""
    return sorted(seconds)[len(seconds) * 99 // 100]
