"""`oip restore`: what to do when a database is older than what its service has published."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeAlias

import typer
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.cli.apis import operations_of
from services.cli.connection import Refused, all_pages, connection_of, new_request_id
from services.cli.fields import bytes_of
from services.cli.messages import show_message, show_messages, show_result
from services.cli.operations import require_service
from services.cli.resources import COLUMNS
from services.cli.steps import REQUEST_ID
from services.cli.view import Format, say, view

NAMES_AT_A_TIME = 1000

app = typer.Typer(
    no_args_is_help=True,
    help="Databases restored from an earlier copy (数据库恢复后的核对).",
)

Restored = Annotated[str, typer.Option(help="Service whose database was restored.")]
Stub: TypeAlias = "operations_pb2_grpc.OperationsServiceAsyncStub"


class HowResolved(Enum):
    """What became of a lost event."""

    TAKEN_BACK = "taken-back"
    KEPT = "kept"


@app.command()
def show(context: typer.Context, service: Restored) -> None:
    """Show what the stream and the consumers hold of a service and its database does not."""
    connection = connection_of(context)
    require_service(connection, service)
    request = operations_pb2.GetReconciliationRequest()
    answer = connection.call(operations_of(service), lambda stub: stub.GetReconciliation(request))
    if view().format is not Format.TABLE:
        show_message(answer)
        return
    for line in _sentences(service, answer):
        typer.echo(line)
    if answer.database_behind:
        show_messages(answer.lost_events, COLUMNS["lost-events"])
        typer.echo(
            f"  oip restore begin-epoch --service {service} --digest {answer.digest.hex()} "
            "--reason ..."
        )


@app.command("begin-epoch")
def begin_epoch(
    context: typer.Context,
    service: Restored,
    digest: Annotated[str, typer.Option(help="Digest that `oip restore show` printed.")],
    reason: Annotated[str, typer.Option(help="Which copy was restored, and why.")],
    request_id: Annotated[str, typer.Option(help=REQUEST_ID)] = "",
) -> None:
    """Take back the lost events and begin a new epoch, so that the service serves again.

    Repeat then what was done since the copy, and see `oip lost-events list`.
    """
    connection = connection_of(context)
    require_service(connection, service)
    request = operations_pb2.BeginEpochRequest(
        digest=bytes_of(digest), reason=reason, request_id=new_request_id("epoch", request_id)
    )
    show_result(connection.call(operations_of(service), lambda stub: stub.BeginEpoch(request)))


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
        raise Refused(
            "Name the lost events, or pass --subject for all open ones of a type.",
            "请指明丢失的事件, 或以 --subject 指定某一类型的全部未处理事件。",
        )

    async def resolved(stub: Stub) -> list[operations_pb2.LostEvent]:
        request = operations_pb2.ListLostEventsRequest()
        chosen = names or [
            event.name
            for event in await all_pages(stub.ListLostEvents, request, "lost_events")
            if event.subject == subject
        ]
        events: list[operations_pb2.LostEvent] = []
        for start in range(0, len(chosen), NAMES_AT_A_TIME):
            part = operations_pb2.ResolveLostEventsRequest(
                request_id=new_request_id("resolve"),
                names=chosen[start : start + NAMES_AT_A_TIME],
                resolution=operations_pb2.LostEvent.Resolution.Value(resolution.name),
                reason=reason,
            )
            events += (await stub.ResolveLostEvents(part)).lost_events
        return events

    show_messages(connection.call(operations_of(service), resolved), COLUMNS["lost-events"])


def _sentences(service: str, answer: operations_pb2.Reconciliation) -> list[str]:
    lines = [
        say(
            f"{silent} does not answer; start it first if it consumes {service}.",
            f"{silent} 无应答; 如其接收 {service} 的事件, 请先启动。",
        )
        for silent in answer.silent_services
    ]
    lines += [
        say(
            f"Epoch {epoch.epoch} began after {epoch.lost_event_count} lost events: {epoch.reason}",
            f"序列 {epoch.epoch} 始于丢失 {epoch.lost_event_count} 个事件之后: {epoch.reason}",
        )
        for epoch in answer.epochs
        if epoch.reason
    ]
    if not answer.database_behind:
        whole = f"The database of {service} holds all that was published."
        return [*lines, say(whole, f"{service} 的数据库与已发布内容一致。")]
    return [
        *lines,
        *answer.differences,
        say(
            f"{service} has {answer.published_seq} events in epoch {answer.epoch}; "
            f"{answer.lost_event_count} are lost, the first {len(answer.lost_events)} are shown. "
            "If no later copy exists:",
            f"{service} 在序列 {answer.epoch} 中有 {answer.published_seq} 个事件, 丢失 "
            f"{answer.lost_event_count} 个, 以下为前 {len(answer.lost_events)} 个。如无更近的备份:",
        ),
    ]
