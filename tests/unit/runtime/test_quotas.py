"""What a tenant may have under way, whatever the others do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from oip.type.v1 import type_pb2

from services.runtime.base.tenant_limits import Limits, TenantLimits
from services.runtime.rpc.error_status import status_of
from services.runtime.rpc.quotas import (
    BURST_SECONDS,
    LimitReached,
    Quotas,
    Tenant,
    TenantKind,
    tenant_of,
)
from services.runtime.rpc.tokens import Token

A, B = Tenant(TenantKind.PLATFORM, "a"), Tenant(TenantKind.PLATFORM, "b")
WANG = Tenant(TenantKind.STAFF, "wang")
FEW = TenantLimits(streams=1, calls=3, calls_per_second=0)


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def quotas(seconds: Seconds | None = None, **limits: object) -> Quotas:
    return Quotas(Limits.model_validate({"platform": FEW, **limits}), seconds or Seconds())


def refused(counted: Quotas, tenant: Tenant, *, is_stream: bool = False) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        counted.enter(tenant, is_stream=is_stream)
    return caught.value


def token(roles: Iterable[int], platform: str = "", person: str = "") -> Token:
    now = datetime(2025, 7, 1, tzinfo=UTC)
    return Token("issuer", "li", frozenset(roles), platform, person, now)


def test_a_tenant_at_its_limit_is_refused_and_another_is_not() -> None:
    counted = quotas()
    leave = [counted.enter(A, is_stream=False) for _ in range(3)]

    assert refused(counted, A).facts["limit"] == "3"
    counted.enter(B, is_stream=False)
    leave[0]()
    counted.enter(A, is_stream=False)


def test_streams_have_a_limit_of_their_own() -> None:
    counted = quotas()
    counted.enter(A, is_stream=True)

    assert "streams at a time" in refused(counted, A, is_stream=True).sentence
    counted.enter(A, is_stream=False)


def test_platforms_together_leave_calls_to_staff_and_services() -> None:
    counted = quotas(calls=6, reserved_calls=2)
    for number in range(4):
        counted.enter(Tenant(TenantKind.PLATFORM, str(number)), is_stream=False)

    assert "of all platforms" in refused(counted, B).sentence
    counted.enter(WANG, is_stream=False)
    counted.enter(WANG, is_stream=False)
    assert "of all callers" in refused(counted, WANG).sentence


def test_calls_come_at_a_rate_after_the_burst_and_the_refusal_says_when_again() -> None:
    seconds = Seconds()
    rate = TenantLimits(streams=1, calls=1000, calls_per_second=2)
    counted = quotas(seconds, platform=rate)
    for _ in range(2 * BURST_SECONDS):
        counted.enter(A, is_stream=False)()

    assert refused(counted, A).facts["retry_seconds"] == "1"
    seconds.now += 0.5
    counted.enter(A, is_stream=False)()
    refused(counted, A)


def test_a_refusal_says_what_and_when_again() -> None:
    counted = quotas()
    for _ in range(3):
        counted.enter(A, is_stream=False)

    status = status_of(refused(counted, A), "orders")

    assert status.message == "The limit of 3 calls at a time is reached; try again in 1 s."
    assert any(detail.type_url.endswith("RetryInfo") for detail in status.details)


def test_whoever_acts_for_a_platform_counts_for_it() -> None:
    access = type_pb2.Access

    assert tenant_of(token({access.PLATFORM, access.ADJUDICATOR}, "x")) == Tenant(
        TenantKind.PLATFORM, "x"
    )
    assert tenant_of(token({access.WORKER_AGENT}, person="workers/7")) == Tenant(
        TenantKind.AGENT, "workers/7"
    )
    assert tenant_of(token({access.SERVICE})).kind is TenantKind.SERVICE
    assert tenant_of(token({access.FUND_OFFICER})).kind is TenantKind.STAFF
