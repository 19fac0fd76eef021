"""Run a command whose temporary files lie in memory, where the system has room for them.

`python tools/in_memory.py COMMAND ...`: the many small databases of a test run are written and
removed sooner there. Nothing is kept. With too little room, or where TMPDIR is set, the command
runs as it stands.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - the folder that Linux keeps in memory
# What a whole run of the tests writes, and what its processes need besides.
FILES_BYTES = 12 << 30
LEFT_BYTES = 4 << 30


def main(command: list[str]) -> int:
    """Run the command; its exit code."""
    if "TMPDIR" in os.environ or not has_room():
        return run(command, {})
    with tempfile.TemporaryDirectory(prefix="oip-tests-", dir=MEMORY) as folder:
        return run(command, {"TMPDIR": folder})


def has_room() -> bool:
    """Whether the folder and the memory behind it have room for a run."""
    if not os.access(MEMORY, os.W_OK):
        return False
    sizes = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) << 10 for line in sizes if line.startswith("MemAvail"))
    return shutil.disk_usage(MEMORY).free > FILES_BYTES and available > FILES_BYTES + LEFT_BYTES


def run(command: list[str], changes: dict[str, str]) -> int:
    """Run it to its end, also when somebody interrupts both."""
    process = subprocess.Popen(command, env={**os.environ, **changes})
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
