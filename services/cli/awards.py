"""`oip awards provisional`, `true-up`, `trued-up`: awards that rest on figures which stand in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Annotated, TypeAlias

import typer
from oip.benefits.v1 import benefits_pb2

from services.cli.apis import BENEFITS
from services.cli.connection import Connection, all_pages, connection_of, new_request_id
from services.cli.messages import row_of
from services.cli.steps import REQUEST_ID
from services.cli.tables import Row, show_rows
from services.cli.values import NOTHING, Value, fen_value
from services.cli.view import Format, say, view

Provisional: TypeAlias = benefits_pb2.ListProvisionalAwardsResponse.Row
Area: TypeAlias = Annotated[str, typer.Option("--in", help="Only this pooling area, as 440100.")]

PROVISIONAL = (
    "award",
    "kind",
    "pooling_area",
    "amount_fen",
    "awaited_figures",
    "after_fen",
    "difference_fen",
)
TRUE_UP = (
    "award",
    "kind",
    "pooling_area",
    "month",
    "before_fen",
    "after_fen",
    "difference_fen",
    "final",
    "figures",
)


def provisional(
    context: typer.Context,
    area: Area = "",
    changing: Annotated[
        bool, typer.Option("--changing", help="Only those that a true-up would change today.")
    ] = False,
) -> None:
    """List awards that wait for a figure, and what a true-up would change today."""
    rows = _provisional(connection_of(context), area, changing_only=changing)
    show_rows(map(_provisional_row, rows), PROVISIONAL)


def true_up(
    context: typer.Context,
    area: Area = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=1000, help="Workers of one act that another person signs.")
    ] = 200,
    request_id: Annotated[str, typer.Option(help=REQUEST_ID)] = "",
) -> None:
    """True provisional awards up; if money moves, another person signs each part of it.

    What is done stays done: after an interruption or a signature, run it again until none is left.
    """
    connection = connection_of(context)
    if dry_run:
        rows = _provisional(connection, area, changing_only=True)
        _show(row.true_up for row in rows)
        count = len(rows)
        _add_sentence(
            f"{count} awards would change; nothing has been changed.",
            f"有 {count} 项待遇将变更; 目前未作任何变更。",
        )
        return
    done: list[benefits_pb2.TrueUp] = []
    remaining_count = 1
    while remaining_count:
        request = benefits_pb2.TrueUpAwardsRequest(
            request_id=new_request_id("true-up", request_id),
            pooling_area=area,
            worker_count=workers,
        )
        answer = _true_up(connection, request)
        done += answer.true_ups
        remaining_count, request_id = answer.remaining_count, ""
        if view().format is Format.TABLE and answer.true_ups:
            _show(answer.true_ups)
        _add_sentence(
            f"{answer.worker_count} workers planned, {remaining_count} left.",
            f"已核算 {answer.worker_count} 人, 尚余 {remaining_count} 人。",
        )
    if view().format is not Format.TABLE:
        _show(done)


def trued_up(
    context: typer.Context,
    area: Area = "",
    claim: Annotated[str, typer.Option(help="Only those of this claim, claims/{id}.")] = "",
) -> None:
    """List what true-ups have changed, oldest first."""
    request = benefits_pb2.ListTrueUpsRequest(claim=claim, pooling_area=area)
    connection = connection_of(context)
    _show(
        connection.call(BENEFITS, lambda stub: all_pages(stub.ListTrueUps, request, "true_ups")),
    )


def _provisional(connection: Connection, area: str, *, changing_only: bool) -> list[Provisional]:
    request = benefits_pb2.ListProvisionalAwardsRequest(
        pooling_area=area, changing_only=changing_only
    )
    rows: list[Provisional] = connection.call(
        BENEFITS, lambda stub: all_pages(stub.ListProvisionalAwards, request, "rows")
    )
    return rows


def _true_up(
    connection: Connection, request: benefits_pb2.TrueUpAwardsRequest
) -> benefits_pb2.TrueUpAwardsResponse:
    return connection.call(BENEFITS, lambda stub: stub.TrueUpAwards(request))


def _add_sentence(en: str, zh: str) -> None:
    """A sentence beside the rows; on stderr where programs read the output."""
    typer.echo(say(en, zh), err=view().format is not Format.TABLE)


def _show(true_ups: Iterable[benefits_pb2.TrueUp]) -> None:
    show_rows(map(_true_up_row, true_ups), TRUE_UP)


def _provisional_row(row: Provisional) -> Row:
    award = row.award
    changes = row.HasField("true_up")
    return {
        **row_of(award, ("kind", "pooling_area", "amount_fen")),
        "award": Value(award.name, award.name),
        "awaited_figures": _list(map(_awaited_text, award.awaited_figures)),
        "after_fen": fen_value(row.true_up.after_fen) if changes else NOTHING,
        "difference_fen": fen_value(row.true_up.difference_fen) if changes else NOTHING,
    }


def _true_up_row(true_up: benefits_pb2.TrueUp) -> Row:
    names = [name for name in TRUE_UP if name != "figures"]
    figures = (
        say(
            f"{figure.name} {figure.value} of {figure.jurisdiction}",
            f"{figure.jurisdiction} {figure.name} {figure.value}",
        )
        for figure in true_up.figures
    )
    return {**row_of(true_up, names), "figures": _list(figures)}


def _awaited_text(figure: benefits_pb2.AwaitedFigure) -> str:
    day = date(figure.day.year, figure.day.month, figure.day.day)
    text = say(
        f"{figure.parameter} of {figure.place} for {day}",
        f"{figure.place} {figure.parameter} ({day})",
    )
    if figure.published:
        return f"{text}{say(', published', ', 已公布')}"
    return f"{text}{say(f', until then {figure.stand_in}', f', 暂用 {figure.stand_in}')}"


def _list(texts: Iterable[str] | Iterator[str]) -> Value:
    parts = list(texts)
    return Value("; ".join(parts), parts)
