"""Starting, finding and stopping server processes that must not outlive this process."""

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

from services.runtime.base.refusals import StartRefusedError

CONFINE = Path(__file__).resolve().parent / "confine.py"
LOG_TAIL_BYTES = 2000
STOP_SECONDS = 15.0
FORCE_SECONDS = 5.0


class CannotStartError(StartRefusedError):
    """A server does not start; the sentence says what to do."""


def start(
    command: Sequence[str | Path],
    log_file: Path,
    *,
    death_signal: signal.Signals,
    confinement: str = "none",
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a server in a new session, so that Ctrl-C does not reach it.

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
    """Stop a child: send each signal and wait its seconds, then send SIGKILL."""
    for number, seconds in steps:
        if process.poll() is not None:
            return
        process.send_signal(number)
        if await wait(process, seconds):
            return
    process.kill()
    await wait(process, 5)


async def finish(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a child succeeded within `seconds`; it is killed if it still runs then."""
    try:
        return await wait(process, seconds) and process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


async def wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a child ended within `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while process.poll() is None:
        if loop.time() > end:
            return False
        await asyncio.sleep(0.02)
    return True


async def stop_leftovers(folder: Path, program: str) -> int:
    """Stop the servers that a killed run left on a data folder; returns how many processes.

    They are identified by program and working folder, not by a stored process id, which may be
    reused. Worker processes end with their server, so only servers get SIGINT; what remains is
    forced.
    """
    leftovers = _running_in(folder, program)
    for pid in leftovers:
        if _is_server(pid):
            _signal(pid, signal.SIGINT)
    if await _have_ended(folder, program, STOP_SECONDS):
        return len(leftovers)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _running_in(folder, program):
            _signal(pid, number)
        if await _have_ended(folder, program, FORCE_SECONDS):
            break
    return len(leftovers)


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log_file: Path) -> str:
    """The end of a log file."""
    with contextlib.suppress(OSError):
        return log_file.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace").strip()
    return ""


async def _have_ended(folder: Path, program: str, seconds: float) -> bool:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while _running_in(folder, program):  # not our children: no signal reports their end
        if loop.time() > end:
            return False
        await asyncio.sleep(0.05)
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_server(pid: int) -> bool:
    """Whether this is a server and not a PostgreSQL worker, which changes its title."""
    with contextlib.suppress(OSError):
        title = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        return title.startswith(b"/")
    return False


def _running_in(folder: Path, program: str) -> list[int]:
    """The processes of a program whose working folder is the data folder, by process id."""
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            is_here = (entry / "cwd").readlink() == folder
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # it has ended, or belongs to another user
            continue
        if is_here and name.startswith(program[:15]):
            pids.append(int(entry.name))
    return sorted(pids)
