"""`oip claims`: which filings are about one accident; answer, contest, merge."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Annotated, Any

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2
from rich.table import Table

from services.cli.connection import Connection, connection_of, run
from services.cli.output import new_wide_console
from services.kernel.periods import SHANGHAI
from services.runtime.rpc.wire import moment_from_wire

app = typer.Typer(
    no_args_is_help=True,
    help="Accidents, and the filings of the parties about them (事故与申请).",
)

RequestId = Annotated[str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")]
Filing = Annotated[str, typer.Argument(help="claims/{id} of the filing")]
Reason = Annotated[str, typer.Option(help="Reason in words; it is recorded.")]


class SameCode(Enum):
    """Why two filings are about one accident."""

    OTHER_TIME_REPORTED = "other-time-reported"
    SAME_INJURY = "same-injury"
    FILED_TWICE = "filed-twice"


class DistinctCode(Enum):
    """Why two filings are about two accidents."""

    OTHER_PLACE = "other-place"
    OTHER_INJURY = "other-injury"
    TWO_EVENTS = "two-events"


@app.command()
def accidents(
    context: typer.Context,
    worker: Annotated[str, typer.Option(help="Only those of this worker, workers/{id}.")] = "",
) -> None:
    """List accidents, latest first, each with its claim."""
    connection = connection_of(context)
    table = Table("accident", "worker", "time", "place", "number", "claim")
    for accident in run(lambda: _all_accidents(connection, worker)):
        table.add_row(
            accident.name,
            accident.worker,
            _moment(accident.accident_time),
            accident.place_of_injury,
            str(accident.number),
            accident.claim,
        )
    new_wide_console().print(table)


@app.command()
def filings(
    context: typer.Context,
    claim: Annotated[str, typer.Option(help="Only those of this claim, claims/{id}.")] = "",
    open_only: Annotated[
        bool, typer.Option("--open", help="Only those that wait for an answer.")
    ] = False,
) -> None:
    """List filings, oldest first, with what was answered and contested."""
    connection = connection_of(context)
    for filing in run(lambda: _all_filings(connection, claim, open_only)):
        typer.echo("\n".join(_lines(filing)))


@app.command()
def same(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    filing: Filing,
    code: Annotated[SameCode, typer.Option(help="Reason as a code.")],
    reason: Reason,
    claim: Annotated[
        str, typer.Option(help="Claim about the accident; not needed if only one is near in time.")
    ] = "",
    request_id: RequestId = "",
) -> None:
    """Answer that a filing is about the same accident as a claim; it becomes part of the claim."""
    request = accidents_pb2.AnswerFilingRequest(
        request_id=_id("same", request_id),
        name=filing,
        answer=accidents_pb2.SAME,
        claim=claim,
        code=accidents_pb2.AnswerCode.Value(code.name),
        reason=reason,
    )
    joined = _call(connection_of(context), lambda stub: stub.AnswerFiling(request))
    typer.echo(f"{joined.name} is part of {joined.claim}.")


@app.command()
def distinct(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    filing: Filing,
    code: Annotated[DistinctCode, typer.Option(help="Reason as a code.")],
    reason: Reason,
    distinct_from: Annotated[
        list[str] | None,
        typer.Option("--from", help="Claim near it in time that you have read; repeat for each."),
    ] = None,
    request_id: RequestId = "",
) -> None:
    """Answer that a filing is about an accident of its own; it becomes a claim."""
    request = accidents_pb2.AnswerFilingRequest(
        request_id=_id("distinct", request_id),
        name=filing,
        answer=accidents_pb2.DISTINCT,
        code=accidents_pb2.AnswerCode.Value(code.name),
        reason=reason,
        distinct_from=distinct_from or [],
    )
    opened = _call(connection_of(context), lambda stub: stub.AnswerFiling(request))
    typer.echo(f"{opened.name} is a claim about an accident of its own.")


@app.command()
def contest(
    context: typer.Context, filing: Filing, reason: Reason, request_id: RequestId = ""
) -> None:
    """Contest the question on a filing or its answer, for a party; an adjudicator answers."""
    request = accidents_pb2.ContestFilingRequest(
        request_id=_id("contest", request_id), name=filing, reason=reason
    )
    contested = _call(connection_of(context), lambda stub: stub.ContestFiling(request))
    typer.echo(f"{contested.name} waits for an adjudicator's answer.")


@app.command()
def merge(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    claim: Annotated[str, typer.Argument(help="claims/{id} that survives")],
    merged_claim: Annotated[str, typer.Argument(help="claims/{id} that ends")],
    code: Annotated[SameCode, typer.Option(help="Reason as a code.")],
    reason: Reason,
    request_id: RequestId = "",
) -> None:
    """Merge two claims of one person and accident. Keep the one with the appraisal."""
    request = accidents_pb2.MergeClaimsRequest(
        request_id=_id("merge", request_id),
        claim=claim,
        merged_claim=merged_claim,
        code=accidents_pb2.AnswerCode.Value(code.name),
        reason=reason,
    )
    surviving = _call(connection_of(context), lambda stub: stub.MergeClaims(request))
    typer.echo(f"{merged_claim} is part of {surviving.name}, revision {surviving.revision}.")


def _lines(filing: accidents_pb2.Filing) -> list[str]:
    party = claims_pb2.ClaimantKind.Name(filing.claimant_kind)
    state = claims_pb2.Claim.State.Name(filing.state)
    waits = ", waits for an answer" if filing.open else ""
    time_and_place = f"{_moment(filing.accident_time)} in {filing.place_of_injury}"
    lines = [f"{filing.name}: {party} reports {time_and_place}; {state}{waits}"]
    if filing.claim not in {"", filing.name}:
        lines.append(f"  part of {filing.claim}")
    lines += [f"  near in time: {claim}" for claim in filing.near_claims]
    lines += [
        f"  {_moment(answer.create_time)} {accidents_pb2.AccidentAnswer.Name(answer.answer)} "
        f"({accidents_pb2.AnswerCode.Name(answer.code)}) by {answer.adjudicator}: {answer.reason}"
        for answer in filing.answers
    ]
    lines += [
        f"  {_moment(entry.create_time)} contested: {entry.reason}" for entry in filing.contests
    ]
    return lines


async def _all_accidents(connection: Connection, worker: str) -> list[accidents_pb2.Accident]:
    request = accidents_pb2.ListAccidentsRequest(worker=worker)
    rows: list[accidents_pb2.Accident] = []
    async with connection.channels("adjudicator") as channels:
        stub = channels.stub(accidents_pb2_grpc.AccidentServiceStub, "claims")
        while True:
            page = await stub.ListAccidents(request)
            rows += page.accidents
            request.page_token = page.next_page_token
            if not request.page_token:
                return rows


async def _all_filings(
    connection: Connection, claim: str, open_only: bool
) -> list[accidents_pb2.Filing]:
    request = accidents_pb2.ListFilingsRequest(claim=claim, open_only=open_only)
    rows: list[accidents_pb2.Filing] = []
    async with connection.channels("adjudicator") as channels:
        stub = channels.stub(accidents_pb2_grpc.AccidentServiceStub, "claims")
        while True:
            page = await stub.ListFilings(request)
            rows += page.filings
            request.page_token = page.next_page_token
            if not request.page_token:
                return rows


def _call(connection: Connection, call: Callable[[Any], Awaitable[Any]]) -> Any:
    async def respond() -> Any:
        async with connection.channels("adjudicator") as channels:
            return await call(channels.stub(accidents_pb2_grpc.AccidentServiceStub, "claims"))

    return run(respond)


def _id(step: str, request_id: str) -> str:
    return request_id or f"{step}-{uuid.uuid4().hex}"


def _moment(value: Timestamp) -> str:
    return f"{moment_from_wire(value, 'time').astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"
