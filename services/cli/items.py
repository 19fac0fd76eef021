"""`oip items`: items of the grading standard, by words, body region, kind, grade or number."""

from __future__ import annotations

from typing import Annotated

import typer
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from rich.table import Table

from services.cli.connection import Connection, connection_of, run
from services.cli.output import new_wide_console
from services.kernel import names

app = typer.Typer(no_args_is_help=True, help="Items of the grading standard (伤残等级条目).")

PAGE_SIZE = 1000
ROLE = "appraiser"


@app.command("search")
def search(
    context: typer.Context,
    terms: Annotated[
        list[str] | None, typer.Argument(help="Words in English or Chinese, or a number.")
    ] = None,
    region: Annotated[str, typer.Option(help="Region of the body, for example leg.")] = "",
    kind: Annotated[str, typer.Option(help="Kind of impairment, for example fracture.")] = "",
    grade: Annotated[int, typer.Option(min=0, max=10, help="Disability grade; 0: all.")] = 0,
) -> None:
    """List the items that contain all words, by number."""
    request = grading_pb2.SearchImpairmentItemsRequest(
        query=" ".join(terms or []), region=region, kind=kind, grade=grade, page_size=PAGE_SIZE
    )
    connection = connection_of(context)
    table = Table("item", "grade", "label", "中文", "kind", "regions", "family")
    for item in run(lambda: _search(connection, request)):
        table.add_row(
            item.number,
            str(item.grade),
            item.label,
            item.label_zh,
            item.kind,
            ", ".join(item.regions),
            item.family,
        )
    nothing = "No item has these words; use fewer, or another language."
    new_wide_console().print(table if table.row_count else nothing)


@app.command("show")
def show(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="Number of the item, for example 6.14.")],
) -> None:
    """Show one item, and what is measured where its family is graded by measured findings."""
    connection = connection_of(context)

    async def call() -> grading_pb2.ImpairmentItem:
        async with connection.channels(ROLE) as channels:
            stub = channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")
            name = names.name("impairmentItems", number)
            return await stub.GetImpairmentItem(grading_pb2.GetImpairmentItemRequest(name=name))

    item = run(call)
    typer.echo(f"{item.number}: grade {item.grade}, GB/T 16180-2014 {item.clause}")
    typer.echo(f"  {item.label}\n  {item.label_zh}")
    typer.echo(f"  {item.kind}; {', '.join(item.regions)}")
    if item.family:
        typer.echo(f"  measured in the family {item.family}:")
    for measure in item.measures:
        need = "required" if measure.required else "optional"
        typer.echo(f"    {measure.name} ({need}): {measure.label} {measure.label_zh}")
        typer.echo(f"      {measure.form}")


async def _search(
    connection: Connection, request: grading_pb2.SearchImpairmentItemsRequest
) -> list[grading_pb2.ImpairmentItem]:
    items: list[grading_pb2.ImpairmentItem] = []
    token: str | None = ""
    async with connection.channels(ROLE) as channels:
        stub = channels.stub(grading_pb2_grpc.GradingServiceStub, "grading")
        while token is not None:
            request.page_token = token
            answer = await stub.SearchImpairmentItems(request)
            items += answer.items
            token = answer.next_page_token or None
    return items
