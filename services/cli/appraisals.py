"""`oip appraisals`: apply, documents, panel, time limits; conclusions.py has what follows."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

import typer
from google.type.date_pb2 import Date
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from rich.table import Table

from services.cli.connection import Connection, Refused, connection_of, day_of, run
from services.cli.output import new_wide_console
from services.runtime.rpc.wire import date_to_wire, enum_number

app = typer.Typer(no_args_is_help=True, help="Appraisals of confirmed injuries (劳动能力鉴定).")

ROLE = "appraiser"
PAGE_SIZE = 1000

Name: TypeAlias = Annotated[str, typer.Argument(help="appraisals/{id}")]
Reason: TypeAlias = Annotated[str, typer.Option(help="Reason in words; it is recorded.")]
RequestId: TypeAlias = Annotated[
    str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
]
Call: TypeAlias = Callable[[Any], Awaitable[Any]]


@app.command()
def invited(context: typer.Context) -> None:
    """List confirmed claims that expect a disability, without an open appraisal or a conclusion."""
    connection, table = connection_of(context), Table("claim", "worker", "accident")

    async def rows(stub: Any) -> list[grading_pb2.Invitation]:
        request = grading_pb2.ListInvitationsRequest(page_size=PAGE_SIZE)
        return await pages(lambda: stub.ListInvitations(request), request, "invitations")

    for row in call_grading(connection, rows):
        table.add_row(row.claim, row.worker, day_text(row.accident_date))
    new_wide_console().print(table)


@app.command("list")
def list_appraisals(
    context: typer.Context,
    claim: Annotated[str, typer.Option(help="Only those of this claim, claims/{id}.")] = "",
    state: Annotated[str, typer.Option(help="Only those in this state, such as opened.")] = "",
) -> None:
    """List appraisals by due date."""
    states = [number_of(grading_pb2.Appraisal.State, state)] if state else []
    connection = connection_of(context)

    async def rows(stub: Any) -> list[grading_pb2.Appraisal]:
        request = grading_pb2.ListAppraisalsRequest(claim=claim, states=states, page_size=PAGE_SIZE)
        return await pages(lambda: stub.ListAppraisals(request), request, "appraisals")

    table = Table("appraisal", "claim", "level", "state", "due", "grade", "serve by", "revision")
    for row in call_grading(connection, rows):
        table.add_row(
            row.name,
            row.claim,
            grading_pb2.Appraisal.Level.Name(row.level),
            grading_pb2.Appraisal.State.Name(row.state),
            day_text(row.due_date),
            str(row.grade or ""),
            day_text(row.serve_due_date),
            str(row.revision),
        )
    new_wide_console().print(table)


@app.command("apply")
def apply_for(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    about: Annotated[
        str, typer.Argument(help="claims/{id}, or the conclusion appraisals/{id} to contest")
    ],
    level: Annotated[str, typer.Option(help="first, re-appraisal or review.")] = "first",
    applicant: Annotated[
        str, typer.Option(help="worker, next-of-kin, platform or agency (for a review).")
    ] = "worker",
    received: Annotated[
        str, typer.Option(help="Day on which the committee received it; default: today.")
    ] = "",
    inability: Annotated[
        str, typer.Option(help="Why the worker is unable to apply; for next of kin.")
    ] = "",
    request_id: RequestId = "",
) -> None:
    """Apply for an appraisal, or enter an application on paper."""
    is_claim = about.startswith("claims/")
    request = grading_pb2.OpenAppraisalRequest(
        request_id=new_id("apply", request_id),
        claim=about if is_claim else "",
        previous="" if is_claim else about,
        level=number_of(grading_pb2.Appraisal.Level, level),
        applicant=number_of(grading_pb2.Applicant, applicant),
        application_date=date_to_wire(day_of(received)) if received else None,
        inability=inability,
    )
    opened = call_grading(connection_of(context), lambda stub: stub.OpenAppraisal(request))
    typer.echo(f"{opened.name} is open; the conclusion is due by {day_text(opened.due_date)}.")


@app.command("request-documents")
def request_documents(
    context: typer.Context,
    name: Name,
    documents: Annotated[str, typer.Option(help="All documents that are missing.")],
    until: Annotated[str, typer.Option(help="Day until which they have to come.")],
    request_id: RequestId = "",
) -> None:
    """Ask the applicant for missing documents, once."""
    request = grading_pb2.RequestDocumentsRequest(
        request_id=new_id("request-documents", request_id),
        name=name,
        documents=documents,
        documents_date=date_to_wire(day_of(until)),
    )
    _step(context, lambda stub: stub.RequestDocuments(request))


@app.command("documents")
def documents_came(context: typer.Context, name: Name, request_id: RequestId = "") -> None:
    """Record that the missing documents have come."""
    request = grading_pb2.RecordDocumentsRequest(
        request_id=new_id("documents", request_id), name=name
    )
    _step(context, lambda stub: stub.RecordDocuments(request))


@app.command()
def abandon(context: typer.Context, name: Name, request_id: RequestId = "") -> None:
    """End an application whose missing documents did not come by their day."""
    request = grading_pb2.AbandonAppraisalRequest(
        request_id=new_id("abandon", request_id), name=name
    )
    _step(context, lambda stub: stub.AbandonAppraisal(request))


@app.command()
def withdraw(
    context: typer.Context,
    name: Name,
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Withdraw an application before a panel is drawn: its applicant, or the committee on paper."""
    request = grading_pb2.WithdrawAppraisalRequest(
        request_id=new_id("withdraw", request_id), name=name, reason=reason
    )
    _step(context, lambda stub: stub.WithdrawAppraisal(request))


@app.command()
def draw(
    context: typer.Context,
    name: Name,
    size: Annotated[int, typer.Option(help="3 or 5 specialists.")] = 3,
    request_id: RequestId = "",
) -> None:
    """Draw the panel."""
    request = grading_pb2.DrawPanelRequest(
        request_id=new_id("draw", request_id), name=name, panel_size=size
    )
    drawn = _step(context, lambda stub: stub.DrawPanel(request))
    for member in drawn.panel:
        typer.echo(f"  {member.name} {member.field} {member.member}")


@app.command()
def adjourn(
    context: typer.Context,
    name: Name,
    until: Annotated[str, typer.Option(help="Day on which the panel meets again.")],
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Adjourn the examination for a further check; the time limit moves by these days."""
    request = grading_pb2.AdjournAppraisalRequest(
        request_id=new_id("adjourn", request_id),
        name=name,
        until_date=date_to_wire(day_of(until)),
        reason=reason,
    )
    _step(context, lambda stub: stub.AdjournAppraisal(request))


@app.command()
def defer(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Name,
    until: Annotated[str, typer.Option(help="First day on which a panel may be drawn.")],
    reason: Reason,
    injury: Annotated[
        str, typer.Option(help="Slowest injury to heal, such as simple-fracture.")
    ] = "",
    request_id: RequestId = "",
) -> None:
    """Wait until the condition is stable."""
    request = grading_pb2.DeferAppraisalRequest(
        request_id=new_id("defer", request_id),
        name=name,
        until_date=date_to_wire(day_of(until)),
        reason=reason,
        injury_kind=number_of(grading_pb2.InjuryKind, injury) if injury else enum_number(0),
    )
    _step(context, lambda stub: stub.DeferAppraisal(request))


@app.command()
def extend(context: typer.Context, name: Name, reason: Reason, request_id: RequestId = "") -> None:
    """Extend the time limit of a complex case, once."""
    request = grading_pb2.ExtendAppraisalRequest(
        request_id=new_id("extend", request_id), name=name, reason=reason
    )
    _step(context, lambda stub: stub.ExtendAppraisal(request))


@app.command()
def absence(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Name,
    day: Annotated[str, typer.Option(help="Day of the examination.")],
    code: Annotated[str, typer.Option(help="absent, refused or deceit.")] = "absent",
    excused: Annotated[bool, typer.Option("--excused", help="There was a good reason.")] = False,
    request_id: RequestId = "",
) -> None:
    """Record that an examination did not take place; without a good reason it ends."""
    request = grading_pb2.RecordAbsenceRequest(
        request_id=new_id("absence", request_id),
        name=name,
        examination_date=date_to_wire(day_of(day)),
        excused=excused,
        code=number_of(grading_pb2.AbsenceCode, code),
    )
    _step(context, lambda stub: stub.RecordAbsence(request))


@app.command()
def resume(context: typer.Context, name: Name, reason: Reason, request_id: RequestId = "") -> None:
    """Take back the end by an absence, a refusal or deceit; another person signs it."""
    request = grading_pb2.ResumeAppraisalRequest(
        request_id=new_id("resume", request_id), name=name, reason=reason
    )
    _step(context, lambda stub: stub.ResumeAppraisal(request))


def call_grading(connection: Connection, call: Call, role: str = ROLE) -> Any:
    """The answer of grading to a call, made with a role in development."""

    async def respond() -> Any:
        async with connection.channels(role) as channels:
            return await call(channels.stub(grading_pb2_grpc.GradingServiceStub, "grading"))

    return run(respond)


def number_of(enum: Any, text: str, prefix: str = "") -> Any:
    """The number of a value that an option names: `next-of-kin`. Raises Refused."""
    name = prefix + text.upper().replace("-", "_")
    known = enum.keys()[1:]
    if name not in known:
        choices = ", ".join(each.removeprefix(prefix).lower().replace("_", "-") for each in known)
        raise Refused(f"{text} is not known here; choose one of {choices}.")
    return enum_number(enum.Value(name))


def new_id(step: str, request_id: str) -> str:
    """A new request id, unless an earlier attempt is repeated."""
    return request_id or f"{step}-{uuid.uuid4().hex}"


def day_text(day: Date) -> str:
    """A day as text; empty for none."""
    return f"{day.year}-{day.month:02}-{day.day:02}" if day.year else ""


def _step(context: typer.Context, call: Call) -> grading_pb2.Appraisal:
    """Make one step of an appraisal and say where it stands."""
    appraisal: grading_pb2.Appraisal = call_grading(connection_of(context), call)
    state = grading_pb2.Appraisal.State.Name(appraisal.state)
    due = day_text(appraisal.due_date)
    typer.echo(f"{appraisal.name}: {state}, due by {due}, revision {appraisal.revision}.")
    return appraisal


async def pages(call: Callable[[], Awaitable[Any]], request: Any, field: str) -> list[Any]:
    """All rows of a list; `call` sends the request, whose page moves on."""
    rows: list[Any] = []
    while True:
        page = await call()
        rows += getattr(page, field)
        request.page_token = page.next_page_token
        if not request.page_token:
            return rows
