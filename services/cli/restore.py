"""`oip restore`: what to do when a database is older than what its service has published."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import typer
from oip.operations.v1 import operations_pb2
from rich.table import Table

from services.cli.connection import Connection, Refused, connection_of, run
from services.cli.operations import require_service, services_named, stub_of
from services.cli.output import new_wide_console

NAMES_AT_A_TIME = 1000

app = typer.Typer(
    no_args_is_help=True,
    help="Databases restored from an earlier copy (数据库恢复后的核对).",
)


class HowResolved(Enum):
    """What became of a lost event."""

    TAKEN_BACK = "taken-back"
    KEPT = "kept"


@app.command()
def show(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Service whose database was restored.")],
) -> None:
    """Show what the stream and the consumers hold of a service and its database does not."""
    connection = connection_of(context)
    require_service(connection, service)

    async def call() -> operations_pb2.Reconciliation:
        async with connection.channels("administrator") as channels:
            request = operations_pb2.GetReconciliationRequest()
            return await stub_of(channels, service).GetReconciliation(request)

    answer = run(call)
    for silent in answer.silent_services:
        typer.echo(f"{silent} does not answer; start it first if it consumes {service}.")
    for epoch in answer.epochs:
        if epoch.reason:
            typer.echo(
                f"Epoch {epoch.epoch} began after {epoch.lost_event_count} lost events:"
                f" {epoch.reason}"
            )
    if not answer.database_behind:
        typer.echo(f"The database of {service} holds all that was published.")
        return
    for sentence in answer.differences:
        typer.echo(sentence)
    new_wide_console().print(_table((service, event) for event in answer.lost_events))
    if answer.lost_event_count > len(answer.lost_events):
        typer.echo(f"Shown are the first {len(answer.lost_events)} of {answer.lost_event_count}.")
    typer.echo(
        f"{service} has {answer.published_seq} events in epoch {answer.epoch};"
        f" {answer.lost_event_count} are lost. If no later copy exists:"
    )
    typer.echo(
        f"  oip restore begin-epoch --service {service} --digest {answer.digest.hex()} --reason ..."
    )


@app.command("begin-epoch")
def begin_epoch(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Service whose database was restored.")],
    digest: Annotated[str, typer.Option(help="Digest that `oip restore show` printed.")],
    reason: Annotated[str, typer.Option(help="Which copy was restored, and why.")],
    request_id: Annotated[
        str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """Take back the lost events and begin a new epoch, so that the service serves again."""
    connection = connection_of(context)
    require_service(connection, service)
    try:
        raw = bytes.fromhex(digest)
    except ValueError as error:
        raise Refused("--digest is the long hexadecimal number of `oip restore show`.") from error
    request = operations_pb2.BeginEpochRequest(
        digest=raw, reason=reason, request_id=request_id or f"epoch-{uuid.uuid4().hex}"
    )

    async def call() -> operations_pb2.Epoch:
        async with connection.channels("administrator") as channels:
            return await stub_of(channels, service).BeginEpoch(request)

    epoch = run(call)
    typer.echo(
        f"{service} is in epoch {epoch.epoch}; {epoch.lost_event_count} lost events are taken back."
        " Repeat what was done since the copy, then see `oip restore lost`."
    )


@app.command()
def lost(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Only those of this service.")] = "",
    resolved: Annotated[bool, typer.Option(help="Include resolved ones.")] = False,
) -> None:
    """List lost events. One that blocks keeps others of its type from being published."""
    connection = connection_of(context)
    names = services_named(connection, service)
    rows = run(lambda: _all_lost(connection, names, resolved))
    if not rows:
        typer.echo("There are no lost events.")
        return
    new_wide_console().print(_table(rows))


@app.command()
def resolve(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    service: Annotated[str, typer.Option(help="Service that lost the events.")],
    resolution: Annotated[
        HowResolved,
        typer.Option(
            "--as",
            help="taken-back: undone in every consumer; kept: its effect stays (not if it blocks).",
        ),
    ],
    reason: Annotated[str, typer.Option(help="What was found and done.")],
    names: Annotated[
        list[str] | None, typer.Argument(help="lostEvents/{epoch}-{number}-{hash} ...")
    ] = None,
    subject: Annotated[
        str, typer.Option(help="Instead of names: all open ones of this type of event.")
    ] = "",
) -> None:
    """Resolve lost events that no command makes again."""
    connection = connection_of(context)
    require_service(connection, service)
    if bool(names) == bool(subject):
        raise Refused("Name the lost events, or pass --subject for all open ones of a type.")

    async def call() -> int:
        chosen = names or [
            event.name
            for _, event in await _all_lost(connection, [service], include_resolved=False)
            if event.subject == subject
        ]
        async with connection.channels("administrator") as channels:
            for start in range(0, len(chosen), NAMES_AT_A_TIME):
                await stub_of(channels, service).ResolveLostEvents(
                    operations_pb2.ResolveLostEventsRequest(
                        request_id=f"resolve-{uuid.uuid4().hex}",
                        names=chosen[start : start + NAMES_AT_A_TIME],
                        resolution=operations_pb2.LostEvent.Resolution.Value(resolution.name),
                        reason=reason,
                    )
                )
        return len(chosen)

    typer.echo(f"{run(call)} lost events of {service} are resolved.")


def _table(rows: Iterable[tuple[str, operations_pb2.LostEvent]]) -> Table:
    table = Table("service", "name", "event", "what it says", "holders", "blocks", "resolution")
    for service, event in rows:
        resolution = operations_pb2.LostEvent.Resolution.Name(event.resolution)
        table.add_row(
            service,
            event.name,
            event.subject,
            event.summary,
            ", ".join(event.holders),
            "yes" if event.blocks else "no",
            f"{resolution} {event.reason}".strip() if event.resolution else "open",
        )
    return table


async def _all_lost(
    connection: Connection, services: Iterable[str], include_resolved: bool
) -> list[tuple[str, operations_pb2.LostEvent]]:
    events = []
    async with connection.channels("administrator") as channels:
        for service in services:
            stub, token = stub_of(channels, service), ""
            while True:
                answer = await stub.ListLostEvents(
                    operations_pb2.ListLostEventsRequest(
                        page_size=1000, page_token=token, include_resolved=include_resolved
                    )
                )
                events += [(service, event) for event in answer.lost_events]
                token = answer.next_page_token
                if not token:
                    break
    return events
