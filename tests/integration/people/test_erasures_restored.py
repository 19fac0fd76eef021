"""Databases restored to copies from before an erasure: the key does not come back unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from oip.enrolment.v1 import enrolment_pb2
from oip.operations.v1 import operations_pb2

from services.benefits.__main__ import SERVICE as BENEFITS
from services.claims.__main__ import SERVICE as CLAIMS
from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.grading.__main__ import SERVICE as GRADING
from services.orders.__main__ import SERVICE as ORDERS
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings, service_names
from services.runtime.embedded import NatsServer
from services.runtime.events.listener import Listener
from services.runtime.rpc.wire import enum_number
from services.runtime.service import restoration
from services.runtime.service.host import event_signer
from tests.integration.claims.conftest import at, enrol, report
from tests.integration.people.erasures import Person, erasing, live_keys, verified
from tests.support.databases import Databases
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, refused, stack_client, with_nats

SERVICES = (ENROLMENT, ORDERS, CLAIMS, GRADING, BENEFITS)


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEHIND_SECONDS", "SILENT_SECONDS", "ROUND_SECONDS"):
        monkeypatch.setattr(restoration, name, 0.3)
    defaults = Listener.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "repair_seconds", 0.5)


class Copies:
    """The services that hold data of workers, on databases that are copied and restored."""

    def __init__(self, settings: Settings, databases: Databases) -> None:
        self.settings = settings
        self.databases = databases
        self.clock = SetClock(datetime(2025, 7, 16, 1, 0, tzinfo=UTC))
        self.lives = 0

    @asynccontextmanager
    async def serving(self, **urls: str) -> AsyncIterator[StackClient]:
        settings = self.settings.model_copy(update=urls)
        self.lives += 1
        async with stack_client(SERVICES, settings, self.clock) as client:
            # The ids of an earlier life are taken.
            for _ in range(100 * self.lives):
                client.new_id()
            yield client

    async def copy(self, service: str) -> dict[str, str]:
        url = self.settings.database_of(service)
        return {f"{service}_database_url": await self.databases.copy(url)}


@pytest.fixture
async def copies(stack: Settings, databases: Databases, nats_server: NatsServer) -> Copies:
    urls = {
        f"{service.name}_database_url": await databases.fresh(service.name) for service in SERVICES
    }
    settings = with_nats(stack, nats_server, stack.database_url).model_copy(update=urls)
    for producer in service_names():
        event_signer(settings, producer)
    return Copies(settings, databases)


async def worker(client: StackClient) -> Person:
    await client.enrolment("administrator").RegisterPlatform(
        enrolment_pb2.RegisterPlatformRequest(
            request_id=client.new_id(),
            credit_code=SWIFT,
            display_name="Swift",
            industries=[enum_number(2)],
        )
    )
    await client.delivered()
    return Person(f"workers/{await enrol(client, SWIFT, number=81)}", 81)


async def erased_after_a_copy(
    copies: Copies, service: str, *, reports: bool = False
) -> tuple[Person, dict[str, str]]:
    async with copies.serving() as client:
        person = await worker(client)
        if reports:
            await report(client, int(person.worker.partition("/")[2]), at("10:20"))
        await client.delivered()
    before = await copies.copy(service)
    async with copies.serving() as client:
        await client.enrolment("administrator").EraseWorker(erasing(client, person))
        await client.delivered()
        assert await verified(client) == []
    return person, before


async def reconcile(client: StackClient, service: str, until: Any) -> list[str]:
    """What the restored database had lost; it serves again at the end."""
    operations = client.operations(service)
    lost = await operations.GetReconciliation(operations_pb2.GetReconciliationRequest())
    await operations.BeginEpoch(
        operations_pb2.BeginEpochRequest(
            request_id=client.new_id(), digest=lost.digest, reason="disk lost"
        )
    )

    async def current() -> bool:
        delivery = await operations.GetDelivery(operations_pb2.GetDeliveryRequest())
        return not delivery.database_behind

    await until(current)
    return [event.summary or event.subject for event in lost.lost_events]


async def test_enrolment_names_the_erasures_that_it_lost_until_they_are_made_again(
    copies: Copies, until: Any
) -> None:
    person, before = await erased_after_a_copy(copies, "enrolment")
    async with copies.serving(**before) as client:
        stub = client.enrolment("administrator")
        problem = await refused(stub.EraseWorker(erasing(client, person)))
        assert problem.reason == "DATABASE_BEHIND"
        lost = await reconcile(client, "enrolment", until)
        assert f"erasure of {person.worker}: RETENTION_ENDED, 粤社保 2025-17" in lost
        seen = await verified(client)
        assert {"all I12-erasures-claims", "enrolment I6-lost"} <= set(seen)

        await stub.EraseWorker(erasing(client, person))
        await client.delivered()

        assert await verified(client) == []
        rows = await client.rows("claims", "select from inbox where subject like '%WorkerErased'")
        assert len(rows) == 1
        shown = await client.enrolment("adjudicator").GetWorker(
            enrolment_pb2.GetWorkerRequest(name=person.worker)
        )
        assert shown.erased


@pytest.mark.parametrize("reports", [False, True])
async def test_a_holder_destroys_the_key_again_by_itself(
    copies: Copies, until: Any, *, reports: bool
) -> None:
    """It makes its own events of the erasure again; without data of the worker, one of them."""
    person, before = await erased_after_a_copy(copies, "claims", reports=reports)
    async with copies.serving(**before) as client:
        lost = await reconcile(client, "claims", until)
        names = [*(["DataKeyErased"] if reports else []), "WorkerErased"]
        assert lost == [f"oip.claims.v1.{name}" for name in names]

        async def is_erased() -> bool:
            question = "select from erasure where name = :name"
            return bool(await client.rows("claims", question, name=person.worker))

        await until(is_erased)
        await client.delivered()
        assert await live_keys(client, "claims") == 1
        assert await verified(client) == []
