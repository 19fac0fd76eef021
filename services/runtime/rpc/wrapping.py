"""Wraps the handlers of methods, whatever their streaming kind."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]
    Around = Callable[[Context], AbstractAsyncContextManager[None]]


class Interceptor:
    """Wraps the handler of each method, once: the entrance keeps the wrapped handlers."""

    def wrap(self, method: str, handler: Handler) -> Handler:
        """The handler inside this interceptor; the same one where there is nothing to do."""
        raise NotImplementedError


def surround(handler: Handler, around: Around, *, read: Callable[[Any], Any]) -> Handler:
    """A handler of the same streaming kind whose behaviour runs inside `around`.

    `read` wraps the deserialiser.
    """
    _, behaviour = kind(handler)

    async def single(request: Any, context: Context) -> Any:
        async with around(context):
            return await behaviour(request, context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        async with around(context), aclosing(behaviour(request, context)) as answers:
            async for answer in answers:
                yield answer

    return rebuilt(handler, single, stream, read=read)


def after(handler: Handler, step: Callable[[Context], Awaitable[None]]) -> Handler:
    """A handler of the same streaming kind that runs after `step`."""
    _, behaviour = kind(handler)

    async def single(request: Any, context: Context) -> Any:
        await step(context)
        return await behaviour(request, context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        await step(context)
        async with aclosing(behaviour(request, context)) as answers:
            async for answer in answers:
                yield answer

    return rebuilt(handler, single, stream)


def checked(handler: Handler, check: Callable[[Any, Context], Any]) -> Handler:
    """A handler of the same streaming kind that gets what `check` makes of its request.

    A plain function: a check costs no coroutine.
    """
    _, behaviour = kind(handler)

    def either(request: Any, context: Context) -> Any:
        return behaviour(check(request, context), context)

    return rebuilt(handler, either, either)


def rebuilt(
    handler: Handler,
    single: Callable[..., Any],
    stream: Callable[..., Any],
    *,
    read: Callable[[Any], Any] = lambda deserializer: deserializer,
) -> Handler:
    """A handler of the same streaming kind with another behaviour, for one answer or for many."""
    build, _ = kind(handler)
    return build(  # type: ignore[no-any-return]
        stream if handler.response_streaming else single,
        request_deserializer=read(handler.request_deserializer),
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
