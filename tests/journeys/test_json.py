"""The gateway before a whole province.

The month of the demo is lived through JSON alone: no call of a person or a platform is gRPC. Then
every unary RPC is called over gRPC and as JSON with the same requests, which come from the
descriptors. What a method would change is rolled back, so that both calls meet the same rows.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar, cast

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.demo import money
from services.demo.actors import Actors
from services.demo.second_persons import _SigningChannel
from services.demo.staff import platform_account
from services.demo.summary import pages
from services.runtime.rpc.access import caller
from services.runtime.service import requests, signatures
from tests.contract.test_access import METHODS, services_with
from tests.journeys.conftest import SimulatedMonth, nothing
from tests.journeys.test_odd_input import PLATFORM, WALKER, NotKept, Walker, names_in
from tests.support.both_ways import BothWays
from tests.support.gateway import JsonChannels, gateway
from tests.support.http_client import HttpClient
from tests.support.odd_values import filled, walk
from tests.support.staff import all_grants, staff_entry, store_entries

Stub = TypeVar("Stub")

UNARY = [each for each in METHODS if not (each.client_streaming or each.server_streaming)]
ODD_PER_METHOD = 6
AT_ONCE = 8
BODY_BYTES = 3 * 1024 * 1024


class JsonActors(Actors):
    """The persons of the month, whose calls go through the gateway."""

    def __init__(self, others: Actors, client: HttpClient) -> None:
        vars(self).update(vars(others))
        self._client = client
        self.call_count = 0

    def at(
        self,
        stub: Callable[[grpc.aio.Channel], Stub],
        service: str,
        role: str,
        *,
        person: str = "",
        platform: str = "",
        worker: str = "",
    ) -> Stub:
        self.call_count += 1
        subject = person or (platform_account(platform) if platform else f"{role}-1")
        token = self._issuer.source(subject, [role], platform, person=worker)
        channel: Any = JsonChannels(self._client, token).channel(service)
        return stub(cast("grpc.aio.Channel", _SigningChannel(channel, service, self._sign)))


@pytest.fixture(scope="module")
async def by_json(simulated: SimulatedMonth) -> AsyncIterator[SimulatedMonth]:
    running = simulated.stack
    async with gateway(running.settings, running.addresses) as client:
        actors = JsonActors(simulated.actors, client)
        yield SimulatedMonth(running, actors, simulated.plan, {}, set())


@pytest.fixture(scope="module")
async def walker(by_json: SimulatedMonth) -> AsyncIterator[Walker]:
    """A person with every role, after the month."""
    running = by_json.stack
    url = running.settings.database_url
    entry = staff_entry(WALKER, all_grants((PLATFORM.credit_code,)))
    await store_entries(url, running.contexts, [entry])
    walker = Walker(by_json, await names_in(url))
    yield walker
    await walker.close()


async def test_a_month_is_lived_through_json_alone(by_json: SimulatedMonth) -> None:
    plan, actors = by_json.plan, by_json.actors
    await by_json.enrol_and_send()
    filed = await by_json.claim()
    await by_json.grade_and_pay(filed)
    await by_json.bill()
    await money.disburse(actors, nothing)
    await money.settle(actors, plan.month, nothing)
    await by_json.stack.wait_until_delivered()

    await by_json.verify()
    fund = actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    periods = await fund.ListSettlementPeriods(fund_pb2.ListSettlementPeriodsRequest())
    july = [each for each in periods.settlement_periods if "2025-07" in each.name]
    assert [each.state for each in july] == [fund_pb2.SettlementPeriod.CLOSED]
    orders = actors.at(orders_pb2_grpc.OrderServiceStub, "orders", "fund_officer")
    received = 0
    for company in plan.companies:
        request = orders_pb2.ListOrderBatchesRequest(platform=company.name)
        batches = await pages(orders.ListOrderBatches, request, "order_batches")
        received += sum(batch.received_count for batch in batches)
    assert received == plan.rows.num_rows
    assert len(filed) == len(by_json.accidents())


def sent(walker: Walker, method: MethodDescriptor) -> Iterator[tuple[str, Message]]:
    """What is odd about a request, and the request; only what JSON can say."""
    fill = walker.fill(method)
    yield "usual", filled(method.input_type, fill, "")
    odd = list(walk(method, fill))
    for each in itertools.islice(odd, 0, None, max(1, len(odd) // ODD_PER_METHOD)):
        try:
            size = len(json_format.MessageToJson(each.request))
        except (ValueError, OverflowError, json_format.Error):
            continue
        if size < BODY_BYTES:
            yield str(each), each.request


async def test_every_call_has_the_same_answer_both_ways(
    by_json: SimulatedMonth, walker: Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def not_kept(_place: str) -> None:
        if not caller().is_service:
            raise NotKept

    monkeypatch.setattr(requests, "failpoint", not_kept)
    monkeypatch.setattr(signatures, "failpoint", not_kept)
    waiting = (
        (service, method, odd, request)
        for method in UNARY
        for odd, request in sent(walker, method)
        for service in services_with(method)
    )
    different, outcomes, called = list[str](), Counter[str](), set[str]()
    running = by_json.stack
    async with gateway(running.settings, running.addresses) as client:
        ways = BothWays(client, running.addresses, walker._token)

        async def work() -> None:
            for service, method, odd, request in waiting:
                pair = await ways.send(service, method, request)
                is_refusal = isinstance(pair.json, status_pb2.Status)
                outcomes["refused" if is_refusal else "answered"] += 1
                called.add(method.full_name)
                if not pair.agrees:
                    different.append(f"{service} {odd} {method.name}: {pair.grpc} {pair.json}")

        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        await ways.close()

    assert not different, f"{len(different)} of {outcomes.total()}:\n" + "\n".join(different[:10])
    assert called == {method.full_name for method in UNARY}
    assert min(outcomes["answered"], outcomes["refused"]) > 200, outcomes
