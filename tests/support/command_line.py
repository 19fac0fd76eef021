"""`oip` in tests: in the test process, which is quick, or as the program that users run."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

from services.cli.main import app

PATIENCE = 120  # seconds
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "COLUMNS": "200"}
# A command in the test process has sys.stdout and os.environ for itself.
_alone = asyncio.Lock()
_in_command: ContextVar[bool] = ContextVar("in_command", default=False)


@dataclass(frozen=True)
class Result:
    """The exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


async def run_oip(
    state_dir: Path,
    *arguments: object,
    environment: Mapping[str, str] | None = None,
    as_program: bool = False,
) -> Result:
    """Run a command to its end.

    In the test process it runs in a thread with another event loop, without the start-up of
    a program and without its logging. Use a program where signals or a traceback matter.
    """
    if not as_program:
        async with _alone, asyncio.timeout(PATIENCE):
            return await asyncio.to_thread(_invoke, state_dir, arguments, environment or {})
    async with command(state_dir, *arguments, environment=environment) as process:
        async with asyncio.timeout(PATIENCE):
            stdout, stderr = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, stdout.decode(), stderr.decode())


# The name under which most tests import it.
oip = run_oip


@asynccontextmanager
async def command(
    state_dir: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A command as a process, killed if it still runs after the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.cli.main", "--state-dir", str(state_dir)),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            **_ENVIRONMENT,
            **(environment or {}),
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class _CommandOutput(io.TextIOBase):
    """What the command prints; services in the same process still print where they did."""

    encoding = "utf-8"

    def __init__(self, elsewhere: TextIO) -> None:
        self._elsewhere = elsewhere
        self.content = io.StringIO()

    def write(self, text: str) -> int:
        return (self.content if _in_command.get() else self._elsewhere).write(text)

    def flush(self) -> None:
        self._elsewhere.flush()


def _invoke(
    state_dir: Path, arguments: tuple[object, ...], environment: Mapping[str, str]
) -> Result:
    _in_command.set(True)
    stdout, stderr = _CommandOutput(sys.stdout), _CommandOutput(sys.stderr)
    exit_code = 0
    with (
        redirect_stdout(stdout),
        redirect_stderr(stderr),
        patch.dict(os.environ, {**_ENVIRONMENT, **environment}),
    ):
        try:
            app(["--state-dir", str(state_dir), *map(str, arguments)], prog_name="oip")
        except SystemExit as ended:
            exit_code = int(ended.code or 0)
    return Result(exit_code, stdout.content.getvalue(), stderr.content.getvalue())
