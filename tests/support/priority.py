"""Runs a program at a priority, as a deployment gives each of its containers a weight.

`python -m tests.support.priority NICE PROGRAM ...` becomes the program. Linux may share cores by
session before it looks at priorities (autogroups), so the session gets the same one. A priority
above the common one needs a privilege; without it the program runs at the common one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

_SESSION = Path("/proc/self/autogroup")


def take(nice: int) -> None:
    """Give this process and its session a priority: -20 comes first, 0 is the common one."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        if _SESSION.exists():
            _SESSION.write_text(str(nice), encoding="ascii")


if __name__ == "__main__":
    take(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
