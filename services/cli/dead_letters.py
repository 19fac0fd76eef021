"""`oip dead-letters`: events that a service could not handle; look at them, have them retried."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from rich.console import Console
from rich.table import Table

from services.cli.desk import Desk, Refused, desk_of, run
from services.runtime.rpc.client import Channels
from services.runtime.rpc.wire import moment_from_wire

app = typer.Typer(no_args_is_help=True, help="Events that a service could not handle (死信).")

Service = Annotated[str, typer.Option(help="One service only; default: all.")]


@app.command("list")
def list_letters(
    context: typer.Context,
    service: Service = "",
    settled: Annotated[bool, typer.Option(help="Also those that were settled.")] = False,
) -> None:
    """Show dead letters, oldest first."""
    desk = desk_of(context)
    found = run(lambda: _all_letters(desk, _wanted(desk, service), settled))
    if not found:
        typer.echo("There are no dead letters.")
        return
    table = Table("service", "name", "event", "error", "put aside", "settled")
    for name, letter in found:
        table.add_row(
            name,
            letter.name,
            letter.event.subject,
            letter.error,
            f"{moment_from_wire(letter.create_time, 'create_time'):%Y-%m-%d %H:%M:%SZ}",
            "yes" if letter.HasField("resolve_time") else "no",
        )
    Console(soft_wrap=not Console().is_terminal).print(table)


@app.command()
def retry(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="deadLetters/{producer}-{epoch}-{number}")],
    service: Annotated[str, typer.Option(help="The service that could not handle it.")],
    request_id: Annotated[
        str, typer.Option(help="Give the one of an attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """Have a dead letter handled once more."""
    desk = desk_of(context)
    _wanted(desk, service)
    chosen = request_id or f"retry-{uuid.uuid4().hex}"

    async def ask() -> operations_pb2.DeadLetter:
        async with desk.channels("administrator") as channels:
            stub = _stub(channels, service)
            return await stub.RetryDeadLetter(
                operations_pb2.RetryDeadLetterRequest(name=name, request_id=chosen)
            )

    letter = run(ask)
    typer.echo(f"{letter.name} is settled.")


async def _all_letters(
    desk: Desk, services: Iterable[str], include_resolved: bool
) -> list[tuple[str, operations_pb2.DeadLetter]]:
    found = []
    async with desk.channels("administrator") as channels:
        for service in services:
            stub, token = _stub(channels, service), ""
            while True:
                answer = await stub.ListDeadLetters(
                    operations_pb2.ListDeadLettersRequest(
                        page_token=token, include_resolved=include_resolved
                    )
                )
                found += [(service, letter) for letter in answer.dead_letters]
                token = answer.next_page_token
                if not token:
                    break
    return found


def _stub(channels: Channels, service: str) -> operations_pb2_grpc.OperationsServiceAsyncStub:
    return channels.stub(operations_pb2_grpc.OperationsServiceStub, service)


def _wanted(desk: Desk, service: str) -> list[str]:
    names = list(desk.addresses)
    if service and service not in names:
        raise Refused(f"There is no service {service}; the services are {', '.join(names)}.")
    return [service] if service else names
