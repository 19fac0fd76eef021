"""Counts what each tenant has under way, and refuses what is above its limit.

Pure: a caller enters and leaves, and the clock is passed in. base/tenant_limits.py says what a
tenant may have. A tenant at its limit is refused whatever the others do, and platforms and workers
together leave some calls to staff and services, so that nobody waits for a tenant that takes more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from oip.type.v1 import type_pb2

from services.kernel.phrases import Phrase
from services.kernel.problems import Kind, Problem
from services.runtime.rpc.access import PLATFORM_ROLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.runtime.base.tenant_limits import Limits, TenantLimits
    from services.runtime.rpc.tokens import Token

# A tenant that was quiet may send as many calls at once as it may send in so many seconds.
BURST_SECONDS = 20
# When a place is likely to be free: calls take less.
RETRY_SECONDS = 1
TENANTS_MAX = 10_000


class TenantKind(Enum):
    """The classes of callers, in the order in which a token with several roles belongs to one."""

    PLATFORM = "platform"
    AGENT = "agent"
    SERVICE = "service"
    STAFF = "staff"

    @property
    def is_from_outside(self) -> bool:
        """Whether the reserve is not for it."""
        return self is TenantKind.PLATFORM or self is TenantKind.AGENT


@dataclass(frozen=True)
class Tenant:
    """Who is counted together."""

    kind: TenantKind
    name: str

    def __hash__(self) -> int:
        return hash(self.name)


class LimitReached(Problem):
    """The caller has as much under way as it may have, or has sent as much as it may."""

    kind, reason = Kind.OVERLOADED, "LIMIT_REACHED"
    message = "The limit of {limit} {what} is reached; try again in {retry_seconds} s."
    message_zh = "已达上限: {what} {limit}; 请在 {retry_seconds} 秒后重试。"


_TITLES = {
    "streams": ("streams at a time", "并发数据流"),
    "calls": ("calls at a time", "并发请求"),
    "all": ("calls at a time of all platforms and workers together", "所有平台和人员并发请求"),
    "address": ("calls at a time from one address", "同一地址并发请求"),
    "everybody": ("calls at a time of all callers together", "全部并发请求"),
    "rate": ("calls per second", "每秒请求"),
    "batches": ("batches per minute", "每分钟批次"),
    "rows": ("rows per minute", "每分钟记录"),
    "bytes": ("bytes per minute", "每分钟字节"),
}


def limit_reached(name: str, limit: int, retry_seconds: float = RETRY_SECONDS) -> LimitReached:
    """The refusal for one of the limits."""
    what = Phrase(name.upper(), *_TITLES[name])
    return LimitReached(what=what, limit=limit, retry_seconds=max(1, math.ceil(retry_seconds)))


def tenant_of(token: Token) -> Tenant:
    """The tenant to which the calls with a token belong."""
    account = f"{token.issuer}#{token.subject}"
    if not PLATFORM_ROLES.isdisjoint(token.roles):
        return Tenant(TenantKind.PLATFORM, token.platform or account)
    if type_pb2.Access.WORKER_AGENT in token.roles:
        return Tenant(TenantKind.AGENT, token.person or account)
    if type_pb2.Access.SERVICE in token.roles:
        return Tenant(TenantKind.SERVICE, account)
    return Tenant(TenantKind.STAFF, account)


class Allowance:
    """An amount that fills up at a rate; what is taken in advance is paid back first."""

    def __init__(self, per_second: float, most: float, now: float) -> None:
        self._per_second = per_second
        self._most = most
        self._amount = most
        self._time = now

    def seconds_until(self, amount: float, now: float) -> float:
        """How long until this much is there; 0 if it is."""
        self._amount = min(self._most, self._amount + (now - self._time) * self._per_second)
        self._time = now
        return max(0.0, (amount - self._amount) / self._per_second)

    def take(self, amount: float) -> None:
        """Take an amount, also one that is not there yet."""
        self._amount -= amount


class _UnderWay:
    """What one tenant has under way."""

    def __init__(self, limits: TenantLimits, now: float, *, is_from_outside: bool) -> None:
        self.limits = limits
        self.is_from_outside = is_from_outside
        self.calls = 0
        self.streams = 0
        rate = limits.calls_per_second
        self.rate = Allowance(rate, rate * BURST_SECONDS, now) if rate else None


class Quotas:
    """The calls under way in one server, by tenant."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self.limits = limits
        self._now = now
        self._tenants: dict[Tenant, _UnderWay] = {}
        self._from_outside = 0
        self._from_outside_max = max(1, limits.calls - limits.reserved_calls)
        self._all = 0

    def enter(self, tenant: Tenant, *, is_stream: bool) -> Callable[..., None]:
        """Count a call; returns what to call once it has ended. Raises LimitReached."""
        under_way = self._tenants.get(tenant) or self._under_way(tenant)
        self._require_room(under_way, is_stream=is_stream)
        if under_way.rate is not None:
            under_way.rate.take(1)
        self._count(under_way, 1, is_stream)
        return partial(self._count, under_way, -1, is_stream)

    def _require_room(self, under_way: _UnderWay, *, is_stream: bool) -> None:
        limits = under_way.limits
        if not is_stream and under_way.calls >= limits.calls:
            raise limit_reached("calls", limits.calls)
        if is_stream and under_way.streams >= limits.streams:
            raise limit_reached("streams", limits.streams)
        if under_way.is_from_outside and self._from_outside >= self._from_outside_max:
            raise limit_reached("all", self._from_outside_max)
        if self._all >= self.limits.calls:
            raise limit_reached("everybody", self.limits.calls)
        if under_way.rate is not None:
            wait = under_way.rate.seconds_until(1, self._now())
            if wait:
                raise limit_reached("rate", limits.calls_per_second, wait)

    def _count(
        self,
        under_way: _UnderWay,
        change: int,
        is_stream: bool,  # noqa: FBT001 - by position, for what is called at the end of a call
        _call: object = None,
    ) -> None:
        if is_stream:
            under_way.streams += change
        else:
            under_way.calls += change
        self._all += change
        self._from_outside += change * under_way.is_from_outside

    def _under_way(self, tenant: Tenant) -> _UnderWay:
        """The count of a tenant that has none."""
        if len(self._tenants) >= TENANTS_MAX:
            # Those without a call begin with a full allowance again.
            self._tenants = {
                name: each for name, each in self._tenants.items() if each.calls or each.streams
            }
        limits: TenantLimits = getattr(self.limits, tenant.kind.value)
        under_way = _UnderWay(limits, self._now(), is_from_outside=tenant.kind.is_from_outside)
        return self._tenants.setdefault(tenant, under_way)
