"""`oip specialists`: the pool that panels are drawn from, its terms, and who is excluded."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from oip.grading.v1 import grading_pb2
from rich.table import Table

from services.cli.appraisals import (
    PAGE_SIZE,
    RequestId,
    call_grading,
    day_text,
    new_id,
    number_of,
    pages,
)
from services.cli.connection import connection_of
from services.cli.output import new_wide_console

app = typer.Typer(
    no_args_is_help=True, help="Keep the pool of specialists, and exclude one (鉴定专家、回避)."
)


@app.command("list")
def list_specialists(context: typer.Context) -> None:
    """List the pool by the committee's numbers, each with the days of the latest term."""
    table = Table("specialist", "field", "committee", "person", "from", "until")

    async def rows(stub: Any) -> list[grading_pb2.Specialist]:
        request = grading_pb2.ListSpecialistsRequest(page_size=PAGE_SIZE)
        return await pages(lambda: stub.ListSpecialists(request), request, "specialists")

    for row in call_grading(connection_of(context), rows):
        table.add_row(
            row.name,
            row.field,
            "province" if row.provincial else "prefecture",
            row.member,
            day_text(row.term_first_date),
            day_text(row.term_last_date),
        )
    new_wide_console().print(table)


@app.command()
def register(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The committee's number of the specialist.")],
    field: Annotated[str, typer.Argument(help="Field of medicine.")],
    member: Annotated[str, typer.Argument(help="Person, for example staffMembers/p1.")],
    provincial: Annotated[
        bool, typer.Option("--provincial", help="Of the provincial committee.")
    ] = False,
    request_id: RequestId = "",
) -> None:
    """Appoint a specialist for a term from today on; another person signs it."""
    request = grading_pb2.RegisterSpecialistRequest(
        request_id=new_id("specialist", request_id),
        specialist_number=number,
        field=field,
        provincial=provincial,
        member=member,
    )
    _say(call_grading(connection_of(context), lambda stub: stub.RegisterSpecialist(request)))


@app.command()
def renew(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="specialists/{id}")],
    request_id: RequestId = "",
) -> None:
    """Appoint a specialist for a further term; another person signs it."""
    request = grading_pb2.RenewSpecialistRequest(request_id=new_id("renew", request_id), name=name)
    _say(call_grading(connection_of(context), lambda stub: stub.RenewSpecialist(request)))


@app.command()
def exclude(
    context: typer.Context,
    appraisal: Annotated[str, typer.Argument(help="appraisals/{id}")],
    specialist: Annotated[str, typer.Argument(help="specialists/{id}")],
    code: Annotated[str, typer.Option(help="relative, interest, treated-the-worker or withdrew.")],
    request_id: RequestId = "",
) -> None:
    """Exclude a specialist; another person signs it. A panel on which one sits is released."""
    request = grading_pb2.ExcludeSpecialistRequest(
        request_id=new_id("exclude", request_id),
        name=appraisal,
        specialist=specialist,
        code=number_of(grading_pb2.ExclusionCode, code),
    )
    excluded = call_grading(connection_of(context), lambda stub: stub.ExcludeSpecialist(request))
    typer.echo(f"{specialist} does not sit on panels of {excluded.name}.")


def _say(specialist: grading_pb2.Specialist) -> None:
    first, last = day_text(specialist.term_first_date), day_text(specialist.term_last_date)
    typer.echo(
        f"{specialist.name}: {specialist.field}, {specialist.member}, "
        f"appointed from {first} to {last}."
    )
