"""The fund alone on real servers; tests send it the events of premiums and benefits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from google.type import date_pb2
from oip.benefits.v1 import benefits_pb2
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.fund.v1 import fund_pb2 as pb
from oip.fund.v1 import fund_pb2_grpc
from oip.premiums.v1 import events_pb2 as premium_events
from oip.type.v1 import type_pb2

from services.fund import clients
from services.fund.__main__ import SERVICE
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.support.databases import Databases
from tests.support.producers import producers_of
from tests.support.stack_client import StackClient, stack_client, with_nats

SWIFT = "91110108MA01ABCD2H"
A, B, C = "440100", "440600", "441900"
JUNE, JULY, AUGUST = Month(2025, 6), Month(2025, 7), Month(2025, 8)
RIDE, DELIVERY, FREIGHT = (
    type_pb2.RIDE_HAILING,
    type_pb2.INSTANT_DELIVERY,
    type_pb2.SAME_CITY_FREIGHT,
)
Line = premium_events.PremiumAssessed.Line

# The published example E7: orders in millions and spending in yuan; delivery, rides, freight.
E7_ORDERS = {A: (40, 20, 1), B: (25, 30, 2), C: (6, 3, 1.5)}
E7_BASES_FEN = (7, 1, 18)
E7_SPENDING = {
    A: ("2200000", "120000", "100000"),
    B: ("1500000", "210000", "260000"),
    C: ("780000", "60000", "500000"),
}
E7_OPENING = {A: "500000", B: "200000", C: "100000"}
E7_INDUSTRIES = (DELIVERY, RIDE, FREIGHT)


def fen(yuan: str) -> int:
    return Fen.of_yuan(yuan.replace(",", "")).count


def month_message(month: Month) -> type_pb2.Month:
    return type_pb2.Month(year=month.year, month=month.month)


def day_message(day: date) -> date_pb2.Date:
    return date_pb2.Date(year=day.year, month=day.month, day=day.day)


def assessed(
    month: Month, *lines: tuple[str, Any, int, int], platform: str = SWIFT
) -> premium_events.PremiumAssessed:
    """A bill; lines are pooling area, industry, orders, fen."""
    return premium_events.PremiumAssessed(
        bill=f"platforms/{platform}/premiumBills/{month}",
        platform=f"platforms/{platform}",
        month=month_message(month),
        due_date=day_message(date(2025, 9, 15)),
        revision=1,
        lines=[
            Line(pooling_area=area, industry=industry, order_count=count, premium_fen=amount)
            for area, industry, count, amount in lines
        ],
        accounting_month=month_message(month),
    )


def instructed(
    month: Month, area: str, industry: Any, amount: int, addition: int = 1
) -> benefit_events.PaymentInstructed:
    return benefit_events.PaymentInstructed(
        payment_run=f"paymentRuns/{month}",
        revision=addition,
        month=month_message(month),
        part=benefits_pb2.PaymentRun.Part(
            pooling_area=area,
            industry=industry,
            kind=benefits_pb2.DISABILITY_GRANT,
            payment_count=1,
            sum_fen=amount,
        ),
        accounting_month=month_message(month),
    )


def received(
    receipt: str, day: date, *parts: tuple[str, int, int, int]
) -> premium_events.PremiumReceived:
    return premium_events.PremiumReceived(
        receipt=f"premiumReceipts/{receipt}",
        platform=f"platforms/{SWIFT}",
        month=month_message(JULY),
        receipt_date=day_message(day),
        parts=[
            premium_events.PremiumReceived.Part(
                pooling_area=area, premium_fen=premium, surcharge_fen=surcharge, credit_fen=credit
            )
            for area, premium, surcharge, credit in parts
        ],
        accounting_month=month_message(Month.of(day)),
    )


def officer(
    client: StackClient, subject: str = "officer-li", *roles: str
) -> fund_pb2_grpc.FundServiceAsyncStub:
    return client.fund(*(roles or ("fund_officer",)), subject=subject)


def approver(
    client: StackClient, subject: str = "approver-wu"
) -> fund_pb2_grpc.FundServiceAsyncStub:
    return client.fund("fund_approver", subject=subject)


async def consume_e7(client: StackClient) -> None:
    """The openings of E7 as June's premiums, June closed, and July as E7 has it."""
    openings = ((area, DELIVERY, 1, fen(E7_OPENING[area])) for area in (A, B, C))
    await client.consume("fund", assessed(JUNE, *openings))
    await close_month(client, JUNE)
    lines = [
        (area, industry, int(millions * 1_000_000), int(millions * 1_000_000) * base)
        for area in (A, B, C)
        for industry, millions, base in zip(
            E7_INDUSTRIES, E7_ORDERS[area], E7_BASES_FEN, strict=True
        )
    ]
    await client.consume("fund", assessed(JULY, *lines))
    for area in (A, B, C):
        for industry, yuan in zip(E7_INDUSTRIES, E7_SPENDING[area], strict=True):
            await client.consume("fund", instructed(JULY, area, industry, fen(yuan)))


async def trial(client: StackClient, month: Month) -> pb.SettlementPeriod:
    request = pb.TrialSettlementRequest(month=month_message(month))
    return await officer(client).TrialSettlement(request)


async def propose(client: StackClient, month: Month, request_id: str = "") -> pb.SettlementPeriod:
    """Propose a month that its producers have ended."""
    await producers_of(client).end_month(month)
    return await officer(client).ProposeSettlement(
        pb.ProposeSettlementRequest(
            request_id=request_id or f"propose-{month}", month=month_message(month)
        )
    )


async def approve(
    client: StackClient, month: Month, digest: bytes, request_id: str = ""
) -> pb.SettlementPeriod:
    return await approver(client).ApproveSettlement(
        pb.ApproveSettlementRequest(
            request_id=request_id or f"approve-{month}",
            month=month_message(month),
            hash=digest,
        )
    )


async def close(client: StackClient, month: Month, request_id: str = "") -> pb.SettlementPeriod:
    return await officer(client).CloseSettlement(
        pb.CloseSettlementRequest(
            request_id=request_id or f"close-{month}", month=month_message(month)
        )
    )


async def close_month(client: StackClient, month: Month) -> pb.SettlementPeriod:
    """Propose, approve and close."""
    proposed = await propose(client, month)
    await approve(client, month, proposed.hash)
    return await close(client, month)


@pytest.fixture
def clock() -> SetClock:
    """Mid-September 2025: June to August have ended."""
    return SetClock(datetime(2025, 9, 15, 1, 0, tzinfo=UTC))


@pytest.fixture
async def client(
    stack: Settings,
    databases: Databases,
    nats_server: NatsServer,
    clock: SetClock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[StackClient]:
    """The fund with a database and a nats-server of the test."""
    settings = with_nats(stack, nats_server, await databases.fresh("fund"))
    async with stack_client([SERVICE], settings, clock) as started:
        monkeypatch.setattr(clients, "deliveries", producers_of(started).deliveries)
        yield started
