"""`python -m services`: the whole system in one process, for development.

PostgreSQL and nats-server come from their wheels unless OIP_DATABASE_URL and OIP_NATS_URL name
other servers. It runs until SIGINT or SIGTERM and then stops everything it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.console.process import console_settings_or_exit
from services.console.server import listen_address as console_address
from services.console.server import serving as serving_console
from services.gateway.process import gateway_settings_or_exit
from services.gateway.server import listen_address as gateway_address
from services.gateway.server import serving as serving_gateway
from services.runtime.base import log as logs
from services.runtime.base.settings import Settings
from services.runtime.service.context import Service
from services.runtime.service.http_server import RunningHttp
from services.runtime.service.serve import (
    EXIT_FAILED,
    arm_watchdog,
    keep_what_is_loaded,
    stop_signal,
)
from services.runtime.service.stack import Stack, stack
from services.runtime.service.start_refusals import sentence_of, settings_or_exit
from services.runtime.storage.migrate import migrate
from services.staff import bootstrap
from services.staff.domain.problems import RegisterNotEmpty

# A stack starts producers before their consumers.
NAMES = ("staff", "enrolment", "orders", "premiums", "claims", "grading", "benefits", "fund")

# The persons of a development stack.
DEVELOPERS = Path(__file__).with_name("dev_members.toml")

console = Console()


def all_services() -> tuple[Service, ...]:
    """Every service of the scheme, in the order in which events flow."""
    return tuple(importlib.import_module(f"services.{name}.__main__").SERVICE for name in NAMES)


async def register_members(running: Stack, content: bytes) -> None:
    """Register the first members of a stack's staff register; a repeat changes nothing."""
    await bootstrap.register_from(running.contexts["staff"], content)


@contextlib.asynccontextmanager
async def gateway(running: Stack, *, any_port: bool = False) -> AsyncIterator[RunningHttp]:
    """The JSON door before a stack, in the same process."""
    address = "127.0.0.1:0" if any_port else ""
    settings = gateway_settings_or_exit()
    async with serving_gateway(
        running.settings, settings, running.addresses, address=address
    ) as door:
        yield door


@contextlib.asynccontextmanager
async def pages(running: Stack, *, any_port: bool = False) -> AsyncIterator[RunningHttp]:
    """The console before a stack, in the same process, with a schema of its own."""
    await migrate(running.settings.database_of("console"), ["console"])
    address = "127.0.0.1:0" if any_port else ""
    settings = console_settings_or_exit()
    async with serving_console(
        running.settings, settings, running.addresses, running.clock, address=address
    ) as browser_pages:
        yield browser_pages


async def serve(settings: Settings) -> int:
    """Run until a signal stops it; the exit code."""
    stop = stop_signal()
    crashed: list[str] = []

    def on_crash(part: str, _error: BaseException) -> None:
        crashed.append(part)
        stop.set()

    with console.status("starting") as waiting:

        def on_stage(stage: str) -> None:
            waiting.update(f"starting: {stage}")

        lifetime = stack(
            all_services(),
            settings,
            on_crash=on_crash,
            on_stage=on_stage,
            prepare=_register_developers,
            further_addresses=[
                gateway_address(settings, gateway_settings_or_exit()),
                console_address(settings, console_settings_or_exit()),
            ],
        )
        running = await lifetime.__aenter__()
    try:
        async with gateway(running) as door, pages(running) as browser_pages:
            _show(running, door, browser_pages)
            keep_what_is_loaded()
            await stop.wait()
            console.print("stopping")
            arm_watchdog()
    finally:
        await lifetime.__aexit__(None, None, None)
    return EXIT_FAILED if crashed else 0


async def _register_developers(running: Stack) -> None:
    """Register the persons of a development stack, and let every service know them.

    A register with members is that of an earlier start, which may have changed since.
    """
    with contextlib.suppress(RegisterNotEmpty):
        await register_members(running, DEVELOPERS.read_bytes())
    await running.wait_until_delivered()


def _show(running: Stack, door: RunningHttp, browser_pages: RunningHttp) -> None:
    table = Table("service", "gRPC address", "probes")
    for name, address in running.addresses.items():
        table.add_row(name, address, running.contexts[name].health_address())
    console.print(table)
    console.print(f"Pages       {browser_pages.url}  (in the browser)", soft_wrap=True)
    console.print(f"JSON        {door.url}  (all calls: {door.url}/docs)", soft_wrap=True)
    console.print(f"PostgreSQL  {_without_password(running.settings.database_url)}", soft_wrap=True)
    console.print(f"NATS        {_without_password(running.settings.nats_url)}", soft_wrap=True)
    console.print("A token:    oip token --role adjudicator", soft_wrap=True)
    console.print("Stop with Ctrl+C.")


def _without_password(url: str) -> str:
    start, _, rest = url.partition("://")
    return f"{start}://{rest.rpartition('@')[2]}"


def main() -> None:
    """Start the stack; a reason not to is printed as one sentence."""
    settings = settings_or_exit()
    logs.configure(quiet=True)
    try:
        sys.exit(asyncio.run(serve(settings)))
    except Exception as error:
        sentence = sentence_of(error, settings)
        if sentence is None:
            raise
        sys.exit(sentence)


if __name__ == "__main__":
    main()
