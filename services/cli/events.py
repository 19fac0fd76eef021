"""`oip dead-letters`, `oip alarms`, `oip events`: what went wrong with events."""

from __future__ import annotations

from typing import Annotated

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.cli.apis import OPERATIONS, operations_of
from services.cli.connection import connection_of
from services.cli.operations import require_service
from services.cli.steps import Change, add_step
from services.cli.tables import Row, show_rows
from services.cli.values import count_value, text_value

dead_letters = typer.Typer(
    no_args_is_help=True, help="Events that a service could not handle (死信)."
)
add_step(dead_letters, "retry", OPERATIONS, "RetryDeadLetter")
add_step(dead_letters, "dismiss", OPERATIONS, "DismissDeadLetter")

alarms = typer.Typer(
    no_args_is_help=True,
    help="Events that came with two contents under one number (事件冲突告警).",
)
add_step(alarms, "resolve", OPERATIONS, "ResolveEventAlarm", Change())

events = typer.Typer(no_args_is_help=True, help="Events that a service has published (已发布事件).")


@events.callback()
def of_events() -> None:
    """Events that a service has published (已发布事件)."""


@events.command("list")
def list_events(
    context: typer.Context,
    service: Annotated[str, typer.Option(help="The service that published them.")],
    from_seq: Annotated[int, typer.Option(min=1, help="The first number.")] = 1,
    epoch: Annotated[str, typer.Option(help="Its epoch; default: the current one.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
) -> None:
    """List events with their numbers and sizes; what they say of persons is encrypted."""
    connection = connection_of(context)
    require_service(connection, service)
    request = operations_pb2.ReplayRequest(epoch=epoch, from_seq=from_seq)

    async def read(stub: operations_pb2_grpc.OperationsServiceAsyncStub) -> list[Row]:
        rows: list[Row] = []
        async for envelope in stub.Replay(request):
            rows.append(_row(envelope))
            if len(rows) == limit:
                break
        return rows

    columns = ("pub_seq", "epoch", "subject", "byte_count", "key_id")
    show_rows(connection.call(operations_of(service), read), columns)


def _row(envelope: operations_pb2.EventEnvelope) -> Row:
    return {
        "pub_seq": count_value(envelope.pub_seq),
        "epoch": text_value(envelope.epoch),
        "subject": text_value(envelope.subject),
        "byte_count": count_value(len(envelope.payload)),
        "key_id": text_value(envelope.key_id),
    }
