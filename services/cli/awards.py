"""`oip awards`: awards that rest on figures which stand in, their true-up, and adjustments."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import date
from typing import Annotated, Any, TypeAlias

import typer
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from rich.table import Table

from services.cli.connection import Connection, connection_of, run
from services.cli.output import new_wide_console
from services.kernel.money import Fen

app = typer.Typer(
    no_args_is_help=True,
    help="Provisional awards, their true-up, and adjustments (暂定待遇、清算、待遇调整).",
)

PAGE_SIZE = 200

Area: TypeAlias = Annotated[str, typer.Option("--in", help="Only this pooling area, as 440100.")]
Call: TypeAlias = Callable[[Any], Awaitable[Any]]


@app.command()
def provisional(
    context: typer.Context,
    area: Area = "",
    changing: Annotated[
        bool, typer.Option("--changing", help="Only those that a true-up would change today.")
    ] = False,
) -> None:
    """List awards that wait for a figure, and what a true-up would change today."""
    rows = _provisional(connection_of(context), area, changing_only=changing)
    table = Table("award", "kind", "area", "yuan", "waits for", "then", "difference")
    for row in rows:
        award = row.award
        table.add_row(
            award.name,
            benefits_pb2.BenefitKind.Name(award.kind),
            award.pooling_area,
            Fen(award.amount_fen).yuan,
            "\n".join(_figure_text(figure) for figure in award.awaited_figures),
            Fen(row.true_up.after_fen).yuan if row.HasField("true_up") else "",
            Fen(row.true_up.difference_fen).yuan if row.HasField("true_up") else "",
        )
    new_wide_console().print(table)


@app.command("true-up")
def true_up(
    context: typer.Context,
    area: Area = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=1000, help="Workers of one act that another person signs.")
    ] = 200,
    request_id: Annotated[
        str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """True provisional awards up; if money moves, another person signs each part of it.

    What is done stays done: after an interruption or a signature, run it again until none is left.
    """
    connection = connection_of(context)
    if dry_run:
        rows = _provisional(connection, area, changing_only=True)
        _print(row.true_up for row in rows)
        typer.echo(f"{len(rows)} awards would change; nothing has been changed.")
        return
    while True:
        request = benefits_pb2.TrueUpAwardsRequest(
            request_id=request_id or f"true-up-{uuid.uuid4().hex}",
            pooling_area=area,
            worker_count=workers,
        )
        done = _call(connection, _true_up(request))
        _print(done.true_ups)
        typer.echo(f"{done.worker_count} workers planned, {done.remaining_count} left.")
        request_id = ""
        if not done.remaining_count:
            return


@app.command()
def index(
    context: typer.Context,
    claims: Annotated[
        int, typer.Option(min=1, max=5000, help="Cases of one act that another person signs.")
    ] = 500,
    request_id: Annotated[
        str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")
    ] = "",
) -> None:
    """Bring all awards to the law as published (待遇调整); if money moves, another person signs."""
    connection = connection_of(context)
    while True:
        request = benefits_pb2.IndexAwardsRequest(
            request_id=request_id or f"index-{uuid.uuid4().hex}", claim_count=claims
        )
        done = _call(connection, _index(request))
        typer.echo(
            f"{done.claim_count} cases planned, {done.award_count} awards granted or changed, "
            f"{done.remaining_count} cases left."
        )
        request_id = ""
        if not done.remaining_count:
            return


@app.command("trued-up")
def trued_up(
    context: typer.Context,
    area: Area = "",
    claim: Annotated[str, typer.Option(help="Only those of this claim, claims/{id}.")] = "",
) -> None:
    """List what true-ups have changed, oldest first."""
    request = benefits_pb2.ListTrueUpsRequest(claim=claim, pooling_area=area, page_size=PAGE_SIZE)

    async def rows(stub: Any) -> list[benefits_pb2.TrueUp]:
        true_ups: list[benefits_pb2.TrueUp] = []
        while True:
            page = await stub.ListTrueUps(request)
            true_ups += page.true_ups
            request.page_token = page.next_page_token
            if not request.page_token:
                return true_ups

    _print(_call(connection_of(context), rows))


def _provisional(
    connection: Connection, area: str, *, changing_only: bool
) -> list[benefits_pb2.ListProvisionalAwardsResponse.Row]:
    request = benefits_pb2.ListProvisionalAwardsRequest(
        pooling_area=area, changing_only=changing_only, page_size=PAGE_SIZE
    )

    async def rows(stub: Any) -> list[benefits_pb2.ListProvisionalAwardsResponse.Row]:
        awards: list[benefits_pb2.ListProvisionalAwardsResponse.Row] = []
        while True:
            page = await stub.ListProvisionalAwards(request)
            awards += page.rows
            request.page_token = page.next_page_token
            if not request.page_token:
                return awards

    answer: list[benefits_pb2.ListProvisionalAwardsResponse.Row] = _call(connection, rows)
    return answer


def _index(request: benefits_pb2.IndexAwardsRequest) -> Call:
    return lambda stub: stub.IndexAwards(request)


def _true_up(request: benefits_pb2.TrueUpAwardsRequest) -> Call:
    return lambda stub: stub.TrueUpAwards(request)


def _call(connection: Connection, call: Call) -> Any:
    async def respond() -> Any:
        async with connection.channels("fund_officer") as channels:
            return await call(channels.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits"))

    return run(respond)


def _print(true_ups: Iterable[benefits_pb2.TrueUp]) -> None:
    table = Table("award", "kind", "area", "month", "before", "after", "difference", "final", "by")
    for each in true_ups:
        table.add_row(
            each.award,
            benefits_pb2.BenefitKind.Name(each.kind),
            each.pooling_area,
            f"{each.month.year}-{each.month.month:02}",
            Fen(each.before_fen).yuan,
            Fen(each.after_fen).yuan,
            Fen(each.difference_fen).yuan,
            "yes" if each.final else "no",
            ", ".join(
                f"{figure.name} {figure.value} of {figure.jurisdiction}" for figure in each.figures
            ),
        )
    if table.row_count:
        new_wide_console().print(table)


def _figure_text(figure: benefits_pb2.AwaitedFigure) -> str:
    day = date(figure.day.year, figure.day.month, figure.day.day)
    state = ", published" if figure.published else ""
    return f"{figure.parameter} of {figure.place} for {day}{state}"
