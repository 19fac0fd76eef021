"""Orders of a platform that is not registered are refused before anything is stored."""

from __future__ import annotations

import asyncio

import grpc
from google.type import date_pb2
from oip.enrolment.v1 import events_pb2
from oip.orders.v1 import orders_pb2 as pb

from services.orders.commands.registrations import on_platform_registered
from tests.support.stack_client import StackClient, refused
from tests.support.uploads import as_rows, enrol, execute, row, upload_one, upload_refused

# A typing error with a valid check character.
MISTYPED = "91350100M000100W41"
TABLES = (
    "orders",
    "order_batch",
    "order_rejection",
    "order_log",
    "checkpoint",
    "order_totals",
    "outbox",
    "audit",
)


async def row_counts(client: StackClient) -> list[int]:
    counts = [await execute(client, f"select count(*) from orders.{name}") for name in TABLES]
    return [count for ((count,),) in counts]


async def registered(client: StackClient, platform: str) -> None:
    """PlatformRegistered is consumed."""
    context = client.context("orders")
    event = events_pb2.PlatformRegistered(platform=f"platforms/{platform}", revision=1)
    async with context.database.begin() as tx:
        await on_platform_registered(tx, event, context.command("enrolment"))


async def test_orders_of_an_unregistered_platform_leave_nothing(client: StackClient) -> None:
    before = await row_counts(client)

    batch = as_rows("b1", [row("a")], MISTYPED)
    code, reason, sentence = await upload_refused(client, batch, MISTYPED)
    day = date_pb2.Date(year=2025, month=7, day=10)
    declaration = pb.DeclareOrderTotalsRequest(
        request_id="d1", platform=f"platforms/{MISTYPED}", service_date=day
    )
    stub = client.orders("platform", platform=MISTYPED)
    problem = await refused(stub.DeclareOrderTotals(declaration))

    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PLATFORM_NOT_REGISTERED")
    assert problem.reason == reason
    assert f"platforms/{MISTYPED}" in sentence
    assert "check the credit code" in sentence
    assert await row_counts(client) == before


async def test_a_registration_that_comes_a_moment_later_is_awaited(
    new_client: StackClient,
) -> None:
    await enrol(new_client, 1)
    batch = as_rows("b1", [row("a", worker=9)], MISTYPED)
    sending = asyncio.create_task(upload_one(new_client, batch, MISTYPED))
    await asyncio.sleep(0.3)
    await registered(new_client, MISTYPED)

    assert (await sending).rejected_count == 1


async def test_a_platform_that_was_refused_may_send_once_it_is_registered(
    client: StackClient,
) -> None:
    batch = as_rows("b1", [row("a")], MISTYPED)
    await upload_refused(client, batch, MISTYPED)
    await registered(client, MISTYPED)
    await enrol(client, 1, platform=MISTYPED)

    assert (await upload_one(client, batch, MISTYPED)).created_count == 1
