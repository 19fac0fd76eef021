"""Starting, finding and stopping server processes that must not outlive us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CONFINE = Path(__file__).resolve().parent / "confine.py"
LOG_TAIL_BYTES = 2000
STOP_SECONDS = 15.0
FORCE_SECONDS = 5.0


class CannotStartError(RuntimeError):
    """A server does not come up; the sentence says what to do."""


def start(
    command: Sequence[str | Path],
    log_file: Path,
    *,
    death_signal: signal.Signals,
    confinement: str = "none",
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own, so that Ctrl-C reaches only us.

    The kernel sends it `death_signal` when this thread ends; call it on the main thread.
    """
    launcher = [sys.executable, "-I", "-S", str(CONFINE), confinement, str(int(death_signal))]
    with log_file.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - fixed programs from the wheels
            [*launcher, str(os.getpid()), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=folder or "/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        )


async def stop(
    process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]
) -> None:
    """Stop a child: each signal in turn, each with seconds to take effect, then SIGKILL."""
    for number, seconds in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        if await wait(process, seconds):
            return
    process.kill()
    await wait(process, 5)


async def finish(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a child did its work within so many seconds; it does not go on after this."""
    try:
        return await wait(process, seconds) and process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


async def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a child ended within so many seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while process.poll() is None:
        if loop.time() > end:
            return False
        await asyncio.sleep(0.02)
    return True


async def stop_leftovers(folder: Path, program: str) -> int:
    """Stop the servers that a killed run left on a data folder; how many processes there were.

    They are known by their program and by the folder they run in, never by a stored number alone,
    which may belong to another process by now. Workers whose server is gone end by themselves, so
    only the servers are asked to; whatever remains is made to.
    """
    left = _running_in(folder, program)
    for pid in left:
        if _is_server(pid):
            _signal(pid, signal.SIGINT)
    if await _gone(folder, program, STOP_SECONDS):
        return len(left)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _running_in(folder, program):
            _signal(pid, number)
        if await _gone(folder, program, FORCE_SECONDS):
            break
    return len(left)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log_file: Path) -> str:
    """The end of a log file."""
    with contextlib.suppress(OSError):
        return log_file.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
    return ""


async def _gone(folder: Path, program: str, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while _running_in(folder, program):  # not our children: there is no signal of their end
        if loop.time() > end:
            return False
        await asyncio.sleep(0.05)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_server(pid: int) -> bool:
    """Whether this is a server and not one of PostgreSQL's workers, which rename themselves."""
    with contextlib.suppress(OSError):
        started_as = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        return started_as.startswith(b"/")
    return False


def _running_in(folder: Path, program: str) -> list[int]:
    """The processes of a program whose working folder is the data folder, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            here = (entry / "cwd").readlink() == folder
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # ended meanwhile, or of another user
            continue
        if here and name.startswith(program[:15]):
            found.append(int(entry.name))
    return sorted(found)
