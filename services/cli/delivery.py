"""`oip delivery`: how far events have been published and consumed, and how full the streams are."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from oip.operations.v1 import operations_pb2

from services.cli.connection import EXIT_CHECK_FAILED, connection_of, run
from services.cli.tables import Row, show_rows
from services.cli.values import count_value, text_value
from services.cli.view import language, say
from services.runtime.events.streams import StreamUsage
from services.runtime.service.delivery import deliveries, missing

MIB = 1 << 20

COLUMNS = (
    "service",
    "written_count",
    "published_seq",
    "consumed",
    "dead_letters",
    "alarms",
    "rejected",
    "stream",
)

Deliveries = Mapping[str, operations_pb2.Delivery]


def delivery(context: typer.Context) -> None:
    """Show events published and consumed by each service. Exit code 1 if a stream is nearly full.

    A full stream refuses events; they wait in their service and are published when older ones
    expire.
    """
    connection = connection_of(context)

    async def call() -> Deliveries:
        async with connection.channels("administrator") as channels:
            return await deliveries(channels, list(connection.addresses))

    answers = run(call)
    show_rows((_row(service, answer) for service, answer in answers.items()), COLUMNS)
    end = say(".", "。")
    for phrase in missing(answers):
        typer.echo(f"{phrase.text(language())}{end}", err=True)
    full = [service for service, answer in answers.items() if _usage(answer).is_nearly_full]
    for service in full:
        typer.echo(
            say(
                f"The stream of {service} is nearly full: find out which events fill it, and "
                "enlarge it in a release (deploy/README.md).",
                f"{service} 的事件流即将写满: 请查明原因, 并在下一版本中扩容 (deploy/README.md)。",
            ),
            err=True,
        )
    if full:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _row(service: str, answer: operations_pb2.Delivery) -> Row:
    return {
        "service": text_value(service),
        "written_count": count_value(answer.written_count),
        "published_seq": count_value(answer.published_seq),
        "consumed": text_value(
            ", ".join(f"{row.producer} {row.event_count:,}" for row in answer.consumed)
        ),
        "dead_letters": count_value(answer.open_dead_letter_count),
        "alarms": count_value(answer.open_alarm_count),
        "rejected": count_value(answer.rejected_message_count),
        "stream": text_value(_size(_usage(answer))),
    }


def _usage(answer: operations_pb2.Delivery) -> StreamUsage:
    return StreamUsage(answer.stream_bytes, answer.stream_bytes_max)


def _size(usage: StreamUsage) -> str:
    if not usage.bytes_max:
        return say("not known", "未知")
    share = 100 * usage.bytes // usage.bytes_max
    return f"{usage.bytes / MIB:,.1f} / {usage.bytes_max / MIB:,.1f} MiB ({share} %)"
