"""A service with a method of each streaming kind, built without a proto file.

It exists so that the runtime's server and channels can be tested without any service of the scheme.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, wrappers_pb2
from oip.type.v1 import type_pb2

from services.runtime.rpc.access import caller
from services.runtime.rpc.limits import seconds_left

Text = wrappers_pb2.StringValue
SERVICE = "oip.test.v1.EchoService"
UNRULED = "oip.test.v1.UnruledService"
CAP_SECONDS = 5

_KINDS = {
    "Echo": (False, False),
    "EchoOnce": (False, False),
    "EchoTwice": (False, True),
    "EchoAll": (True, False),
    "EchoEach": (True, True),
}


def _build() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="oip/test/v1/echo.proto",
        package="oip.test.v1",
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto", "oip/type/v1/type.proto"],
    )
    for name in ("EchoService", "UnruledService"):
        service = file.service.add(name=name)
        for method_name, (takes_stream, gives_stream) in _KINDS.items():
            method = service.method.add(
                name=method_name,
                input_type=".google.protobuf.StringValue",
                output_type=".google.protobuf.StringValue",
                client_streaming=takes_stream,
                server_streaming=gives_stream,
            )
            if name == "EchoService":
                rule = method.options.Extensions[type_pb2.access]
                rule.roles.extend(
                    [type_pb2.Access.PLATFORM, type_pb2.Access.ADJUDICATOR, type_pb2.Access.SERVICE]
                )
                rule.scope.extend([type_pb2.Access.OWN_PLATFORM, type_pb2.Access.SHARED])
                rule.max_deadline_seconds = CAP_SECONDS
                rule.idempotent = method_name != "EchoOnce"
    descriptor_pool.Default().Add(file)


_build()


class EchoApi:
    """Answers each text with the result of `behave`; by default with the caller and the text."""

    def __init__(self, behave: Callable[[str], Awaitable[str]] | None = None) -> None:
        self.behave = behave or self._with_caller
        self.seconds_left: float | None = None
        self.call_count = 0

    async def _with_caller(self, text: str) -> str:
        return f"{caller().subject}: {text}"

    async def _answer(self, request: Text) -> Text:
        self.call_count += 1
        self.seconds_left = seconds_left()
        return Text(value=await self.behave(request.value))

    async def echo(self, request: Text, _context: Any) -> Text:
        return await self._answer(request)

    async def echo_twice(self, request: Text, _context: Any) -> AsyncIterator[Text]:
        yield await self._answer(request)
        await asyncio.sleep(0)
        yield await self._answer(request)

    async def echo_all(self, requests: AsyncIterator[Text], _context: Any) -> Text:
        texts = [request.value async for request in requests]
        return await self._answer(Text(value=" ".join(texts)))

    async def echo_each(self, requests: AsyncIterator[Text], _context: Any) -> AsyncIterator[Text]:
        async for request in requests:
            yield await self._answer(request)


def add_echo_to_server(api: EchoApi, server: grpc.aio.Server, service: str = SERVICE) -> None:
    build: dict[str, tuple[Any, Any]] = {
        "Echo": (grpc.unary_unary_rpc_method_handler, api.echo),
        "EchoOnce": (grpc.unary_unary_rpc_method_handler, api.echo),
        "EchoTwice": (grpc.unary_stream_rpc_method_handler, api.echo_twice),
        "EchoAll": (grpc.stream_unary_rpc_method_handler, api.echo_all),
        "EchoEach": (grpc.stream_stream_rpc_method_handler, api.echo_each),
    }
    handlers: dict[str, Any] = {
        name: make(
            behaviour,
            request_deserializer=Text.FromString,
            response_serializer=Text.SerializeToString,
        )
        for name, (make, behaviour) in build.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)


class EchoStub:
    """A stub as the generator would write it; `raw` sends bytes without serialising them."""

    def __init__(self, channel: grpc.aio.Channel, *, raw: bool = False) -> None:
        def path(name: str) -> str:
            return f"/{SERVICE}/{name}"

        ways: dict[str, Any] = {
            "request_serializer": bytes if raw else Text.SerializeToString,
            "response_deserializer": Text.FromString,
        }
        self.Echo: Any = channel.unary_unary(path("Echo"), **ways)
        self.EchoOnce: Any = channel.unary_unary(path("EchoOnce"), **ways)
        self.EchoTwice: Any = channel.unary_stream(path("EchoTwice"), **ways)
        self.EchoAll: Any = channel.stream_unary(path("EchoAll"), **ways)
        self.EchoEach: Any = channel.stream_stream(path("EchoEach"), **ways)
