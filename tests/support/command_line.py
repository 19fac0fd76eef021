"""`oip` as a program, as its users run it; within the test process it would change the logging."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Result:
    """The exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


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
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
            **(environment or {}),
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def oip(
    state_dir: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> Result:
    async with command(state_dir, *arguments, environment=environment) as process:
        async with asyncio.timeout(PATIENCE):
            stdout, stderr = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, stdout.decode(), stderr.decode())
