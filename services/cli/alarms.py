"""`oip alarms`: numbers of a producer that came with two contents; list and resolve them."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from oip.operations.v1 import operations_pb2
from rich.table import Table

from services.cli.connection import Connection, connection_of, run
from services.cli.operations import require_service, stub_of
from services.cli.output import new_wide_console
from services.runtime.rpc.wire import moment_from_wire

app = typer.Typer(
    no_args_is_help=True,
    help="Events that came with two contents under one number (事件冲突告警).",
)


@app.command("list")
def list_alarms(
    context: typer.Context,
    resolved: Annotated[bool, typer.Option(help="Include resolved alarms.")] = False,
) -> None:
    """List alarms of all services, oldest first. An open one stops its producer's events."""
    connection = connection_of(context)
    alarms = run(lambda: _all_alarms(connection, resolved))
    if not alarms:
        typer.echo("There are no alarms.")
        return
    table = Table("service", "name", "event", "since", "resolution")
    for service, alarm in alarms:
        table.add_row(
            service,
            alarm.name,
            alarm.subject,
            f"{moment_from_wire(alarm.create_time, 'create_time'):%Y-%m-%d %H:%M:%SZ}",
            alarm.resolution or "open",
        )
    new_wide_console().print(table)


@app.command()
def resolve(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="eventAlarms/{producer}-{epoch}-{number}-{hash}")],
    service: Annotated[str, typer.Option(help="Service that raised the alarm.")],
    resolution: Annotated[str, typer.Option(help="What was found and done.")],
    request_id: Annotated[
        str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """Resolve an alarm, so that the producer's events are applied again."""
    connection = connection_of(context)
    require_service(connection, service)
    request = operations_pb2.ResolveEventAlarmRequest(
        name=name, resolution=resolution, request_id=request_id or f"resolve-{uuid.uuid4().hex}"
    )

    async def call() -> operations_pb2.EventAlarm:
        async with connection.channels("administrator") as channels:
            return await stub_of(channels, service).ResolveEventAlarm(request)

    alarm = run(call)
    typer.echo(f"{alarm.name} is resolved: {alarm.resolution}")


async def _all_alarms(
    connection: Connection, include_resolved: bool
) -> list[tuple[str, operations_pb2.EventAlarm]]:
    alarms = []
    async with connection.channels("administrator") as channels:
        for service in connection.addresses:
            stub, token = stub_of(channels, service), ""
            while True:
                answer = await stub.ListEventAlarms(
                    operations_pb2.ListEventAlarmsRequest(
                        page_token=token, include_resolved=include_resolved
                    )
                )
                alarms += [(service, alarm) for alarm in answer.event_alarms]
                token = answer.next_page_token
                if not token:
                    break
    return alarms
