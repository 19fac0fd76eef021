"""`oip verify`: re-compute the invariants of every service, and compare what was told and heard."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from rich.console import Console
from rich.table import Table

from services.cli.desk import EXIT_CHECK_FAILED, Desk, desk_of, run
from services.runtime.rpc.client import Channels
from services.runtime.service.delivery import deliveries, missing, settled

Checks = Mapping[str, list[operations_pb2.VerifyResponse.Check]]

SETTLE_SECONDS = 15.0


def verify(context: typer.Context) -> None:
    """Re-add, re-walk, re-count: every invariant of every service. Exit code 1 if one fails."""
    desk = desk_of(context)
    found, behind = run(lambda: _ask_from(desk))
    console = Console(soft_wrap=not Console().is_terminal)
    console.print(table_of(found, behind))
    failed = failures(found, behind)
    if failed:
        console.print(f"[red]{failed} of the invariants do not hold.[/]")
        raise typer.Exit(EXIT_CHECK_FAILED)
    console.print("All invariants hold.")


def table_of(found: Checks, behind: list[str]) -> Table:
    """One row an invariant and service."""
    table = Table("service", "invariant", "what must hold", "holds", "found")
    for service, checks in found.items():
        for check in checks:
            table.add_row(
                service,
                check.invariant,
                check.text,
                "[green]yes[/]" if check.holds else "[red]NO[/]",
                check.detail,
            )
    table.add_row(
        "all",
        "I6",
        "What each service published, every listener has heard.",
        "[red]NO[/]" if behind else "[green]yes[/]",
        "; ".join(behind) or f"{len(found)} services compared",
    )
    return table


def failures(found: Checks, behind: list[str]) -> int:
    """How many invariants do not hold."""
    return sum(not check.holds for checks in found.values() for check in checks) + bool(behind)


async def ask(channels: Channels, names: list[str]) -> tuple[Checks, list[str]]:
    """The checks of each service, and a sentence for each that has not heard everything."""
    behind: list[str] = []
    try:
        await settled(channels, names, SETTLE_SECONDS)
    except TimeoutError:
        behind = missing(await deliveries(channels, names))
    found = {}
    for name in names:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, name)
        found[name] = list((await stub.Verify(operations_pb2.VerifyRequest())).checks)
    return found, behind


async def _ask_from(desk: Desk) -> tuple[Checks, list[str]]:
    async with desk.channels("administrator") as channels:
        return await ask(channels, list(desk.addresses))
