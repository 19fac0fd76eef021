"""Channels whose calls get the second signature that they need, from another person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

import grpc

from services.runtime.rpc.access import rule_of
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of

Stub = TypeVar("Stub")

MADE_AGAIN_MAX = 30
# Signs the act that a refusal names, at a service; false if it shall wait.
Sign: TypeAlias = Callable[[str, RemoteProblem], Awaitable[bool]]


class SigningChannels(Channels):
    """Channels on which an act that needs a signature is signed and sent again."""

    def __init__(
        self, addresses: Mapping[str, str], token_source: Callable[[], str], sign: Sign
    ) -> None:
        super().__init__(addresses, token_source)
        self._sign = sign

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], service: str) -> Stub:
        """A stub of the service; its acts are signed."""
        signing = _SigningChannel(self._channel(service), service, self._sign)
        return stub_class(cast("grpc.aio.Channel", signing))


class _SigningChannel:
    def __init__(self, inner: Any, service: str, sign: Sign) -> None:
        self._inner = inner
        self._service = service
        self._sign = sign

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
        call: Callable[..., Any] = self._inner.unary_unary(method, *args, **kwargs)
        rule = rule_of(method)
        if rule is None or not rule.act:
            return call

        async def call_and_sign(request: Any, **options: Any) -> Any:
            for attempt in range(1, MADE_AGAIN_MAX):
                try:
                    return await call(request, **options)
                except grpc.RpcError as error:
                    problem = problem_of(error)
                    if problem.reason != "SECOND_SIGNATURE_NEEDED":
                        raise
                    try:
                        if not await self._sign(self._service, problem):
                            raise
                    except grpc.RpcError as refusal:
                        if refusal is error or not _is_overtaken(problem_of(refusal)):
                            raise
                        # Others were faster, or the maker itself with a request of which it never
                        # got the answer: it makes the request anew, under the same next id.
                        again = type(request)()
                        again.CopyFrom(request)
                        again.request_id = f"{request.request_id}-{attempt}"
                        request = again
            return await call(request, **options)

        return call_and_sign


def _is_overtaken(problem: RemoteProblem) -> bool:
    return problem.reason == "ACT_CHANGED" or problem.code is grpc.StatusCode.ALREADY_EXISTS
