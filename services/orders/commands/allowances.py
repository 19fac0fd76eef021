"""How much a platform may send in a minute, in batches, rows and bytes.

The bytes of a batch are known when it comes, its rows once it was read: they are taken then, and
the next batch waits until they are made up for.
"""

from __future__ import annotations

from collections.abc import Callable

from services.runtime.base.tenant_limits import Limits
from services.runtime.rpc.quotas import Allowance, LimitReached, limit_reached

MINUTE_SECONDS = 60
PLATFORMS_MAX = 10_000


class Allowances:
    """Of each platform, in this process."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._now = now
        self._most = {
            "batches": limits.batches_per_minute,
            "rows": limits.rows_per_minute,
            "bytes": limits.bytes_per_minute,
        }
        self._platforms: dict[str, dict[str, Allowance]] = {}

    def refusal(self, platform: str, byte_count: int) -> LimitReached | None:
        """Take a batch and its bytes, or say until when it has to wait."""
        allowances, now = self._of(platform), self._now()
        for name, allowance in allowances.items():
            wait = allowance.seconds_until(1, now)
            if wait:
                return limit_reached(name, self._most[name], wait)
        allowances["batches"].take(1)
        allowances["bytes"].take(byte_count)
        return None

    def take_rows(self, platform: str, row_count: int) -> None:
        """Take the rows of a batch that was read."""
        self._of(platform)["rows"].take(row_count)

    def _of(self, platform: str) -> dict[str, Allowance]:
        if platform not in self._platforms and len(self._platforms) >= PLATFORMS_MAX:
            self._platforms.clear()
        known = self._platforms.get(platform)
        if known is None:
            now = self._now()
            known = {
                name: Allowance(most / MINUTE_SECONDS, most, now)
                for name, most in self._most.items()
            }
            self._platforms[platform] = known
        return known
