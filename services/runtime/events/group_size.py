"""How many events share a transaction."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TypeAlias

from services.runtime.events.envelope import Envelope

Replay: TypeAlias = Callable[[str, str, int], AsyncGenerator[Envelope, None]]


FETCH_COUNT = 64


# Events of a backlog share transactions, as many as half a second allows: others wait for the
# rows that a transaction has locked.
FIRST_GROUP_COUNT = 16


GROUP_SECONDS = 0.5


class GroupSize:
    """How many events share a transaction: as many as half a second allows, at most a fetch."""

    def __init__(self) -> None:
        self.count = FIRST_GROUP_COUNT

    @contextlib.contextmanager
    def measure(self, count: int) -> Iterator[None]:
        """Set the size of the next group by the time that this one takes."""
        start = time.monotonic()
        yield
        rate = count / max(time.monotonic() - start, 0.001)
        self.count = max(1, min(FETCH_COUNT, int(rate * GROUP_SECONDS)))
