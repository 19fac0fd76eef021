"""What a run of tests would leave behind on the machine: processes and mounted disks."""

from __future__ import annotations

import os
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


def processes_in(folder: Path) -> dict[int, str]:
    """The command lines of the processes that work in a folder or were given a path in it."""
    place = f"{folder}/".encode()
    commands = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            given = command + (entry / "environ").read_bytes()
            working = os.fsencode((entry / "cwd").readlink())
        except OSError:  # it has ended, or belongs to another user
            continue
        if command and (place in given or working.startswith(place)):
            commands[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return commands


def disks_in(folder: Path) -> list[str]:
    """Where disks are mounted in a folder."""
    lines = MOUNTS.read_text(encoding="utf-8").splitlines()
    places = [line.split()[1] for line in lines]
    return [place for place in places if place.startswith(f"{folder}/")]
