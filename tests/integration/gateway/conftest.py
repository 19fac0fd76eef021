"""A gateway before enrolment, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from services.enrolment.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from tests.support.databases import Databases
from tests.support.gateway import call, gateway
from tests.support.http_client import Answer, HttpClient
from tests.support.stack_client import StackClient, stack_client

PACKAGE = "/oip.enrolment.v1.EnrolmentService"


@dataclass
class Door:
    """A gateway, the stack behind it, and calls as an administrator."""

    http: HttpClient
    stack: StackClient

    def token(self, *roles: str, subject: str = "test", platform: str = "") -> str:
        return self.stack.stack.issuer.issue(subject, roles or ("administrator",), platform)

    async def call(self, method: str, content: bytes | str = "{}", **headers: str) -> Answer:
        token = headers.pop("token", "") or self.token()
        return await call(self.http, f"{PACKAGE}/{method}", content, token, **headers)


@pytest.fixture(scope="module")
async def door(stack: Settings, databases: Databases) -> AsyncIterator[Door]:
    """A new database for each file."""
    clock = SetClock(datetime(2025, 7, 1, 1, 0, tzinfo=UTC))
    settings = stack.model_copy(update={"database_url": await databases.fresh("enrolment")})
    async with stack_client([SERVICE], settings, clock, compares=False) as client:
        limits = {"body_seconds": 1.0, "idle_seconds": 1.0, "head_seconds": 1.0}
        async with gateway(settings, client.stack.addresses, **limits) as http:
            yield Door(http, client)
