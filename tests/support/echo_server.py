"""The echo service on the runtime's server, and calls to it without the runtime's channels."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from joserfc.jwk import OKPKey

from services.runtime.base.clock import SetClock
from services.runtime.base.tenant_limits import Limits
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.server import RpcServer
from services.runtime.rpc.tokens import Issuer
from tests.support.echo import EchoApi, EchoStub, Text, add_echo_to_server
from tests.support.staff import usual_admission

NOON = datetime(2025, 7, 1, 4, tzinfo=UTC)
ISSUER = Issuer(OKPKey.generate_key("Ed25519", auto_kid=True), SetClock(NOON))
ADJUDICATOR = ISSUER.issue("li", ["adjudicator"])
STRANGER = ISSUER.issue("wang", ["appraiser"])
KINDS = ["Echo", "EchoTwice", "EchoAll", "EchoEach"]


class EchoServer:
    def __init__(self, limits: Limits | None = None) -> None:
        self.api = EchoApi()
        self.server = RpcServer("echo", usual_admission(ISSUER.verifier()), limits=limits)
        add_echo_to_server(self.api, self.server.registrar)
        self.port = 0

    def behave(self, error: BaseException) -> None:
        async def fail(_text: str) -> str:
            raise error

        self.api.behave = fail

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def health_address(self) -> str:
        return f"127.0.0.1:{self.server.health_port}"


async def send(
    stub: EchoStub, kind: str, *texts: str, token: str = ADJUDICATOR, seconds: float | None = 3.0
) -> list[str]:
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    ways: dict[str, Any] = {"timeout": seconds, "metadata": metadata}
    requests = [Text(value=text) for text in texts]
    if kind == "Echo":
        return [(await stub.Echo(requests[0], **ways)).value]
    if kind == "EchoAll":
        return [(await stub.EchoAll(iter(requests), **ways)).value]
    call = (
        stub.EchoTwice(requests[0], **ways)
        if kind == "EchoTwice"
        else stub.EchoEach(iter(requests), **ways)
    )
    return [answer.value async for answer in call]


async def refused(work: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await work
    problem = problem_of(caught.value)
    return problem.code, problem.reason
