"""A caller that does not wait after a refusal waits for the next one, and the log stays short."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from services.runtime.base.tenant_limits import Limits
from services.runtime.rpc import refused_calls
from services.runtime.rpc.access import Unauthenticated
from services.runtime.rpc.quotas import Tenant, TenantKind, limit_reached
from services.runtime.rpc.refused_calls import (
    HELD_ON_SHARED_MAX,
    Connections,
    RefusedCalls,
)
from services.runtime.rpc.tokens import Token

HOLD_SECONDS = 0.5
AT_ONCE = 10
LIMITS = Limits(held_calls=100, hold_seconds=HOLD_SECONDS)
PEER = "ipv4:127.0.0.1:40000"
SWIFT = Tenant(TenantKind.PLATFORM, "swift")
PEARL = Tenant(TenantKind.PLATFORM, "pearl")
CLAIMS = Tenant(TenantKind.SERVICE, "claims")
TOKEN = Token("issuer", "li", frozenset(), "swift", "", datetime(2025, 7, 1, tzinfo=UTC))


class _AbortedError(Exception):
    pass


class Context:
    """What a refusing handler asks of gRPC."""

    def __init__(self, peer: str = PEER, left: float | None = 30.0) -> None:
        self._peer = peer
        self._left = left
        self.code: grpc.StatusCode | None = None

    def peer(self) -> str:
        return self._peer

    def time_remaining(self) -> float | None:
        return self._left

    async def abort(self, code: grpc.StatusCode, _details: str, _trailing: Any) -> None:
        self.code = code
        raise _AbortedError


class Refused:
    """Calls that are refused, and how long each took."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.connections = Connections()
        self.calls = RefusedCalls("orders", limits, self.connections)

    async def call(self, tenant: Tenant | None = SWIFT, context: Context | None = None) -> float:
        begin = time.monotonic()
        if tenant is None:
            handler = self.calls.refuse(Unauthenticated.no_token(), "/a/B")
        else:
            handler = self.calls.refuse(limit_reached("rate", 50), "/a/B", TOKEN, tenant)
        refuse: Any = handler
        with pytest.raises(_AbortedError):
            await refuse.stream_stream(None, context or Context())
        return time.monotonic() - begin

    async def calls_at_once(self, count: int, **options: Any) -> list[float]:
        return await asyncio.gather(*(self.call(**options) for _ in range(count)))


@pytest.fixture
async def refused(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Refused]:
    monkeypatch.setattr(refused_calls, "AT_ONCE_MAX", AT_ONCE)
    # The pace alone would let the next one go after hours.
    monkeypatch.setattr(refused_calls, "AT_ONCE_PER_SECOND", 0.001)
    prepared = Refused()
    yield prepared
    prepared.calls.close()


def held(seconds: list[float]) -> int:
    return sum(each > HOLD_SECONDS / 2 for each in seconds)


async def test_the_first_refusals_of_a_caller_come_at_once_and_the_next_ones_late(
    refused: Refused,
) -> None:
    seconds = await refused.calls_at_once(AT_ONCE + 5)

    assert held(seconds) == 5
    assert max(seconds) < 2 * HOLD_SECONDS
    # Another one is not held for it.
    assert held(await refused.calls_at_once(5, tenant=PEARL)) == 0


async def test_refusals_come_at_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused_calls, "AT_ONCE_MAX", 1)
    monkeypatch.setattr(refused_calls, "AT_ONCE_PER_SECOND", 20)
    paced = Refused(Limits(hold_seconds=10))

    seconds = sorted(await paced.calls_at_once(9))

    assert seconds[0] < 0.05
    assert 0.35 < seconds[-1] < 0.8
    paced.calls.close()


async def test_a_caller_without_a_token_is_held_by_its_address(refused: Refused) -> None:
    seconds = await refused.calls_at_once(AT_ONCE + 3, tenant=None)
    elsewhere = await refused.call(None, Context("ipv4:192.0.2.1:40000"))

    assert held(seconds) == 3
    assert held([elsewhere]) == 0


async def test_a_service_is_not_held(refused: Refused) -> None:
    assert held(await refused.calls_at_once(AT_ONCE + 5, tenant=CLAIMS)) == 0


async def test_a_held_call_is_refused_before_its_deadline(refused: Refused) -> None:
    await refused.calls_at_once(AT_ONCE)

    context = Context(left=0.2)
    assert 0.1 < await refused.call(context=context) < 0.2
    assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_so_many_calls_are_held_and_no_more(refused: Refused) -> None:
    seconds = await refused.calls_at_once(AT_ONCE + LIMITS.held_calls + 40)

    assert held(seconds) == LIMITS.held_calls


async def test_few_calls_are_held_on_a_connection_that_others_use_too(refused: Refused) -> None:
    refused.connections.note(PEER, SWIFT)
    assert not refused.connections.is_shared(PEER)
    refused.connections.note(PEER, PEARL)

    assert held(await refused.calls_at_once(AT_ONCE + 60)) == HELD_ON_SHARED_MAX


async def test_a_server_that_stops_holds_nothing(refused: Refused) -> None:
    await refused.calls_at_once(AT_ONCE)
    waiting = asyncio.gather(refused.call(), refused.call())
    await asyncio.sleep(0.01)

    refused.calls.close()

    assert held(list(await waiting)) == 0
    assert held([await refused.call()]) == 0


async def test_each_refusal_is_counted_with_subject_and_peer_in_one_line_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refused_calls, "LINE_SECONDS", 0.1)
    many = Refused(Limits(held_calls=0))
    with capture_logs() as lines:
        await many.calls_at_once(300)
        await many.call(None)
        await asyncio.sleep(0.25)
        await many.calls_at_once(7)
        many.calls.close()

    ours = [line for line in lines if line["event"] == "limit_reached"]
    assert [line["count"] for line in ours] == [1, 299, 1, 6]
    assert {(line["subject"], line["issuer"], line["peer"]) for line in ours} == {
        ("li", "issuer", "ipv4:127.0.0.1")
    }
    (stranger,) = (line for line in lines if line["event"] == "access_refused")
    assert (stranger["subject"], stranger["peer"], stranger["count"]) == ("", "ipv4:127.0.0.1", 1)
