"""The premium service as its callers and its producers see it: requests and events."""

from __future__ import annotations

from datetime import date

from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.orders.v1 import events_pb2 as order_events
from oip.orders.v1 import orders_pb2
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from oip.type.v1 import type_pb2

from services.runtime.rpc.wire import date_to_wire, enum_number
from tests.support.stack_client import StackClient

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
RIDES = type_pb2.RIDE_HAILING
DELIVERY = type_pb2.INSTANT_DELIVERY
FREIGHT = type_pb2.SAME_CITY_FREIGHT
Row = premiums_pb2.DeclarePremiumRequest.Row


def officer(client: StackClient) -> premiums_pb2_grpc.PremiumServiceAsyncStub:
    return client.premiums("fund_officer")


def platform_stub(client: StackClient, platform: str) -> premiums_pb2_grpc.PremiumServiceAsyncStub:
    return client.premiums("platform", platform=platform)


def an_order_batch(
    order_batch: str, platform: str, *tallies: tuple[str, int, date, int]
) -> order_events.OrderBatchRecorded:
    """A batch with tallies: pooling area, industry, service date, count."""
    return order_events.OrderBatchRecorded(
        order_batch=order_batch,
        platform=f"platforms/{platform}",
        tallies=[
            orders_pb2.OrderTally(
                platform=f"platforms/{platform}",
                pooling_area=area,
                industry=enum_number(industry),
                service_date=date_to_wire(day),
                order_count=count,
            )
            for area, industry, day, count in tallies
        ],
    )


async def count_orders(
    client: StackClient,
    platform: str,
    *tallies: tuple[str, int, date, int],
    batch: str = "",
) -> None:
    """A batch was recorded: pooling area, industry, service date, count."""
    name = batch or f"platforms/{platform}/orderBatches/{client.new_id()}"
    await client.consume("premiums", an_order_batch(name, platform, *tallies))


async def register(client: StackClient, platform: str, revision: int, *industries: int) -> None:
    event = enrolment_events.PlatformRegistered(
        platform=f"platforms/{platform}",
        revision=revision,
        industries=[enum_number(industry) for industry in industries],
    )
    await client.consume("premiums", event)


async def assess(client: StackClient, year: int, month: int) -> premiums_pb2.PremiumAssessment:
    return await officer(client).AssessPremiums(
        premiums_pb2.AssessPremiumsRequest(
            request_id=f"assess-{year}-{month}", month=type_pb2.Month(year=year, month=month)
        )
    )


async def assign_band(
    client: StackClient, platform: str, band: str, since: date
) -> premiums_pb2.PremiumTerm:
    return await officer(client).AssignExperienceBand(
        premiums_pb2.AssignExperienceBandRequest(
            request_id=client.new_id(),
            platform=f"platforms/{platform}",
            since_date=date_to_wire(since),
            band=band,
            reason="notice",
        )
    )


async def get_bill(client: StackClient, platform: str, month: str) -> premiums_pb2.PremiumBill:
    return await officer(client).GetPremiumBill(
        premiums_pb2.GetPremiumBillRequest(name=f"platforms/{platform}/premiumBills/{month}")
    )


async def receive(
    client: StackClient,
    platform: str,
    month: str,
    day: date,
    fen: int,
    *,
    reference: str,
    occurrence: int = 0,
) -> premiums_pb2.PremiumReceipt:
    return await officer(client).RecordPremiumReceipt(
        premiums_pb2.RecordPremiumReceiptRequest(
            request_id=client.new_id(),
            bill=f"platforms/{platform}/premiumBills/{month}",
            receipt_date=date_to_wire(day),
            amount_fen=fen,
            bank_reference=reference,
            receiving_account="6222 0001",
            occurrence=occurrence,
        )
    )


async def get_standing(
    client: StackClient, platform: str, month: str, day: date
) -> premiums_pb2.PremiumStanding:
    return await officer(client).GetPremiumStanding(
        premiums_pb2.GetPremiumStandingRequest(
            bill=f"platforms/{platform}/premiumBills/{month}", on_date=date_to_wire(day)
        )
    )


async def july_of_swift(client: StackClient) -> None:
    """A July of rides in Guangzhou that costs 34,567.89 yuan."""
    await count_orders(
        client,
        SWIFT,
        ("440100", RIDES, date(2025, 7, 1), 1_000_000),
        ("440100", RIDES, date(2025, 7, 31), 2_456_789),
    )
