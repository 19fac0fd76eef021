"""`oip dead-letters`: events that a service could not handle; list, retry, dismiss them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated

import typer
from oip.operations.v1 import operations_pb2
from rich.table import Table

from services.cli.connection import Connection, connection_of, run
from services.cli.operations import require_service, services_named, stub_of
from services.cli.output import new_wide_console
from services.runtime.rpc.wire import enum_number, moment_from_wire

app = typer.Typer(no_args_is_help=True, help="Events that a service could not handle (死信).")

DISMISSAL_CODES = {
    name.lower().replace("_", "-"): number
    for name, number in operations_pb2.DismissalCode.items()[1:]
}

Service = Annotated[str, typer.Option(help="One service; default: all.")]


@app.command("list")
def list_letters(
    context: typer.Context,
    service: Service = "",
    resolved: Annotated[bool, typer.Option(help="Include resolved dead letters.")] = False,
) -> None:
    """List dead letters, oldest first."""
    connection = connection_of(context)
    letters = run(lambda: _all_letters(connection, services_named(connection, service), resolved))
    if not letters:
        typer.echo("There are no dead letters.")
        return
    table = Table("service", "name", "event", "error", "since", "resolved")
    for name, letter in letters:
        table.add_row(
            name,
            letter.name,
            letter.event.subject,
            letter.error,
            f"{moment_from_wire(letter.create_time, 'create_time'):%Y-%m-%d %H:%M:%SZ}",
            _resolution(letter),
        )
    new_wide_console().print(table)


@app.command()
def retry(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="deadLetters/{producer}-{epoch}-{number}")],
    service: Annotated[str, typer.Option(help="Service that could not handle the event.")],
    request_id: Annotated[
        str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """Retry a dead letter."""
    connection = connection_of(context)
    require_service(connection, service)
    request = operations_pb2.RetryDeadLetterRequest(
        name=name, request_id=request_id or f"retry-{uuid.uuid4().hex}"
    )

    async def call() -> operations_pb2.DeadLetter:
        async with connection.channels("administrator") as channels:
            return await stub_of(channels, service).RetryDeadLetter(request)

    letter = run(call)
    typer.echo(f"{letter.name} is resolved.")


@app.command()
def dismiss(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="deadLetters/{producer}-{epoch}-{number}")],
    service: Annotated[str, typer.Option(help="Service that could not handle the event.")],
    code: Annotated[str, typer.Option(help=f"One of {', '.join(DISMISSAL_CODES)}.")],
    reason: Annotated[str, typer.Option(help="Why its effect is not needed.")],
    request_id: Annotated[
        str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """Dismiss a dead letter that no retry can handle; it stays without effect, with why."""
    connection = connection_of(context)
    require_service(connection, service)
    if code not in DISMISSAL_CODES:
        raise typer.BadParameter(f"choose one of {', '.join(DISMISSAL_CODES)}")
    request = operations_pb2.DismissDeadLetterRequest(
        name=name,
        code=enum_number(DISMISSAL_CODES[code]),
        reason=reason,
        request_id=request_id or f"dismiss-{uuid.uuid4().hex}",
    )

    async def call() -> operations_pb2.DeadLetter:
        async with connection.channels("administrator") as channels:
            return await stub_of(channels, service).DismissDeadLetter(request)

    letter = run(call)
    typer.echo(f"{letter.name} is dismissed: {_resolution(letter)}")


def _resolution(letter: operations_pb2.DeadLetter) -> str:
    if letter.dismissal_code:
        code = operations_pb2.DismissalCode.Name(letter.dismissal_code)
        return f"{code.lower().replace('_', '-')}: {letter.dismissal}"
    return "yes" if letter.HasField("resolve_time") else "no"


async def _all_letters(
    connection: Connection, services: Iterable[str], include_resolved: bool
) -> list[tuple[str, operations_pb2.DeadLetter]]:
    letters = []
    async with connection.channels("administrator") as channels:
        for service in services:
            stub, token = stub_of(channels, service), ""
            while True:
                answer = await stub.ListDeadLetters(
                    operations_pb2.ListDeadLettersRequest(
                        page_token=token, include_resolved=include_resolved
                    )
                )
                letters += [(service, letter) for letter in answer.dead_letters]
                token = answer.next_page_token
                if not token:
                    break
    return letters
