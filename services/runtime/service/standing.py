"""Whether a service may change anything: not while its database is behind what was published."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from services.kernel.phrases import service_label
from services.kernel.problems import Kind, Problem
from services.runtime.base.log import logger
from services.runtime.storage.database import Overloaded

log = logger("standing")


class DatabaseBehind(Problem):
    """The stream or a consumer holds events of this service that its database does not."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DATABASE_BEHIND"
    message = (
        "The database of {service} is older than what the service has published;"
        " nothing can be changed until an administrator has run `oip restore show` and"
        " `oip restore begin-epoch`."
    )
    message_zh = (
        "{service}的数据库早于其已发布的内容; 请管理员先执行"
        " `oip restore show` 和 `oip restore begin-epoch`, 在此之前不得办理任何变更。"
    )


class Standing:
    """How the database of one service compares with what others hold of it."""

    def __init__(self, service: str) -> None:
        self.service = service
        self._is_compared = False
        self._differences: tuple[str, ...] = ()
        self._recheck = asyncio.Event()

    @property
    def is_behind(self) -> bool:
        """Whether somebody holds what the database does not."""
        return bool(self._differences)

    def set_differences(self, differences: Sequence[str]) -> None:
        """Store the result of a comparison."""
        if self._is_compared and tuple(differences) == self._differences:
            return
        if differences:
            log.error("database_behind", service=self.service, differences=list(differences))
        elif self.is_behind:
            log.warning("database_current", service=self.service)
        self._is_compared = True
        self._differences = tuple(differences)

    def require_current(self) -> None:
        """Raise DatabaseBehind, or Overloaded before the first comparison."""
        if not self._is_compared:
            raise Overloaded(service=service_label(self.service))
        if self._differences:
            raise DatabaseBehind(service=service_label(self.service))

    def compare_soon(self) -> None:
        """End the pause before the next comparison."""
        self._recheck.set()

    async def pause(self, seconds: float) -> None:
        """Wait for `seconds`, or less if `compare_soon` is called."""
        # Not wait_for, which may swallow a cancellation on Python 3.11.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._recheck.wait()
        self._recheck.clear()
