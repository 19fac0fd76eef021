"""A gateway before a stack, and channels that make the calls of generated stubs through it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import status_pb2
from oip.operations.v1 import operations_pb2
from oip.orders.v1 import orders_pb2

from services.gateway.errors import CODES
from services.gateway.methods import UPLOAD_PATH
from services.gateway.server import serving
from services.gateway.settings import GatewaySettings
from services.gateway.uploads import ARROW
from services.runtime.base.settings import Settings
from tests.support.http_client import Answer, HttpClient

Stub = TypeVar("Stub")

JSON = {"content-type": "application/json", "connect-protocol-version": "1"}
_NUMBERS = {word: number for number, (word, _) in CODES.items()}
_CODES = {code.value[0]: code for code in grpc.StatusCode}


@asynccontextmanager
async def gateway(
    settings: Settings, addresses: Mapping[str, str], **limits: Any
) -> AsyncIterator[HttpClient]:
    """A client of a gateway before these services; `limits` are settings of it."""
    async with serving(
        settings, GatewaySettings(**limits), addresses, address="127.0.0.1:0"
    ) as running:
        client = HttpClient(running.url)
        yield client
        await client.close()


async def call(
    client: HttpClient, path: str, content: bytes | str, token: str, **headers: str
) -> Answer:
    """The answer to a call with a JSON text."""
    body = content.encode() if isinstance(content, str) else content
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post(path, body, {**JSON, "authorization": f"Bearer {token}", **named})


def status_in(error: Mapping[str, Any]) -> status_pb2.Status:
    """The google.rpc.Status that an error of the Connect protocol says."""
    status = status_pb2.Status(code=_NUMBERS[error["code"]], message=error["message"])
    for detail in error.get("details", ()):
        value = detail["value"] + "=" * (-len(detail["value"]) % 4)
        status.details.add(
            type_url=f"type.googleapis.com/{detail['type']}", value=base64.b64decode(value)
        )
    return status


def as_rpc_error(error: Mapping[str, Any]) -> grpc.aio.AioRpcError:
    """The error that a gRPC call would end with."""
    status = status_in(error)
    trailing = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(
        _CODES[status.code], grpc.aio.Metadata(), trailing, details=status.message
    )


class JsonChannels:
    """In place of Channels: the same stubs, whose calls go through the gateway as JSON."""

    def __init__(self, client: HttpClient, token_source: Callable[[], str]) -> None:
        self._client = client
        self._token = token_source

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], service: str) -> Stub:
        """A stub of the service."""
        return stub_class(cast("grpc.aio.Channel", self.channel(service)))

    def channel(self, service: str) -> JsonChannel:
        """The channel of such a stub."""
        return JsonChannel(self._client, self._token, service)

    async def close(self) -> None:
        """The client stays open: it belongs to the gateway."""


class JsonChannel:
    """What a generated stub needs of a channel."""

    def __init__(self, client: HttpClient, token: Callable[[], str], service: str) -> None:
        self._client = client
        self._token = token
        self._service = service

    def unary_unary(
        self, path: str, *, response_deserializer: Any, **_options: Any
    ) -> Callable[..., Any]:
        answer_class: type[Message] = response_deserializer.__self__
        is_everywhere = path.startswith(f"/{operations_pb2.DESCRIPTOR.package}.")
        at = f"/{self._service}{path}" if is_everywhere else path

        async def send(request: Message, *, timeout: float | None = None, **_: Any) -> Message:  # noqa: ASYNC109 - gRPC's own parameter
            headers = {} if timeout is None else {"connect_timeout_ms": str(int(timeout * 1000))}
            content = json_format.MessageToJson(request, indent=None)
            answer = await call(self._client, at, content, self._token(), **headers)
            if answer.status != 200:
                raise as_rpc_error(answer.json)
            return json_format.Parse(answer.body, answer_class())

        return send

    def stream_stream(self, path: str, **_options: Any) -> Callable[..., _UploadCall]:
        assert path == UPLOAD_PATH

        def send(requests: Any, **_: Any) -> _UploadCall:
            return _UploadCall(self._answers(requests))

        return send

    async def _answers(self, requests: Any) -> AsyncIterator[orders_pb2.UploadOrdersResponse]:
        """Each batch is an upload of its own, whose run is the name of the batch."""
        async for request in requests:
            yield await self._upload(request)

    async def _upload(
        self, request: orders_pb2.UploadOrdersRequest
    ) -> orders_pb2.UploadOrdersResponse:
        path = f"{UPLOAD_PATH}?platform={request.platform}&run={request.batch_id[:40]}"
        headers = {"content-type": ARROW, "authorization": f"Bearer {self._token()}"}
        answer = await self._client.post(path, request.arrow_ipc, headers)
        if answer.status != 200:
            raise as_rpc_error(answer.json)
        line = json.loads(answer.body.split(b"\n")[0])
        response = orders_pb2.UploadOrdersResponse(batch_id=request.batch_id)
        if "error" in line:
            response.problem.ParseFromString(status_in(line["error"]).SerializeToString())
        else:
            json_format.ParseDict(line["receipt"], response.receipt)
        return response

    def unary_stream(self, path: str, **_options: Any) -> Callable[..., Any]:
        def refuse(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(path)

        return refuse


class _UploadCall:
    """What the client of uploads needs of a call."""

    def __init__(self, answers: AsyncIterator[orders_pb2.UploadOrdersResponse]) -> None:
        self._answers = answers

    def __aiter__(self) -> AsyncIterator[orders_pb2.UploadOrdersResponse]:
        return self._answers

    def cancel(self) -> None:
        """The answers end with the requests."""
