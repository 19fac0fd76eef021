"""Runs a program at a priority, as a deployment gives each of its containers a weight.

`python -m tests.support.priority NICE PROGRAM ...` becomes the program. Linux may share cores by
session before it looks at priorities (autogroups), so the session gets the same one. A priority
above the common one needs a privilege; without it the program runs at the common one.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

_SESSION = Path("/proc/self/autogroup")
# Linux takes one such wish in a tenth of a second from those without a privilege.
_TRIES = 20
_WAIT_SECONDS = 0.1


def take(nice: int) -> None:
    """Give this process and its session a priority: -20 comes first, 0 is the common one."""
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
    take(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
