"""`python -m services`: the whole system in one process, for development.

PostgreSQL and nats-server come from their wheels unless OIP_DATABASE_URL and OIP_NATS_URL name
other servers. It runs until SIGINT or SIGTERM and then stops everything it started.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

import nats.errors
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import OperationalError

from services.runtime.base import log as logs
from services.runtime.base.settings import Settings
from services.runtime.embedded import CannotStartError, StateInUseError
from services.runtime.events.jetstream import NotSyncedError
from services.runtime.rpc.server import AddressTakenError
from services.runtime.service.context import Service
from services.runtime.service.serve import (
    EXIT_FAILED,
    arm_watchdog,
    keep_what_is_loaded,
    stop_signal,
)
from services.runtime.service.stack import Stack, stack
from services.runtime.storage.database import NotDurableError

# A stack starts producers before their consumers.
NAMES = ("enrolment", "orders", "premiums", "claims", "grading", "benefits", "fund")

REFUSALS = (AddressTakenError, CannotStartError, NotDurableError, NotSyncedError, StateInUseError)

console = Console()


def all_services() -> tuple[Service, ...]:
    """Every service of the scheme, in the order in which events flow."""
    return tuple(importlib.import_module(f"services.{name}.__main__").SERVICE for name in NAMES)


async def serve() -> int:
    """Run until a signal stops it; the exit code."""
    settings = Settings()
    stop = stop_signal()
    crashed: list[str] = []

    def on_crash(part: str, _error: BaseException) -> None:
        crashed.append(part)
        stop.set()

    with console.status("starting") as waiting:

        def on_stage(stage: str) -> None:
            waiting.update(f"starting: {stage}")

        lifetime = stack(all_services(), settings, on_crash=on_crash, on_stage=on_stage)
        running = await lifetime.__aenter__()
    try:
        _show(running)
        keep_what_is_loaded()
        await stop.wait()
        console.print("stopping")
        arm_watchdog()
    finally:
        await lifetime.__aexit__(None, None, None)
    return EXIT_FAILED if crashed else 0


def _show(running: Stack) -> None:
    table = Table("service", "gRPC address")
    for name, address in running.addresses.items():
        table.add_row(name, address)
    console.print(table)
    console.print(f"PostgreSQL  {_without_password(running.settings.database_url)}", soft_wrap=True)
    console.print(f"NATS        {_without_password(running.settings.nats_url)}", soft_wrap=True)
    console.print("A token:    oip token --role adjudicator", soft_wrap=True)
    console.print("Stop with Ctrl+C.")


def _without_password(url: str) -> str:
    start, _, rest = url.partition("://")
    return f"{start}://{rest.rpartition('@')[2]}"


def main() -> None:
    """Start the stack; a reason not to is printed as one sentence."""
    logs.configure(quiet=True)
    try:
        sys.exit(asyncio.run(serve()))
    except REFUSALS as error:
        sys.exit(str(error))
    except OperationalError:
        sys.exit("PostgreSQL does not answer; check OIP_DATABASE_URL, and that the server runs.")
    except (nats.errors.Error, OSError) as error:
        sys.exit(f"NATS does not answer ({error}); check OIP_NATS_URL, and that the server runs.")


if __name__ == "__main__":
    main()
