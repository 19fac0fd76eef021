"""An address that is refused without end waits longer and longer; others do not notice."""

from __future__ import annotations

from google.rpc import status_pb2
from starlette.requests import Request

from services.gateway.services import HOLD_SECONDS, RefusedPeers
from services.runtime.rpc.refused_calls import AT_ONCE_MAX, AT_ONCE_PER_SECOND

UNAUTHENTICATED = status_pb2.Status(code=16)
MALFORMED = status_pb2.Status(code=3)


def of(host: str) -> Request:
    return Request({"type": "http", "client": (host, 1), "headers": []})


def test_a_flood_of_refusals_is_answered_late() -> None:
    now = [0.0]
    refused = RefusedPeers(lambda: now[0])
    at_once = [refused.seconds_to_hold(of("a"), UNAUTHENTICATED) for _ in range(AT_ONCE_MAX)]
    later = [refused.seconds_to_hold(of("a"), UNAUTHENTICATED) for _ in range(5_000)]

    assert not any(at_once)
    assert later[0] == 1 / AT_ONCE_PER_SECOND
    assert later[-1] == HOLD_SECONDS
    assert refused.seconds_to_hold(of("b"), UNAUTHENTICATED) == 0
    assert refused.seconds_to_hold(of("a"), MALFORMED) == 0
    now[0] += 60
    assert refused.seconds_to_hold(of("a"), UNAUTHENTICATED) == 0
