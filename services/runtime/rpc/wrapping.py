"""Wraps the handlers of methods, whatever their streaming kind."""

from __future__ import annotations

import inspect
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[[Context], AbstractAsyncContextManager[None]]
    Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps a method's handler at its first call and caches it: handlers do not change."""

    def __init__(self) -> None:
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """The handler, wrapped; None for an unknown method, which gRPC answers UNIMPLEMENTED."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        if method not in self._wrapped:
            self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: Handler) -> Handler:
        raise NotImplementedError


def _unchanged(value: Any) -> Any:
    return value


def surround(
    handler: Handler,
    around: Around,
    *,
    read: Callable[[Any], Any] = _unchanged,
    take: Callable[[Any], Any] = _unchanged,
) -> Handler:
    """A handler of the same streaming kind whose behaviour runs inside `around`.

    `read` wraps the deserialiser, `take` the request or the stream of requests.
    """
    build, behaviour = kind(handler)
    deserializer = read(handler.request_deserializer)

    async def single(request: Any, context: Context) -> Any:
        async with around(context):
            return await behaviour(take(request), context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(context):
            answers = behaviour(take(request), context)
            if inspect.isawaitable(answers):  # the handler writes to the context directly
                await answers
                return
            async with aclosing(answers):
                async for answer in answers:
                    yield answer

    return build(  # type: ignore[no-any-return]
        stream if handler.response_streaming else single,
        request_deserializer=deserializer,
        response_serializer=handler.response_serializer,
    )


def kind(handler: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The function that builds a handler of this kind, and the handler's behaviour."""
    if handler.request_streaming:
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler, handler.stream_stream
        return grpc.stream_unary_rpc_method_handler, handler.stream_unary
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler, handler.unary_stream
    return grpc.unary_unary_rpc_method_handler, handler.unary_unary
