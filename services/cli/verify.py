"""`oip verify`: recompute the invariants of every service, and compare events sent and consumed."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from rich.table import Table

from services.cli.connection import EXIT_CHECK_FAILED, connection_of, run
from services.cli.output import new_wide_console
from services.client.channels import Channels
from services.runtime.service.delivery import deliveries, missing, wait_until_delivered

Checks = Mapping[str, list[operations_pb2.VerifyResponse.Check]]

DELIVERY_SECONDS = 15.0


def verify(context: typer.Context) -> None:
    """Recompute every invariant of every service. Exit code 1 if one does not hold."""
    connection = connection_of(context)

    async def call() -> tuple[Checks, list[str]]:
        async with connection.channels("administrator") as channels:
            return await check_all(channels, list(connection.addresses))

    checks, undelivered = run(call)
    console = new_wide_console()
    console.print(table_of(checks, undelivered))
    failed = failures(checks, undelivered)
    if failed:
        console.print(f"[red]{failed} of the invariants do not hold.[/]")
        raise typer.Exit(EXIT_CHECK_FAILED)
    console.print("All invariants hold.")


def table_of(checks: Checks, undelivered: list[str]) -> Table:
    """One row for each invariant of each service."""
    table = Table("service", "invariant", "what must hold", "holds", "found")
    for service, checks_of_service in checks.items():
        for check in checks_of_service:
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
        "Every consumer holds the same events as each service published.",
        "[red]NO[/]" if undelivered else "[green]yes[/]",
        "; ".join(undelivered) or f"{len(checks)} services compared",
    )
    return table


def failures(checks: Checks, undelivered: list[str]) -> int:
    """The number of invariants that do not hold."""
    failed = sum(not check.holds for of_service in checks.values() for check in of_service)
    return failed + bool(undelivered)


async def check_all(channels: Channels, names: list[str]) -> tuple[Checks, list[str]]:
    """The checks of each service, and a sentence for each delivery that is incomplete."""
    undelivered: list[str] = []
    try:
        await wait_until_delivered(channels, names, DELIVERY_SECONDS)
    except TimeoutError:
        undelivered = missing(await deliveries(channels, names))
    checks = {}
    for name in names:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, name)
        checks[name] = list((await stub.Verify(operations_pb2.VerifyRequest())).checks)
    return checks, undelivered
