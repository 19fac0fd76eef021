"""`oip lives`: death, absence and return of workers, and money to be given back."""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import claims_pb2
from rich.table import Table

from services.cli.connection import Refused, connection_of, day_of, run
from services.cli.documents import hash_of
from services.cli.output import new_wide_console
from services.cli.reversals import RequestId
from services.kernel.money import Fen
from services.runtime.rpc.wire import date_to_wire

app = typer.Typer(
    no_args_is_help=True,
    help="Record deaths, absences and returns of workers (死亡、下落不明、生还).",
)

PAGE_SIZE = 1000
CAUSES = {"injury": benefits_pb2.LifeEvent.INJURY, "other": benefits_pb2.LifeEvent.OTHER}
KEYS = {
    "id",
    "relation",
    "born",
    "male",
    "disabled",
    "alone",
    "supported",
    "support_document",
    "nearer_kin",
}

Claim = Annotated[str, typer.Argument(help="Claim of the injury, for example claims/c1.")]
Document = Annotated[
    Path, typer.Option(help="File that shows it: certificate, judgment, report of the police.")
]
Reason = Annotated[str, typer.Option(help="What happened.")]
Kin = Annotated[
    Path | None,
    typer.Option(
        help="TOML file with a [[survivors]] table for each person whom the worker supported: "
        "id, relation, born, supported, support_document (a file), and where they apply male, "
        "disabled, alone, nearer_kin (able, dead or unable)."
    ),
]


@app.command()
def dead(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claim: Claim,
    day: Annotated[str, typer.Argument(help="Day of death; after an absence, as the judgment.")],
    document: Document,
    reason: Reason,
    cause: Annotated[str, typer.Option(help="injury or other; not needed with grade 1 to 4.")] = "",
    kin: Kin = None,
    request_id: RequestId = "",
) -> None:
    """Record a later death. Monthly benefits of the worker end with its month."""
    if cause and cause not in CAUSES:
        raise Refused(f"{cause} is not a cause; choose injury or other.")
    request = _request(claim, document, reason, request_id, kin)
    request.state = benefits_pb2.LifeEvent.DEAD
    request.day.CopyFrom(date_to_wire(day_of(day)))
    if cause:
        request.cause = CAUSES[cause]
    _record(context, request)


@app.command()
def missing(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claim: Claim,
    document: Document,
    reason: Reason,
    kin: Kin = None,
    hardship: Annotated[
        bool, typer.Option("--hardship", help="Pay half of the death grant in advance.")
    ] = False,
    request_id: RequestId = "",
) -> None:
    """Record that a worker is missing since the accident; pensions begin with the fourth month."""
    request = _request(claim, document, reason, request_id, kin)
    request.state = benefits_pb2.LifeEvent.MISSING
    request.hardship = hardship
    _record(context, request)


@app.command()
def alive(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claim: Claim,
    day: Annotated[str, typer.Argument(help="Day of the return, or on which the mistake showed.")],
    document: Document,
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Record that a worker is alive: undoes a death or an absence; what was paid is recovered."""
    request = _request(claim, document, reason, request_id, None)
    request.state = benefits_pb2.LifeEvent.ALIVE
    request.day.CopyFrom(date_to_wire(day_of(day)))
    _record(context, request)


@app.command("list")
def list_events(context: typer.Context, claim: Claim) -> None:
    """List what was recorded on a claim's accident, with the reasons for what it gives."""
    connection = connection_of(context)
    request = benefits_pb2.ListLifeEventsRequest(claim=claim, page_size=PAGE_SIZE)

    async def call() -> benefits_pb2.ListLifeEventsResponse:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
            return await stub.ListLifeEvents(request)

    for event in run(call).life_events:
        typer.echo("\n".join(_lines(event)))


@app.command()
def recoveries(context: typer.Context, claim: Claim) -> None:
    """List money of a claim's accident that has to be given back, oldest first."""
    connection = connection_of(context)
    request = benefits_pb2.ListRecoveriesRequest(claim=claim, page_size=PAGE_SIZE)

    async def call() -> benefits_pb2.ListRecoveriesResponse:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
            return await stub.ListRecoveries(request)

    table = Table("recovery", "award", "beneficiary", "yuan", "reason")
    for recovery in run(call).recoveries:
        table.add_row(
            recovery.name,
            recovery.award,
            recovery.beneficiary,
            Fen(recovery.amount_fen).yuan,
            recovery.reason,
        )
    new_wide_console().print(table)


def _request(
    claim: str, document: Path, reason: str, request_id: str, kin: Path | None
) -> benefits_pb2.RecordLifeEventRequest:
    return benefits_pb2.RecordLifeEventRequest(
        request_id=request_id or f"life-{uuid.uuid4().hex}",
        claim=claim,
        document_hash=hash_of(document),
        reason=reason,
        survivors=_survivors(kin) if kin else [],
    )


def _record(context: typer.Context, request: benefits_pb2.RecordLifeEventRequest) -> None:
    connection = connection_of(context)

    async def call() -> benefits_pb2.LifeEvent:
        async with connection.channels("fund_officer") as channels:
            stub = channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
            return await stub.RecordLifeEvent(request)

    typer.echo("\n".join(_lines(run(call))))


def _lines(event: benefits_pb2.LifeEvent) -> list[str]:
    day = f" on {date(event.day.year, event.day.month, event.day.day)}" if event.day.year else ""
    state = benefits_pb2.LifeEvent.State.Name(event.state)
    return [
        f"{event.name}: {event.claim} {state}{day}, by {event.member}: {event.reason}",
        *(f"  {finding.text}" for finding in event.findings),
    ]


def _survivors(path: Path) -> Iterator[claims_pb2.Survivor]:
    try:
        rows = tomllib.loads(path.read_text(encoding="utf-8")).get("survivors", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Refused(f"{path} cannot be read as TOML ({error}); check the file.") from error
    for row in rows:
        try:
            yield _survivor(row, path.parent)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Refused(f"{path}: a survivor is not as the help says ({error}).") from error


def _survivor(row: dict[str, Any], folder: Path) -> claims_pb2.Survivor:
    if unknown := set(row) - KEYS:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    survivor = claims_pb2.Survivor(
        survivor_id=row["id"],
        relation=claims_pb2.Survivor.Relation.Value(row["relation"].upper()),
        birth_date=date_to_wire(row["born"]),
        male=row.get("male", False),
        totally_disabled=row.get("disabled", False),
        alone=row.get("alone", False),
    )
    if "nearer_kin" in row:
        survivor.nearer_kin = claims_pb2.Survivor.NearerKin.Value(row["nearer_kin"].upper())
    if "supported" in row:
        survivor.supported = row["supported"]
    if "support_document" in row:
        survivor.support_document_hash = hash_of(folder / row["support_document"])
    return survivor
