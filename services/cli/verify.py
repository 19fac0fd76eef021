"""`oip verify`: recompute the invariants of every service, and compare the services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from rich.table import Table

from services.cli.audit_heads import HEADS_FILE, compare_heads
from services.cli.connection import EXIT_CHECK_FAILED, connection_of, run
from services.cli.cross_checks import cross_checks
from services.cli.output import new_wide_console
from services.client.channels import Channels
from services.runtime.service.delivery import deliveries, missing, wait_until_delivered

Check: TypeAlias = operations_pb2.VerifyResponse.Check

DELIVERY_SECONDS = 15.0
DELIVERED_TEXT = "every consumer holds the same events as each service published"


@dataclass(frozen=True)
class Verification:
    """The checks of each service, and those between services."""

    of_services: Mapping[str, Sequence[Check]]
    between: Sequence[Check]

    @property
    def rows(self) -> list[tuple[str, Check]]:
        """Every check with its service, `all` for those between services."""
        return [
            *((name, check) for name, checks in self.of_services.items() for check in checks),
            *(("all", check) for check in self.between),
        ]

    @property
    def failed_count(self) -> int:
        """The number of invariants that do not hold."""
        return sum(not check.holds for _, check in self.rows)


def verify(
    context: typer.Context,
    heads: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the audit heads seen before; default {HEADS_FILE} in --state-dir."
        ),
    ] = None,
    accept_heads: Annotated[
        bool, typer.Option(help="Remember today's audit heads, also after a restore.")
    ] = False,
) -> None:
    """Recompute every invariant of every service. Exit code 1 if one does not hold."""
    connection = connection_of(context)
    file = heads or connection.settings.state_dir / HEADS_FILE

    async def call() -> Verification:
        async with connection.channels("administrator") as channels:
            names = list(connection.addresses)
            verification = await check_all(channels, names)
            of_heads = await compare_heads(channels, names, file, accepts=accept_heads)
            return Verification(verification.of_services, [*verification.between, of_heads])

    verification = run(call)
    console = new_wide_console()
    console.print(table_of(verification))
    if verification.failed_count:
        console.print(f"[red]{verification.failed_count} of the invariants do not hold.[/]")
        raise typer.Exit(EXIT_CHECK_FAILED)
    console.print("All invariants hold.")


def table_of(verification: Verification) -> Table:
    """One row for each invariant of each service."""
    table = Table("service", "invariant", "what must hold", "holds", "found")
    for service, check in verification.rows:
        table.add_row(
            service,
            check.invariant,
            check.text,
            "[green]yes[/]" if check.holds else "[red]NO[/]",
            check.detail,
        )
    return table


async def check_all(channels: Channels, names: list[str]) -> Verification:
    """The checks of each service, and what services must hold alike."""
    undelivered: list[str] = []
    try:
        await wait_until_delivered(channels, names, DELIVERY_SECONDS)
    except TimeoutError:
        undelivered = missing(await deliveries(channels, names))
    checks = {}
    for name in names:
        stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, name)
        checks[name] = list((await stub.Verify(operations_pb2.VerifyRequest())).checks)
    delivered = Check(
        invariant="I6",
        text=DELIVERED_TEXT,
        holds=not undelivered,
        detail="; ".join(undelivered) or f"{len(names)} services compared",
    )
    return Verification(checks, [delivered, *await cross_checks(channels, names)])
