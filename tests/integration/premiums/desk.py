"""The premium service as its callers and its producers see it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.orders.v1 import events_pb2 as order_events
from oip.orders.v1 import orders_pb2
from oip.premiums.v1 import events_pb2, premiums_pb2, premiums_pb2_grpc
from oip.type.v1 import type_pb2

from services.premiums import consumers
from services.premiums.__main__ import verify
from services.runtime.base.clock import SetClock
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of
from services.runtime.rpc.wire import date_to_wire, enum_number
from services.runtime.service.stack import Stack

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
RIDES = type_pb2.RIDE_HAILING
DELIVERY = type_pb2.INSTANT_DELIVERY
FREIGHT = type_pb2.SAME_CITY_FREIGHT
Row = premiums_pb2.DeclarePremiumRequest.Row
EVENTS = {
    message.DESCRIPTOR.full_name: message
    for message in (events_pb2.PremiumAssessed, events_pb2.PremiumReceived)
}


@dataclass
class Premiums:
    """The running service with whoever calls it."""

    running: Stack
    clock: SetClock
    opened: list[Channels] = field(default_factory=list)
    request_count: int = 0

    def at(self, *roles: str, platform: str = "") -> premiums_pb2_grpc.PremiumServiceAsyncStub:
        channels = self.running.channels("test", *roles, platform=platform)
        self.opened.append(channels)
        return channels.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")

    @property
    def officer(self) -> premiums_pb2_grpc.PremiumServiceAsyncStub:
        return self.at("fund_officer")

    def fresh_id(self) -> str:
        self.request_count += 1
        return f"request-{self.request_count}"

    def set_day(self, day: date) -> None:
        self.clock.set(datetime(day.year, day.month, day.day, 4, tzinfo=UTC))

    async def count_orders(
        self,
        platform: str,
        *tallies: tuple[str, int, date, int],
        batch: str = "",
    ) -> None:
        """A batch came in: pooling area, industry, service date, count."""
        event = order_events.OrderBatchRecorded(
            order_batch=batch or f"platforms/{platform}/orderBatches/{self.fresh_id()}",
            platform=platform,
            tallies=[
                orders_pb2.OrderTally(
                    platform=platform,
                    pooling_area=area,
                    industry=enum_number(industry),
                    service_date=date_to_wire(day),
                    order_count=count,
                )
                for area, industry, day, count in tallies
            ],
        )
        async with self.running.contexts["premiums"].database.begin() as tx:
            await consumers.order_batch_recorded(tx, event, self.clock.now())

    async def register(self, platform: str, revision: int, *industries: int) -> None:
        event = enrolment_events.PlatformRegistered(
            platform=platform, revision=revision, industries=[enum_number(i) for i in industries]
        )
        async with self.running.contexts["premiums"].database.begin() as tx:
            await consumers.platform_registered(tx, event, self.clock.now())

    async def find_gap(self, event: order_events.OrderGapFound) -> None:
        async with self.running.contexts["premiums"].database.begin() as tx:
            await consumers.order_gap_found(tx, event, self.clock.now())

    async def assess(self, year: int, month: int) -> premiums_pb2.PremiumAssessment:
        return await self.officer.AssessPremiums(
            premiums_pb2.AssessPremiumsRequest(
                request_id=f"assess-{year}-{month}", month=type_pb2.Month(year=year, month=month)
            )
        )

    async def assign_band(self, platform: str, band: str, since: date) -> premiums_pb2.PremiumTerm:
        return await self.officer.AssignExperienceBand(
            premiums_pb2.AssignExperienceBandRequest(
                request_id=self.fresh_id(),
                platform=f"platforms/{platform}",
                since_date=date_to_wire(since),
                band=band,
                reason="notice",
            )
        )

    async def bill(self, platform: str, month: str) -> premiums_pb2.PremiumBill:
        return await self.officer.GetPremiumBill(
            premiums_pb2.GetPremiumBillRequest(name=f"platforms/{platform}/premiumBills/{month}")
        )

    async def receive(
        self, platform: str, month: str, day: date, fen: int, reference: str
    ) -> premiums_pb2.PremiumReceipt:
        return await self.officer.RecordPremiumReceipt(
            premiums_pb2.RecordPremiumReceiptRequest(
                request_id=self.fresh_id(),
                bill=f"platforms/{platform}/premiumBills/{month}",
                receipt_date=date_to_wire(day),
                amount_fen=fen,
                bank_reference=reference,
            )
        )

    async def standing(self, platform: str, month: str, day: date) -> premiums_pb2.PremiumStanding:
        return await self.officer.GetPremiumStanding(
            premiums_pb2.GetPremiumStandingRequest(
                bill=f"platforms/{platform}/premiumBills/{month}", on_date=date_to_wire(day)
            )
        )

    async def told(self) -> list[events_pb2.PremiumAssessed | events_pb2.PremiumReceived]:
        """All events told so far."""
        async with self.running.contexts["premiums"].database.begin() as tx:
            rows = await tx.execute(sa.text("select subject, payload from outbox order by id"))
            return [EVENTS[row.subject].FromString(row.payload) for row in rows]

    async def broken(self) -> list[str]:
        """Invariants that do not hold."""
        async with self.running.contexts["premiums"].database.begin() as tx:
            return [check.text for check in await verify(tx) if not check.holds]


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    """The problem that a call is refused with."""
    with pytest.raises(grpc.RpcError) as caught:
        await call
    problem = problem_of(caught.value)
    assert problem is not None
    return problem


async def july_of_swift(premiums: Premiums) -> None:
    """A July of rides in Guangzhou that costs 34,567.89 yuan."""
    await premiums.count_orders(
        SWIFT,
        ("440100", RIDES, date(2025, 7, 1), 1_000_000),
        ("440100", RIDES, date(2025, 7, 31), 2_456_789),
    )
