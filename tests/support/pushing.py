"""`oip` as its user runs it, against enrolment and orders."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.orders.__main__ import SERVICE as ORDERS
from services.runtime.settings import Settings
from services.runtime.stack import Stack
from services.runtime.stack import stack as run_stack
from tests.support.databases import Databases


@dataclass(frozen=True)
class Result:
    exit_code: int
    output: str


@asynccontextmanager
async def enrolment_and_orders(settings: Settings, databases: Databases) -> AsyncIterator[Stack]:
    """The two services that a push talks to, with databases of their own."""
    url = await databases.fresh("enrolment", "orders")
    filled = settings.model_copy(update={"database_url": url})
    async with run_stack([ENROLMENT, ORDERS], filled, any_port=True, grace=1) as running:
        yield running


@asynccontextmanager
async def command(
    state_dir: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own, ended at the end: gRPC wants one event loop a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli.main",
        "--state-dir",
        str(state_dir),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LANG": "C",
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
    """What a command says, and how it ends."""
    async with command(state_dir, *arguments, environment=environment) as process:
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, output.decode())
