"""The limits of a call: the size of its messages and its deadline."""

from __future__ import annotations

import time
from contextvars import ContextVar

MESSAGE_BYTES_MAX = 4 * 1024 * 1024

_deadline: ContextVar[float] = ContextVar("deadline")


def set_seconds_left(seconds: float) -> None:
    """Set the deadline of the RPC being handled."""
    _deadline.set(time.monotonic() + seconds)


def seconds_left() -> float | None:
    """The seconds left until the deadline of the RPC being handled; None outside of one."""
    moment = _deadline.get(None)
    return None if moment is None else moment - time.monotonic()
