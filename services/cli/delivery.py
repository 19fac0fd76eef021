"""`oip delivery`: how far events have been published and consumed, and how full the streams are."""

from __future__ import annotations

from collections.abc import Mapping

import typer
from oip.operations.v1 import operations_pb2
from rich.table import Table

from services.cli.connection import EXIT_CHECK_FAILED, connection_of, run
from services.cli.output import new_wide_console
from services.runtime.events.streams import StreamUsage
from services.runtime.service.delivery import deliveries, missing

MIB = 1 << 20

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
    console = new_wide_console()
    console.print(_table(answers))
    for sentence in missing(answers):
        console.print(f"{sentence}.")
    full = [service for service, answer in answers.items() if _usage(answer).is_nearly_full]
    for service in full:
        console.print(
            f"[red]The stream of {service} is nearly full: find out which events fill it, and "
            "enlarge it in a release (deploy/README.md).[/]"
        )
    if full:
        raise typer.Exit(EXIT_CHECK_FAILED)


def _table(answers: Deliveries) -> Table:
    titles = ("written", "published", "consumed", "dead letters", "alarms", "rejected", "stream")
    table = Table("service", *titles)
    for service, answer in answers.items():
        table.add_row(
            service,
            f"{answer.written_count:,}",
            f"{answer.published_seq:,}",
            ", ".join(f"{row.event_count:,} of {row.producer}" for row in answer.consumed),
            f"{answer.open_dead_letter_count:,}",
            f"{answer.open_alarm_count:,}",
            f"{answer.rejected_message_count:,}",
            _size(_usage(answer)),
        )
    return table


def _usage(answer: operations_pb2.Delivery) -> StreamUsage:
    return StreamUsage(answer.stream_bytes, answer.stream_bytes_max)


def _size(usage: StreamUsage) -> str:
    if not usage.bytes_max:
        return "not known"
    share = 100 * usage.bytes // usage.bytes_max
    return f"{usage.bytes / MIB:,.1f} of {usage.bytes_max / MIB:,.1f} MiB ({share} %)"
