"""Named places where a test makes the program die, fail or wait; without effect in production.

`OIP_FAILPOINT=relay.after_publish:kill` makes the process kill itself when it first reaches that
place; `:raise` raises, `:sleep` waits `OIP_FAILPOINT_SECONDS` (default 1). The crash tests iterate
over `NAMES`, so every place is listed there.
"""

from __future__ import annotations

import asyncio
import os
import signal

NAMES = (
    "requests.before_commit",  # the change is written, not committed
    "requests.after_commit",  # committed, the caller has no answer yet
    "signatures.before_pending",  # an act waits for its signature, not committed
    "signatures.after_pending",  # it waits, the caller does not know
    "signatures.after_signature",  # the effect and the signature are written, not committed
    "relay.after_number",  # events have their numbers, none is published
    "relay.after_publish",  # published, not marked as sent
    "relay.after_mark",  # marked as sent
    "month_end.before_commit",  # a month's event is written, not committed
    "listener.before_commit",  # an event is handled, not committed
    "listener.after_commit",  # committed, not acknowledged
    "orders.before_copy",  # a batch is validated, nothing is written
    "orders.before_commit",  # rows and log are written, not committed
    "orders.after_commit",  # committed, the platform has no receipt yet
)
VARIABLE = "OIP_FAILPOINT"


class FailpointError(Exception):
    """Raised at a failpoint set to `raise`."""


async def failpoint(name: str) -> None:
    """Do what the environment says for this place; normally nothing.

    Raises ValueError for a place that is not in NAMES, once a failpoint is set.
    """
    setting = os.environ.get(VARIABLE)
    if not setting:
        return
    if name not in NAMES:
        raise ValueError(f"add {name} to failpoints.NAMES")
    place, _, action = setting.partition(":")
    if place == name:
        await _act(name, action)


async def _act(name: str, action: str) -> None:
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise FailpointError(name)
    elif action == "sleep":
        await asyncio.sleep(float(os.environ.get(f"{VARIABLE}_SECONDS", "1")))
    else:
        message = f"{VARIABLE}: {action!r} is not kill, raise or sleep"
        raise ValueError(message)
