"""Calls that are refused at the entrance: answered late to who is refused often, and logged.

A caller that does not wait after a refusal would be refused thousands of times a second. Each
refusal takes half as long as an answer, and gRPC takes calls in one by one, so that those of others
wait behind them. Therefore a caller is refused at once only so often. Beyond that its calls are
held: they cost nothing, and since a connection carries a hundred calls, the caller has to wait.

A connection that several tenants share stays open for the others: few calls are held on it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from grpc_status import rpc_status

from services.kernel.problems import Kind, Problem
from services.runtime.base.log import logger
from services.runtime.rpc.error_status import status_of
from services.runtime.rpc.quotas import Allowance, TenantKind

if TYPE_CHECKING:
    from services.runtime.base.tenant_limits import Limits
    from services.runtime.rpc.quotas import Tenant
    from services.runtime.rpc.tokens import Token

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]

log = logger("rpc")

# Refusals of one caller that are answered at once: a second, and after it was quiet.
AT_ONCE_PER_SECOND = 50
AT_ONCE_MAX = 250
# Calls held on a connection that several tenants share, of the hundred that it carries.
HELD_ON_SHARED_MAX = 20
# A held call is answered when this share of its deadline has passed.
DEADLINE_SHARE = 0.9
LINE_SECONDS = 1.0
# Tells gRPC not to repeat the call by its service config.
NO_OTHER_TRY = ("grpc-retry-pushback-ms", "-1")
# Of how many callers and connections something is kept.
KEPT_MAX = 10_000


class MethodNotServed(Problem):
    """No method of the service has the path of the call."""

    kind, reason = Kind.NOT_FOUND, "METHOD_NOT_SERVED"
    message = "There is no such method; check the address and the path."
    message_zh = "不存在该接口; 请核对地址和路径。"


class Connections:
    """The tenant of each connection, and which of them several tenants share."""

    def __init__(self) -> None:
        # None for several.
        self._tenants: dict[str, Tenant | None] = {}

    def note(self, peer: str, tenant: Tenant) -> None:
        """A call of the tenant came on the connection of this peer."""
        known = self._tenants.setdefault(peer, tenant)
        if known is not tenant and known != tenant:
            self._tenants[peer] = None
        elif len(self._tenants) > KEPT_MAX:
            self._tenants = {peer: tenant}

    def is_shared(self, peer: str) -> bool:
        """Whether calls of several tenants came on it."""
        return peer in self._tenants and self._tenants[peer] is None


@dataclass
class Refusal:
    """A call that is refused: why, and who calls, as far as the entrance knows."""

    event: str
    method: str
    status: grpc.Status
    sentence: str = ""
    token: Token | None = None
    tenant: Tenant | None = None


class RefusedCalls:
    """Answers the calls that a server refuses at its entrance."""

    def __init__(self, service: str, limits: Limits, connections: Connections) -> None:
        """`service` is the domain of the refusals."""
        self._service = service
        self._limits = limits
        self._connections = connections
        self._statuses: dict[str, grpc.Status] = {}
        not_served = status_of(MethodNotServed(), service)
        not_served.code = grpc.StatusCode.UNIMPLEMENTED.value[0]
        self._method_unknown = rpc_status.to_status(not_served)
        self._at_once: dict[Tenant | str, Allowance] = {}
        self._held: set[asyncio.Future[None]] = set()
        self._held_on: Counter[str] = Counter()
        self._log = RefusalLog()
        self._is_closed = False

    def refuse(
        self,
        problem: Problem,
        method: str,
        token: Token | None = None,
        tenant: Tenant | None = None,
    ) -> Handler:
        """A handler that refuses with a problem; `tenant` is known if its limit is the problem."""
        sentence = problem.sentence
        status = self._statuses.get(sentence)
        if status is None:
            if len(self._statuses) > KEPT_MAX:
                self._statuses.clear()
            status = rpc_status.to_status(status_of(problem, self._service))
            self._statuses[sentence] = status
        event = "access_refused" if tenant is None else "limit_reached"
        return self._handler(Refusal(event, method, status, sentence, token, tenant))

    def refuse_unknown(self, method: str) -> Handler:
        """A handler that refuses a method which nobody serves."""
        return self._handler(Refusal("method_unknown", method, self._method_unknown))

    def _handler(self, refusal: Refusal) -> Handler:
        """As a stream, because gRPC would await the request of a unary call."""

        async def refuse(_requests: Any, context: Context) -> None:
            peer = context.peer()
            # Without the port; gRPC forgets the peer of a call that was given up.
            host = peer.rpartition(":")[0] or peer
            self._log.note(refusal, host)
            seconds = self._seconds_to_hold(refusal.tenant or host, peer, context.time_remaining())
            status, trailing = refusal.status, tuple(refusal.status.trailing_metadata or ())
            if seconds:
                await self._hold(peer, seconds)
                # Who was held has no time for another try, and would make things worse by it.
                trailing += (NO_OTHER_TRY,)
            await context.abort(status.code, status.details, trailing)

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _seconds_to_hold(self, who: Tenant | str, peer: str, left: float | None) -> float:
        """How long before a caller is refused; 0 for at once."""
        most = self._limits.hold_seconds
        # The calls of a service are those of many people, and it waits by itself.
        if not isinstance(who, str) and who.kind is TenantKind.SERVICE:
            return 0.0
        now = asyncio.get_running_loop().time()
        at_once = self._at_once.get(who)
        if at_once is None:
            if len(self._at_once) >= KEPT_MAX:
                self._at_once.clear()
            at_once = Allowance(AT_ONCE_PER_SECOND, AT_ONCE_MAX, now)
            self._at_once[who] = at_once
        seconds = at_once.seconds_until(1, now)
        if seconds < most:
            at_once.take(1)
        if not seconds or self._is_closed or len(self._held) >= self._limits.held_calls:
            return 0.0
        if self._connections.is_shared(peer) and self._held_on[peer] >= HELD_ON_SHARED_MAX:
            return 0.0
        return min(seconds, most, most if left is None else DEADLINE_SHARE * left)

    async def _hold(self, peer: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        released = loop.create_future()
        timer = loop.call_later(seconds, _release, released)
        self._held.add(released)
        self._held_on[peer] += 1
        try:
            await released
        finally:
            timer.cancel()
            self._held.discard(released)
            self._held_on[peer] -= 1
            if not self._held_on[peer]:
                del self._held_on[peer]

    def close(self) -> None:
        """Refuse the held calls now and later ones at once; write what has been counted."""
        self._is_closed = True
        for released in self._held:
            _release(released)
        self._log.close()


class RefusalLog:
    """A line at the first refusal of a caller, then one a second with their number."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, str, str, str], _Line] = {}

    def note(self, refusal: Refusal, host: str) -> None:
        """A call from this host was refused."""
        token = refusal.token
        issuer, subject = ("", "") if token is None else (token.issuer, token.subject)
        key = (refusal.event, issuer, subject, host)
        line = self._lines.get(key)
        if line is not None:
            line.count += 1
            return
        fields = {
            "method": refusal.method,
            "sentence": refusal.sentence,
            "subject": subject,
            "issuer": issuer,
            "peer": host,
        }
        self._lines[key] = line = _Line(refusal.event, fields)
        self._write(key, line)

    def _write(self, key: tuple[str, str, str, str], line: _Line) -> None:
        if not line.count:
            del self._lines[key]
            return
        line.write()
        line.timer = asyncio.get_running_loop().call_later(LINE_SECONDS, self._write, key, line)

    def close(self) -> None:
        """Write what has been counted since the last lines."""
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()
            if line.count:
                line.write()
        self._lines.clear()


@dataclass
class _Line:
    """What is logged of the refusals of one caller, with method and sentence of the first."""

    event: str
    fields: dict[str, str]
    count: int = 1
    timer: asyncio.TimerHandle | None = None

    def write(self) -> None:
        """Write the number of refusals since the line before."""
        log.warning(self.event, **self.fields, count=self.count)
        self.count = 0


def _release(released: asyncio.Future[None]) -> None:
    if not released.done():
        released.set_result(None)
