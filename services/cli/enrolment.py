"""`oip platforms`, `oip workers`: register platforms, enrol workers from a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc

from services.cli.apis import ENROLMENT
from services.cli.connection import (
    EXIT_ROWS_REFUSED,
    connection_of,
    day_of,
    new_request_id,
)
from services.cli.csv_files import read_rows
from services.cli.fields import choice_in
from services.cli.output import error_console, progress_bars
from services.cli.steps import REQUEST_ID, Change, add_step
from services.cli.tables import Row, show_rows
from services.cli.values import Value, count_value, enum_value, text_value
from services.cli.view import Format, say, view
from services.kernel import names
from services.runtime.rpc.wire import date_to_wire

Response = enrolment_pb2.EnrolWorkersResponse
Outcome = Response.Outcome
EnrolRow = enrolment_pb2.EnrolWorkersRequest.Row

COLUMNS = ("worker_number", "document_kind", "document_number", "phone", "enrol_date")
ROWS_AT_A_TIME = 5000
ROWS_MAX = 1_000_000
STORED = {Response.EXISTS, Response.CREATED}

platforms = typer.Typer(no_args_is_help=True, help="Platform companies (平台企业).")
add_step(
    platforms,
    "register",
    ENROLMENT,
    "RegisterPlatform",
    Change(("credit_code", "display_name", "industries")),
)

workers = typer.Typer(no_args_is_help=True, help="Workers of platforms (新就业形态人员).")


add_step(
    workers,
    "find",
    ENROLMENT,
    "FindWorker",
    Change(("document_number",), {"document_kind": "kind"}),
)


@workers.command()
def enrol(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            help=f"CSV with the columns {', '.join(COLUMNS)}; kind, phone and date may be empty."
        ),
    ],
    platform: Annotated[str, typer.Option(help="Credit code of the platform.")],
    request_id: Annotated[str, typer.Option(help=REQUEST_ID)] = "",
) -> None:
    """Enrol the workers of a file. Exit code 4 if rows were refused; they are listed.

    A worker who is enrolled already counts as stored, so that the file may be sent again.
    """
    code = platform.removeprefix("platforms/")
    rows = list(read_rows(file, COLUMNS, _row, ROWS_MAX))
    first = new_request_id("enrol", request_id)

    async def send(stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with progress_bars(error_console()) as bars:
            bar = bars.add_task(code, total=len(rows))
            for start in range(0, len(rows), ROWS_AT_A_TIME):
                part = rows[start : start + ROWS_AT_A_TIME]
                answer = await stub.EnrolWorkers(
                    enrolment_pb2.EnrolWorkersRequest(
                        request_id=f"{first}-{start}",
                        platform=names.name("platforms", code),
                        rows=part,
                    )
                )
                outcomes += answer.outcomes
                bars.update(bar, advance=len(part))
        return outcomes

    outcomes = connection_of(context).call(ENROLMENT, send, "platform", platform=code)
    refused = list(_refused(rows, outcomes))
    _show_counts(outcomes)
    if refused or view().format is not Format.TABLE:
        show_rows(refused, ("file_row", "worker_number", "status", "text"))
    if refused:
        raise typer.Exit(EXIT_ROWS_REFUSED)


def _row(row: Mapping[str, str]) -> EnrolRow:
    enrolled = EnrolRow(
        worker_number=row["worker_number"],
        document_number=row["document_number"],
        phone=row["phone"],
    )
    if row["document_kind"]:
        kind = enrolment_pb2.DocumentKind.DESCRIPTOR
        enrolled.document_kind = choice_in(kind, row["document_kind"])
    if row["enrol_date"]:
        enrolled.enrol_date.CopyFrom(date_to_wire(day_of(row["enrol_date"])))
    return enrolled


def _show_counts(outcomes: Sequence[Outcome]) -> None:
    counts = Counter(outcome.status for outcome in outcomes)
    for status, count in sorted(counts.items(), reverse=True):
        typer.echo(f"{_status(status).text}: {count:,}", err=True)


def _refused(rows: Sequence[EnrolRow], outcomes: Sequence[Outcome]) -> Iterator[Row]:
    """The rows that were not stored, by their place in the file, whose header is row 1."""
    for place, (row, outcome) in enumerate(zip(rows, outcomes, strict=True), start=2):
        if outcome.status not in STORED:
            yield {
                "file_row": count_value(place),
                "worker_number": text_value(row.worker_number),
                "status": _status(outcome.status),
                "text": text_value(say(outcome.text, outcome.text_zh)),
            }


def _status(number: int) -> Value:
    return enum_value(Outcome.DESCRIPTOR.fields_by_name["status"], number)
