"""One request over gRPC and as JSON: the two answers, or the statuses of the two refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2

from services.gateway.methods import path_of
from tests.support.gateway import call, status_in
from tests.support.http_client import HttpClient

SECONDS = 25
# Fields of answers that differ from call to call: what is under way, a key for one answer.
MOMENTARY = {"public_key"}


@dataclass
class Pair:
    """One request, both ways: an answer, or the status of the refusal."""

    grpc: Message | status_pb2.Status
    json: Message | status_pb2.Status

    @property
    def agrees(self) -> bool:
        """Whether both are the same."""
        return _without_moments(self.grpc) == _without_moments(self.json)


class BothWays:
    """Sends a request over gRPC and as JSON, with the same token."""

    def __init__(
        self,
        client: HttpClient,
        addresses: Mapping[str, str],
        token_of: Callable[[MethodDescriptor], str],
    ) -> None:
        """`client` is one of the gateway, `addresses` are those of the services."""
        self.client = client
        self._addresses = addresses
        self._token_of = token_of
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def send(self, service: str, method: MethodDescriptor, request: Message) -> Pair:
        """Send a request of a method to a service, first over gRPC."""
        token = self._token_of(method)
        answer_class = message_factory.GetMessageClass(method.output_type)
        return Pair(
            await self._over_grpc(service, method, request, token, answer_class),
            await self._as_json(service, method, request, token, answer_class),
        )

    async def _over_grpc(
        self, service: str, method: MethodDescriptor, request: Message, token: str, answer: Any
    ) -> Message | status_pb2.Status:
        if service not in self._channels:
            self._channels[service] = grpc.aio.insecure_channel(self._addresses[service])
        send: Any = self._channels[service].unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            answered: Message = await send(request, timeout=SECONDS, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return _status_of(error)
        return answered

    async def _as_json(
        self, service: str, method: MethodDescriptor, request: Message, token: str, answer: Any
    ) -> Message | status_pb2.Status:
        content = json_format.MessageToJson(request, indent=None)
        answered = await call(
            self.client,
            path_of(method, service),
            content,
            token,
            connect_timeout_ms=str(SECONDS * 1000),
        )
        if answered.status != 200:
            return status_in(answered.json)
        message: Message = json_format.Parse(answered.body, answer())
        return message

    async def close(self) -> None:
        """Close the channels; the client stays open."""
        for channel in self._channels.values():
            await channel.close()


def _status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")


def _without_moments(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    for field, _ in copy.ListFields():
        if field.name in MOMENTARY:
            copy.ClearField(field.name)
    return copy
