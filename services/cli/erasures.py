"""`oip erasures`: the erasure of the personal data of workers."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.type.v1 import type_pb2
from rich.table import Table

from services.cli.connection import Refused, connection_of, run
from services.cli.documents import hash_of
from services.cli.output import new_wide_console
from services.cli.reversals import RequestId
from services.runtime.rpc.wire import moment_from_wire

app = typer.Typer(no_args_is_help=True, help="Erase the personal data of workers (个人信息删除).")

PAGE_SIZE = 1000
GROUNDS = {
    "purpose-ended": type_pb2.PURPOSE_ENDED,
    "retention-ended": type_pb2.RETENTION_ENDED,
    "unlawful": type_pb2.UNLAWFUL_PROCESSING,
    "ordered": type_pb2.ORDERED,
}
TITLES = {number: title for title, number in GROUNDS.items()}


@app.command()
def record(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    worker: Annotated[str, typer.Argument(help="Worker, for example workers/4711.")],
    ground: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(GROUNDS)} (Personal Information Protection Law art. 47)."
        ),
    ],
    number: Annotated[
        str, typer.Option(help="Number of the paper that orders it, without the person's name.")
    ],
    document: Annotated[Path, typer.Option(help="File of that paper; only its hash is sent.")],
    request_id: RequestId = "",
) -> None:
    """Destroy the data keys of a worker in every service. It is final.

    A second person signs it (`oip acts sign`). It is refused while a case is open or money is still
    to flow.
    """
    if ground not in GROUNDS:
        raise Refused(f"{ground} is not a ground; choose one of {', '.join(GROUNDS)}.")
    request = enrolment_pb2.EraseWorkerRequest(
        request_id=request_id or f"erasure-{uuid.uuid4().hex}",
        name=worker,
        code=GROUNDS[ground],
        document_number=number,
        document_hash=hash_of(document),
    )
    connection = connection_of(context)

    async def call() -> enrolment_pb2.Erasure:
        async with connection.channels("administrator") as channels:
            stub = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
            return await stub.EraseWorker(request)

    erasure = run(call)
    typer.echo(f"{erasure.worker} was erased; `oip verify` shows when every service has done so.")


@app.command("list")
def list_erasures(context: typer.Context) -> None:
    """List the workers who were erased: by which ground and paper, by whom and when."""
    connection = connection_of(context)

    async def call() -> list[enrolment_pb2.Erasure]:
        async with connection.channels("administrator") as channels:
            stub = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
            request = enrolment_pb2.ListErasuresRequest(page_size=PAGE_SIZE)
            erasures: list[enrolment_pb2.Erasure] = []
            while True:
                page = await stub.ListErasures(request)
                erasures += page.erasures
                if not page.next_page_token:
                    return erasures
                request.page_token = page.next_page_token

    table = Table("worker", "ground", "paper", "SHA-256 of the paper", "made by", "signed by", "on")
    for erasure in run(call):
        table.add_row(
            erasure.worker,
            TITLES.get(erasure.code, str(erasure.code)),
            erasure.document_number,
            erasure.document_hash.hex(),
            erasure.maker_member,
            erasure.signer_member,
            f"{moment_from_wire(erasure.erase_time, 'erase_time'):%Y-%m-%d %H:%M} UTC",
        )
    new_wide_console().print(table)
