"""How much a platform may send in a minute, in rows and bytes.

The bytes of a batch are known when it comes, its rows once it was read: they are taken then, and
the next batch waits until they are made up for.
"""

from __future__ import annotations

from collections.abc import Callable

from services.kernel.problems import Problem
from services.runtime.base.tenant_limits import Limits
from services.runtime.rpc.quotas import Allowance, limit_reached

MINUTE_SECONDS = 60
PLATFORMS_MAX = 10_000


class Allowances:
    """Of each platform, in this process."""

    def __init__(self, limits: Limits, now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._platforms: dict[str, tuple[Allowance, Allowance]] = {}

    def refusal(self, platform: str, byte_count: int) -> Problem | None:
        """Take the bytes of a batch, or say until when it has to wait."""
        rows, size = self._of(platform)
        now = self._now()
        wait = rows.seconds_until(1, now)
        if wait:
            return limit_reached("rows", self._limits.rows_per_minute, wait)
        wait = size.seconds_until(1, now)
        if wait:
            return limit_reached("bytes", self._limits.bytes_per_minute, wait)
        size.take(byte_count)
        return None

    def take_rows(self, platform: str, row_count: int) -> None:
        """Take the rows of a batch that was read."""
        self._of(platform)[0].take(row_count)

    def _of(self, platform: str) -> tuple[Allowance, Allowance]:
        if platform not in self._platforms and len(self._platforms) >= PLATFORMS_MAX:
            self._platforms.clear()
        known = self._platforms.get(platform)
        if known is None:
            rows, size = self._limits.rows_per_minute, self._limits.bytes_per_minute
            now = self._now()
            known = (
                Allowance(rows / MINUTE_SECONDS, rows, now),
                Allowance(size / MINUTE_SECONDS, size, now),
            )
            self._platforms[platform] = known
        return known
