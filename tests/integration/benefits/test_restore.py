"""Benefits restored to a copy from before a month's run: nothing of the month is paid twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.benefits.v1 import benefits_pb2 as pb
from oip.grading.v1 import grading_pb2
from oip.operations.v1 import operations_pb2

from services.benefits.__main__ import SERVICE as BENEFITS
from services.fund.__main__ import SERVICE as FUND
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings, service_names
from services.runtime.embedded import NatsServer
from services.runtime.events.listener import Listener
from services.runtime.rpc.wire import month_to_wire
from services.runtime.service import restoration
from services.runtime.service.host import event_signer
from tests.integration.benefits.builders import (
    concluded,
    consume,
    determined,
    instructions,
    run_payments,
)
from tests.support.databases import Databases
from tests.support.stack_client import StackClient, refused, stack_client, with_nats

AUGUST = Month(2025, 8)
PAID = 7_989_740


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BEHIND_SECONDS", "SILENT_SECONDS", "ROUND_SECONDS"):
        monkeypatch.setattr(restoration, name, 0.3)
    defaults = Listener.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "repair_seconds", 0.5)


class Copies:
    """Benefits and fund on databases that are copied and restored."""

    def __init__(self, settings: Settings, databases: Databases, clock: SetClock) -> None:
        self.settings = settings
        self.databases = databases
        self.clock = clock

    @asynccontextmanager
    async def serving(self, **urls: str) -> AsyncIterator[StackClient]:
        settings = self.settings.model_copy(update=urls)
        async with stack_client([BENEFITS, FUND], settings, self.clock) as client:
            yield client

    async def copy(self, *services: str) -> dict[str, str]:
        return {
            f"{name}_database_url": await self.databases.copy(self.settings.database_of(name))
            for name in services
        }


@pytest.fixture
async def copies(
    stack: Settings, databases: Databases, nats_server: NatsServer, clock: SetClock
) -> Copies:
    settings = with_nats(stack, nats_server, "").model_copy(
        update={
            "benefits_database_url": await databases.fresh("benefits"),
            "fund_database_url": await databases.fresh("fund"),
            "database_url": stack.database_url,
        }
    )
    # Without the keys of all producers the services are not ready.
    for producer in service_names():
        event_signer(settings, producer)
    return Copies(settings, databases, clock)


async def paid_after_a_copy(copies: Copies, *services: str) -> dict[str, str]:
    """Run a month and stop; the copies of the databases from before the run."""
    async with copies.serving() as client:
        await consume(client, determined(), concluded(3, grading_pb2.PARTIAL))
        await client.delivered()
    before = await copies.copy(*services)
    async with copies.serving() as client:
        assert (await run_payments(client, AUGUST)).sum_fen == PAID
        await client.delivered()
        assert await booked(client) == PAID
    return before


async def booked(client: StackClient) -> int:
    """What the fund has booked as benefits, in fen."""
    (row,) = await client.rows(
        "fund", "select coalesce(sum(amount_fen), 0) as fen from posting where account = 6"
    )
    return int(row.fen)


async def sums(client: StackClient, service: str) -> list[Any]:
    """What a service says of the sums instructed and booked."""
    return [row for row in await figures(client, service) if row[0] == "I15-instructed"]


async def figures(client: StackClient, service: str) -> list[tuple[str, str, int, str]]:
    answer = await client.operations(service).ListFigures(
        operations_pb2.ListFiguresRequest(first_month=month_to_wire(Month(2025, 1)))
    )
    return [(row.check, row.key, row.count, row.sum) for row in answer.figures]


async def reconcile(client: StackClient, until: Any) -> operations_pb2.Reconciliation:
    """Read the reconciliation of benefits, begin an epoch with it, wait until it serves."""
    operations = client.operations("benefits")
    found = await operations.GetReconciliation(operations_pb2.GetReconciliationRequest())
    await operations.BeginEpoch(
        operations_pb2.BeginEpochRequest(
            request_id=client.new_id(), digest=found.digest, reason="disk lost"
        )
    )

    async def current() -> bool:
        delivery = await operations.GetDelivery(operations_pb2.GetDeliveryRequest())
        return not delivery.database_behind

    await until(current)
    return found


async def test_a_restored_service_refuses_changes_and_answers_questions(
    copies: Copies, until: Any
) -> None:
    before = await paid_after_a_copy(copies, "benefits")
    async with copies.serving(**before) as client:
        problem = await refused(run_payments(client, AUGUST))
        assert (problem.code, problem.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "DATABASE_BEHIND",
        )
        assert "oip restore" in problem.sentence_zh
        assert await instructions(client) == []

        # Probes keep the process; callers go elsewhere, and `oip health` says why.
        async def published() -> bool:
            return await states(client) == {
                "readiness": True,
                "delivery": False,
                "oip.benefits.v1.BenefitService": False,
            }

        await until(published)
        health = await client.operations("benefits").GetHealth(operations_pb2.GetHealthRequest())
        assert "DATABASE_BEHIND" in {fault.code for fault in health.faults}


async def states(client: StackClient) -> dict[str, bool]:
    """What the health service publishes of benefits."""
    address = client.stack.contexts["benefits"].health_address()
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answers = {
            name: await stub.Check(health_pb2.HealthCheckRequest(service=name))
            for name in ("readiness", "delivery", "oip.benefits.v1.BenefitService")
        }
    serving = health_pb2.HealthCheckResponse.SERVING
    return {name: answer.status == serving for name, answer in answers.items()}


async def test_a_month_run_again_after_a_restore_is_paid_once(copies: Copies, until: Any) -> None:
    before = await paid_after_a_copy(copies, "benefits")
    async with copies.serving(**before) as client:
        found = await reconcile(client, until)
        blocking = [event.summary for event in found.lost_events if event.blocks]
        assert [summary for summary in blocking if "paymentRuns/2025-08" in summary] != []
        # The service may have ended July after the copy; it does that by itself.
        others = [summary for summary in blocking if "paymentRuns/2025-08" not in summary]
        assert set(others) <= {"end of 2025-07"}

        again = await run_payments(client, AUGUST, "once-more")
        await client.delivered()

        assert again.sum_fen == PAID
        assert await booked(client) == PAID
        assert await sums(client, "fund") == await sums(client, "benefits")
        assert await client.broken("benefits") == []


async def test_a_month_that_comes_out_otherwise_after_a_restore_is_refused(
    copies: Copies, until: Any
) -> None:
    before = await paid_after_a_copy(copies, "benefits")
    async with copies.serving(**before) as client:
        found = await reconcile(client, until)
        await consume(client, determined("claims/c2"), concluded(9, claim="claims/c2"))

        problem = await refused(run_payments(client, AUGUST))
        assert problem.reason == "LOST_EVENTS_OPEN"
        client.clock.set(client.clock.now().replace(month=9))
        later = await refused(run_payments(client, Month(2025, 9)))
        assert later.reason == "LOST_EVENTS_OPEN"
        names = [event.name for event in found.lost_events if event.blocks]
        kept = await refused(
            client.operations("benefits").ResolveLostEvents(
                operations_pb2.ResolveLostEventsRequest(
                    request_id=client.new_id(),
                    names=names,
                    resolution=operations_pb2.LostEvent.KEPT,
                    reason="paid",
                )
            )
        )
        assert kept.reason == "LOST_EVENT_MUST_BE_REDONE"
        await client.delivered()
        assert await booked(client) == PAID


async def test_a_restore_of_benefits_and_fund_books_the_lost_month_once(
    copies: Copies, until: Any
) -> None:
    before = await paid_after_a_copy(copies, "benefits", "fund")
    async with copies.serving(**before) as client:
        assert await booked(client) == 0
        assert (await refused(run_payments(client, AUGUST))).reason == "DATABASE_BEHIND"
        await reconcile(client, until)

        async def booked_again() -> bool:
            return await booked(client) == PAID

        await until(booked_again, 20)
        await run_payments(client, AUGUST)
        await client.delivered()
        assert await booked(client) == PAID
        assert await client.broken("fund") == []
        assert isinstance(await run_payments(client, AUGUST, "third"), pb.PaymentRun)
        assert await booked(client) == PAID
