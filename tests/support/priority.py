"""Runs a program at a priority, as a deployment gives each of its containers a weight.

`python -m tests.support.priority STEPS PROGRAM ...` becomes the program, with its nice value raised
by STEPS from that of the caller; so it holds under `nice` too. Linux may share cores by session
before it looks at priorities (autogroups), so the session gets the same value. Negative steps need
a privilege; without it the program keeps the priority of its caller.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

HIGHEST, LOWEST = -20, 19

_SESSION = Path("/proc/self/autogroup")
# Linux takes one such wish in a tenth of a second from those without a privilege.
_TRIES = 20
_WAIT_SECONDS = 0.1


def nice_after(steps: int) -> int:
    """The nice value `steps` away from that of this process."""
    return max(HIGHEST, min(LOWEST, os.getpriority(os.PRIO_PROCESS, 0) + steps))


def lower(steps: int) -> None:
    """Raise the nice value of this process and its session by `steps`; negative comes first."""
    nice = nice_after(steps)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        for _ in range(_TRIES if _SESSION.exists() else 0):
            try:
                _SESSION.write_text(str(nice), encoding="ascii")
            except BlockingIOError:
                time.sleep(_WAIT_SECONDS)
            else:
                break


if __name__ == "__main__":
    lower(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
