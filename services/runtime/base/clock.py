"""The clock. Code gets it as an argument, so that tests and the demo can set the time."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Protocol

from services.kernel.periods import civil_day


class Clock(Protocol):
    """Gives the current moment."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the machine's clock


class SetClock:
    """A clock that does not run but is set; simulated time for tests and the demo."""

    def __init__(self, moment: datetime) -> None:
        self._moment = _aware(moment)

    def now(self) -> datetime:
        """The moment it was last set to, in UTC."""
        return self._moment

    def set(self, moment: datetime) -> None:
        """Move to a moment, later or earlier."""
        self._moment = _aware(moment)


def today(clock: Clock) -> date:
    """The civil day in Asia/Shanghai."""
    return civil_day(clock.now())


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        message = "a clock is set to a moment with a time zone"
        raise ValueError(message)
    return moment.astimezone(UTC)
