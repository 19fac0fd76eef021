"""A disk fills up under all services and gets space again; nothing that was confirmed is lost."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from psycopg.conninfo import make_conninfo

from services.__main__ import NAMES, all_services
from services.demo.second_persons import SigningChannels
from services.runtime.base.settings import Settings
from services.runtime.embedded import PostgresServer
from services.runtime.rpc.client import Channels, RemoteProblem
from services.runtime.service.context import producer_of
from services.runtime.service.stack import Stack, stack
from tests.support.enrolling import enrol_hints
from tests.support.fault_cases import CASES, CHANGES, FaultCase, ServiceChannels, report_accident_of
from tests.support.killed_orders import ask, until
from tests.support.platforms import SWIFT
from tests.support.service_process import sign_as_second
from tests.support.small_disk import SmallDisk, small_disk
from tests.support.staff import store_entries

EVENT_BYTES = 200_000
SECONDS = 90
# Enough rows to fill what PostgreSQL has reserved already.
ROUNDS = 60
# Changes for each service: until the disk is full, and one after that.
CHANGES_MAX = ROUNDS + 1
# Claims asks orders before it writes, so that it is refused by that service's disk.
BY_THEIR_OWN_DISK = set(NAMES) - {"claims"}


class Caller:
    """Calls the services of a stack."""

    def __init__(self, running: Stack) -> None:
        self._running = running
        self._open: dict[tuple[tuple[str, ...], str], Channels] = {}

    @property
    def database_url(self) -> str:
        return self._running.settings.database_url

    def channels(self, *roles: str, platform: str = "") -> Channels:
        key = roles, platform
        if key not in self._open:
            addresses, issuer = self._running.addresses, self._running.issuer
            sign = partial(sign_as_second, addresses, issuer)
            source = issuer.source("test", roles, platform)
            self._open[key] = SigningChannels(addresses, source, sign)
        return self._open[key]

    def operations(self, service: str) -> operations_pb2_grpc.OperationsServiceAsyncStub:
        channels = self.channels("administrator")
        return channels.stub(operations_pb2_grpc.OperationsServiceStub, service)

    async def faults(self, service: str) -> set[str]:
        request = operations_pb2.GetHealthRequest()
        answer = await self.operations(service).GetHealth(request, timeout=30)
        return {fault.code for fault in answer.faults}

    async def is_healthy(self) -> bool:
        return not any([await self.faults(name) for name in NAMES])

    async def broken(self) -> list[str]:
        answers = [
            await self.operations(name).Verify(operations_pb2.VerifyRequest(), timeout=60)
            for name in NAMES
        ]
        return [check.invariant for answer in answers for check in answer.checks if not check.holds]

    async def close(self) -> None:
        for channels in self._open.values():
            await channels.close()


async def write_events(url: str, count: int) -> None:
    """Events in the outbox of every service, as its commands write them."""
    for name in NAMES:
        await ask(
            make_conninfo(url, options=f"-c search_path={name}"),
            f"insert into {name}.outbox (subject, payload, create_time)"
            f" select 'oip.{name}.v1.FaultTested', decode(repeat('00', {EVENT_BYTES}), 'hex'),"
            " now() from generate_series(1, %s::bigint)",
            count,
        )


async def test_events_wait_while_the_disk_of_nats_is_full_and_then_go_out_by_themselves(
    tmp_path: Path,
) -> None:
    """S1, all services at once: neither they nor the stack are restarted."""
    settings = Settings(state_dir=tmp_path, pool_size=4)
    with small_disk(tmp_path / "nats", 24) as disk:
        async with stack(all_services(), settings, any_port=True, grace=1) as running:
            caller, url = Caller(running), running.settings.database_url
            await store_entries(url, NAMES)

            async def is_said() -> bool:
                return all(["NATS_STORES_NOTHING" in await caller.faults(name) for name in NAMES])

            async def is_sent() -> bool:
                unsent = [f"select id from {name}.outbox where send_time is null" for name in NAMES]
                return await ask(url, f"select count(*) from ({' union all '.join(unsent)}) u") == [
                    (0,)
                ]

            await write_events(url, 1)
            await until(is_sent, SECONDS)
            disk.fill()
            await write_events(url, 3)
            await until(is_said, SECONDS)
            assert not await is_sent()
            # Calls are answered meanwhile.
            assert await caller.broken() == []

            disk.free()
            disk.grow(256)
            await until(is_sent, SECONDS)
            await until(caller.is_healthy, SECONDS)
            await running.wait_until_delivered(SECONDS)
            assert await caller.broken() == []
            await caller.close()


async def test_a_full_disk_of_postgresql_refuses_changes_and_loses_no_confirmed_one(
    tmp_path: Path,
) -> None:
    """S2, all services at once."""
    with small_disk(tmp_path / "disk", 512) as disk:
        server = PostgresServer(disk.folder / "postgres")
        settings = Settings(
            state_dir=tmp_path / "state", database_url=await server.start(), pool_size=4
        )
        try:
            async with stack(all_services(), settings, any_port=True, grace=1) as running:
                await store_entries(settings.database_url, NAMES)
                cases = await _prepare(running)
                await _fill_and_free(cases, Caller(running), server, disk)
        finally:
            await server.stop()


async def _prepare(running: Stack) -> list[FaultCase]:
    """Consume what has to come before a call, and enrol workers; reports are of their accidents."""
    await enrol_hints(running, SWIFT, [f"w{number}" for number in range(CHANGES_MAX)])
    for case in CASES:
        context = running.contexts[case.service]
        (service,) = (each for each in all_services() if each.name == case.service)
        for event in case.before:
            command = context.command(f"services/{producer_of(type(event))}")
            async with context.database.begin() as tx:
                await service.consumed[type(event)](tx, event, command)
    await running.wait_until_delivered(SECONDS)
    rows = await ask(running.settings.database_url, "select id from enrolment.worker")
    workers = [worker for (worker,) in rows]

    async def report(caller: ServiceChannels, number: int, request_id: str) -> Any:
        return await report_accident_of(caller, workers[number], request_id)

    return [replace(case, call=report) if case.service == "claims" else case for case in CASES]


async def _fill_and_free(
    cases: list[FaultCase], caller: Caller, server: PostgresServer, disk: SmallDisk
) -> None:
    url = caller.database_url
    confirmed: dict[str, set[int]] = {case.service: set() for case in cases}
    refused: dict[str, str] = {}

    async def call(number: int) -> None:
        for case in cases:
            try:
                async with asyncio.timeout(5):
                    await case.send(caller, number)
            except (grpc.RpcError, RemoteProblem, TimeoutError) as error:
                refused[case.service] = str(error)
            else:
                confirmed[case.service].add(number)

    async def is_said() -> bool:
        codes = {"DATABASE_FULL", "DATABASE_SILENT"}
        return all([codes & await caller.faults(name) for name in BY_THEIR_OWN_DISK])

    # What was there before the first call.
    earlier = {case.service: await _count(url, case) for case in cases}
    await call(0)
    assert refused == {}
    disk.fill()
    number = 0
    while not _have_refused(refused):
        number += 1
        assert number < ROUNDS
        # The rows of others fill what the tables have left.
        with contextlib.suppress(Exception):
            await write_events(url, 5)
        await call(number)
    await until(is_said, SECONDS)

    disk.free()
    disk.grow(1024)
    if server.has_ended:  # no space for its own log; its supervisor starts it again
        await server.start(server.port)
    await until(caller.is_healthy, SECONDS)

    async def is_confirmed() -> bool:
        await call(ROUNDS)
        return all(ROUNDS in numbers for numbers in confirmed.values())

    await until(is_confirmed, SECONDS)
    for case in cases:
        await _check_stored(url, case, confirmed[case.service], earlier[case.service])
    assert await caller.broken() == []
    await caller.close()


def _have_refused(refused: dict[str, str]) -> bool:
    of_disk = {name for name, error in refused.items() if "RESOURCE_EXHAUSTED" in error}
    return of_disk >= BY_THEIR_OWN_DISK and "claims" in refused


async def _count(url: str, case: FaultCase) -> int:
    ((count,),) = await ask(url, case.called)
    return int(count)


async def _check_stored(url: str, case: FaultCase, numbers: set[int], earlier: int) -> None:
    """Every confirmed change is there, and no change twice."""
    rows = await ask(
        url, f"select request_id from {case.service}.command where request_id like '{CHANGES}%'"
    )
    stored = {request_id for (request_id,) in rows}
    assert {f"{CHANGES}{number}" for number in numbers} <= stored
    assert await _count(url, case) == earlier + len(stored)
