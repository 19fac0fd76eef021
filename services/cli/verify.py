"""`oip verify`: recompute the invariants of every service, and compare the services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.cli.audit_heads import HEADS_FILE, compare_heads
from services.cli.connection import EXIT_CHECK_FAILED, connection_of, run
from services.cli.cross_checks import cross_checks
from services.cli.tables import show_rows
from services.cli.values import text_value, truth_value
from services.cli.view import say
from services.client.channels import Channels
from services.kernel.phrases import Phrase
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
    show_checks(verification.rows)
    if verification.failed_count:
        count = verification.failed_count
        typer.echo(
            say(f"{count} of the invariants do not hold.", f"有 {count} 项检查不成立。"), err=True
        )
        raise typer.Exit(EXIT_CHECK_FAILED)
    typer.echo(say("All invariants hold.", "全部检查成立。"), err=True)


def show_checks(rows: Iterable[tuple[str, Check]]) -> None:
    """Print one row for each invariant of each service."""
    columns = ("service", "invariant", "holds", "text", "detail")
    show_rows(
        (
            {
                "service": text_value(service),
                "invariant": text_value(check.invariant),
                "holds": truth_value(check.holds),
                "text": text_value(check.text),
                "detail": text_value(check.detail),
            }
            for service, check in rows
        ),
        columns,
    )


async def check_all(channels: Channels, names: list[str]) -> Verification:
    """The checks of each service, and what services must hold alike."""
    undelivered: list[Phrase] = []
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
        detail="; ".join(map(str, undelivered)) or f"{len(names)} services compared",
    )
    return Verification(checks, [delivered, *await cross_checks(channels, names)])
