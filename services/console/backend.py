"""The services behind the pages: one channel each, on which every call carries a user's token.

The console holds no key and decides nothing: the token goes along as it came, and the service
verifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from services.runtime.rpc.access import deadline_cap, rule_in, rule_of
from services.runtime.rpc.client import RemoteProblem, ServiceChannels, problem_of

Stub = TypeVar("Stub")

# A page waits no longer than this for one answer; changes have the deadline of their method.
PAGE_SECONDS = 10
_DETAILS_KEY = "grpc-status-details-bin"
OPERATIONS = "oip.operations.v1.OperationsService"


class Backend:
    """The channels of the process."""

    def __init__(
        self, addresses: Mapping[str, str], credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        """`addresses` has `host:port` by service."""
        self.names = tuple(addresses)
        self._channels = {
            name: ServiceChannels(address, credentials) for name, address in addresses.items()
        }

    def stub(
        self, stub_class: Callable[[grpc.aio.Channel], Stub], service: str, token: str
    ) -> Stub:
        """A stub of a service whose calls carry the token and a deadline."""
        channel = _TokenChannel(self._channels[service], token)
        return stub_class(cast("grpc.aio.Channel", channel))

    async def call(
        self, method: MethodDescriptor, request: Message, token: str, service: str = ""
    ) -> Any:
        """The answer of a method; `service` says whose, of a method that every service has."""
        api = method.containing_service
        name = service or str(api.full_name).split(".")[1]
        path = f"/{api.full_name}/{method.name}"
        answer = message_factory.GetMessageClass(method.output_type)
        call: Any = (
            self._channels[name]
            .of_method(path)
            .unary_unary(
                path,
                request_serializer=type(request).SerializeToString,
                response_deserializer=answer.FromString,
            )
        )
        is_change = "request_id" in method.input_type.fields_by_name
        seconds = deadline_cap(rule_in(method)) if is_change else PAGE_SECONDS
        return await call(request, timeout=seconds, metadata=_metadata(token))

    async def close(self) -> None:
        """End all channels; calls still running are cancelled."""
        for channels in self._channels.values():
            await channels.close()


class _TokenChannel:
    """What a generated stub needs of a channel."""

    def __init__(self, channels: ServiceChannels, token: str) -> None:
        self._channels = channels
        self._token = token

    def unary_unary(self, path: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._bound(path, self._channels.of_method(path).unary_unary(path, *args, **kwargs))

    def unary_stream(self, path: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        return self._bound(path, self._channels.of_method(path).unary_stream(path, *args, **kwargs))

    def stream_stream(self, path: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        call: Any = self._channels.of_method(path).stream_stream(path, *args, **kwargs)
        return self._bound(path, call)

    def _bound(self, path: str, call: Any) -> Callable[..., Any]:
        seconds = deadline_cap(rule_of(path))

        def send(request: Any, *, timeout: float | None = None, **_: Any) -> Any:
            limit = seconds if timeout is None else timeout
            return call(request, timeout=limit, metadata=_metadata(self._token))

        return send


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def refusal_of(error: grpc.RpcError) -> RemoteProblem:
    """The refusal in an error of a call, with sentences in both languages."""
    problem = problem_of(error)
    if problem.sentence == problem.sentence_zh and problem.is_unreachable:
        problem.sentence_zh = "服务暂时无法访问; 请稍后用同一表单重试。"
    return problem


def fields_refused(error: grpc.RpcError) -> dict[str, str]:
    """The fields that a refusal names, each with its English description."""
    call = cast("grpc.aio.AioRpcError", error)
    named: dict[str, str] = {}
    for key, value in call.trailing_metadata() or ():
        if key != _DETAILS_KEY or not isinstance(value, bytes):
            continue
        for detail in status_pb2.Status.FromString(value).details:
            bad = error_details_pb2.BadRequest()
            if detail.Unpack(bad):
                named |= {each.field: each.description for each in bad.field_violations}
    return named
