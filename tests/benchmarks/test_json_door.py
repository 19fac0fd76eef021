"""A call as JSON through the gateway against the same call over gRPC.

Service and gateway are processes of their own, as in deploy/; the caller sends one call after
another, both ways in turn. A read of one record, a change, and a page of 100 records.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.type.v1 import type_pb2

from services.runtime.base.settings import Settings
from services.runtime.embedded.processes import free_port
from services.runtime.events.jetstream import migrate_streams
from tests.support.bench import keep
from tests.support.databases import Databases
from tests.support.enrolling import citizen_number
from tests.support.gateway import JSON
from tests.support.http_client import HttpClient
from tests.support.platforms import SWIFT
from tests.support.service_process import ServiceProcess, service_process

CALLS = int(os.environ.get("OIP_BENCH_CALLS", "2000"))
WARM = 200
IN_TURN = 50
WORKERS = 100
RATIO_MAX = 1.5
START_SECONDS = 30
PATH = "/oip.enrolment.v1.EnrolmentService/"


async def test_a_call_as_json_takes_at_most_half_as_long_again(
    stack: Settings, databases: Databases
) -> None:
    settings = stack.model_copy(update={"database_url": await databases.fresh("enrolment")})
    await migrate_streams(settings, {"enrolment": ("staff",)})
    figures: dict[str, float] = {}
    async with (
        service_process("enrolment", settings) as service,
        gateway_process(settings, service.address) as client,
    ):
        await enrol(service)
        for name, (method, build) in CASES.items():
            over_grpc, as_json = await both(service, client, method, build)
            figures |= {
                f"{name}_grpc_p50_ms": statistics.median(over_grpc) * 1000,
                f"{name}_json_p50_ms": statistics.median(as_json) * 1000,
                f"{name}_json_p99_ms": statistics.quantiles(as_json, n=100)[98] * 1000,
                f"{name}_ratio": statistics.median(as_json) / statistics.median(over_grpc),
            }
        await client.close()
    keep(
        "json_door",
        f"{CALLS:,} calls one after another as JSON through the gateway against gRPC: a record, a"
        f" change, a page of {WORKERS} records",
        figures,
        at_most={f"{name}_ratio": RATIO_MAX for name in CASES},
    )


def a_platform(_number: str) -> Message:
    return pb.GetPlatformRequest(name=f"platforms/{SWIFT}")


def a_change(number: str) -> Message:
    row = pb.EnrolWorkersRequest.Row(worker_number="w-0", document_number=citizen_number(0))
    platform = f"platforms/{SWIFT}"
    return pb.EnrolWorkersRequest(request_id=f"bench-{number}", platform=platform, rows=[row])


def a_page(_number: str) -> Message:
    return pb.ListWorkersRequest(platform=f"platforms/{SWIFT}", page_size=WORKERS)


CASES: dict[str, tuple[str, Callable[[str], Message]]] = {
    "record": ("GetPlatform", a_platform),
    "change": ("EnrolWorkers", a_change),
    "page": ("ListWorkers", a_page),
}


async def enrol(service: ServiceProcess) -> None:
    administrator = service.channels("administrator")
    stub = administrator.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    await stub.RegisterPlatform(
        pb.RegisterPlatformRequest(
            request_id="register",
            credit_code=SWIFT,
            display_name="Swift Meals",
            industries=[type_pb2.INSTANT_DELIVERY],
        )
    )
    rows = [
        pb.EnrolWorkersRequest.Row(
            worker_number=f"w-{number}", document_number=citizen_number(number)
        )
        for number in range(WORKERS)
    ]
    own = service.channels("platform", platform=SWIFT)
    await own.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment").EnrolWorkers(
        pb.EnrolWorkersRequest(request_id="enrol", platform=f"platforms/{SWIFT}", rows=rows)
    )


async def both(
    service: ServiceProcess, client: HttpClient, method: str, build: Callable[[str], Message]
) -> tuple[list[float], list[float]]:
    """Seconds of the calls over gRPC, and of those as JSON."""
    channels = service.channels("platform", platform=SWIFT)
    stub: Any = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    token = service.issuer.issue("test", ["platform"], SWIFT)
    headers = {**JSON, "authorization": f"Bearer {token}"}

    async def over_grpc(number: str) -> Message:
        answer: Message = await getattr(stub, method)(build(number))
        return answer

    async def as_json(number: str) -> Any:
        body = json.dumps(json_format.MessageToDict(build(number))).encode()
        answer = await client.post(PATH + method, body, headers)
        assert answer.status == 200, answer.body
        return answer.json

    assert await over_grpc("same") == json_format.ParseDict(
        await as_json("same"), ANSWERS[method]()
    )
    seconds: tuple[list[float], list[float]] = ([], [])
    done = 0
    while done < WARM + CALLS:
        numbers = [f"{method}-{done + number}" for number in range(IN_TURN)]
        for way, ask in enumerate((over_grpc, as_json)):
            spent = await time_calls(ask, [f"{way}-{number}" for number in numbers])
            if done >= WARM:
                seconds[way].extend(spent)
        done += IN_TURN
    return seconds


ANSWERS: dict[str, type[Message]] = {
    "GetPlatform": pb.Platform,
    "EnrolWorkers": pb.EnrolWorkersResponse,
    "ListWorkers": pb.ListWorkersResponse,
}


async def time_calls(ask: Callable[[str], Awaitable[Any]], numbers: list[str]) -> list[float]:
    seconds = []
    for number in numbers:
        began = time.perf_counter()
        await ask(number)
        seconds.append(time.perf_counter() - began)
    return seconds


@asynccontextmanager
async def gateway_process(settings: Settings, enrolment: str) -> AsyncIterator[HttpClient]:
    """A client of a gateway in its own process."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.gateway",
        stderr=asyncio.subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OIP_STATE_DIR": str(settings.state_dir),
            "OIP_ENROLMENT_ADDRESS": enrolment,
            "OIP_GATEWAY_ADDRESS": f"127.0.0.1:{port}",
            "OIP_HEALTH_PORT": str(free_port()),
            "OIP_QUIET": "true",
        },
    )
    client = HttpClient(f"http://127.0.0.1:{port}")
    try:
        await until_healthy(client)
        yield client
    finally:
        process.terminate()
        await process.wait()


async def until_healthy(client: HttpClient) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                assert (await client.get("/health")).status == 200
            except ConnectionError:
                await asyncio.sleep(0.1)
            else:
                return
