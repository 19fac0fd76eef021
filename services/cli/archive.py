"""Archives of order records: `oip orders archive`, `verify-archive`; `oip evidence prove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli import evidence
from services.cli.desk import Desk, Refused, desk_of, run
from services.client.archive import MANIFEST, Archive, check_folder, read_archive
from services.client.archive_proofs import prove_from
from services.client.archiving import write_archive
from services.client.evidence import evidence_file, verify_file
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

STREAM_SECONDS = 3600

console = Console()


def archive(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="Month of the batches, for example 2025-07.")],
    platform: Annotated[str, typer.Option(help="Credit code.")],
    to: Annotated[Path, typer.Option(help="A folder for this archive; new or empty.")],
    key: Annotated[str, typer.Option(help="Verifier key; default: the stack's own.")] = "",
) -> None:
    """Write a month's records to Parquet with a manifest, and check it. Deletes nothing."""
    desk = desk_of(context)
    key = key.strip() or evidence.own_key(desk)
    wanted = orders_pb2.GetOrderArchiveRequest(
        platform=f"platforms/{platform}", month=month_to_wire(_month(month))
    )
    _make_empty(to)
    _show(run(lambda: _fetch(desk, wanted, to, key)))
    console.print(f"Archived and checked in {to}; keep it in two places, with {MANIFEST}.")


def verify_archive(
    folder: Annotated[Path, typer.Argument(help="An archive's folder.")],
    key: Annotated[str, typer.Option(help="Verifier key as the authority gave it out.")] = "",
) -> None:
    """Check an archive from its rows to the signed head; needs neither network nor database."""
    _show(check_folder(folder, key))
    if key:
        console.print("The archive holds under the key given.")
    else:
        console.print("The archive holds under its own key; give --key to check whose it is.")


def prove(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="platforms/{credit code}/orders/{order_no}")],
    *,
    revision: Annotated[int, typer.Option(help="Which one; default: the latest.")] = 0,
    archives: Annotated[
        list[Path] | None, typer.Option("--archive", help="Prove from archives alone; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("order.evidence.json"),
    key: Annotated[str, typer.Option(help="Verifier key; default: the stack's or archive's.")] = "",
) -> None:
    """Write the proof of one order record, from the service or from archives."""
    if archives:
        key = key or read_archive(archives[0]).verifier_key
        proof = prove_from(archives, order, revision)
    else:
        desk = desk_of(context)
        key = key or evidence.own_key(desk)
        asked = orders_pb2.GetOrderProofRequest(name=order, revision=revision)
        proof = run(lambda: _ask(desk, asked))
    content = evidence_file(key, [proof])
    evidence.show(verify_file(content, key))
    out.write_bytes(content)
    console.print(f"1 proof written to {out}")


async def _fetch(
    desk: Desk, wanted: orders_pb2.GetOrderArchiveRequest, folder: Path, key: str
) -> Archive:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
    async with desk.channels("administrator") as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        with progress:
            bar = progress.add_task("records", total=None)
            return await write_archive(
                stub.GetOrderArchive(wanted, timeout=STREAM_SECONDS),
                folder,
                key,
                lambda done, total: progress.update(bar, completed=done, total=total),
            )


async def _ask(desk: Desk, asked: orders_pb2.GetOrderProofRequest) -> orders_pb2.OrderProof:
    async with desk.channels("adjudicator") as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        return await stub.GetOrderProof(asked)


def _make_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise Refused(f"{folder} cannot be used ({error.strerror}); name another.") from error
    if not is_empty:
        raise Refused(f"{folder} is not empty; name a new folder for each archive.")


def _show(held: Archive) -> None:
    table = Table("platform", "month", "batches", "records", "files", "bytes", "bytes a record")
    each = held.byte_count // held.row_count if held.row_count else 0
    table.add_row(
        held.platform,
        str(held.month),
        *(f"{n:,}" for n in (len(held.batches), held.row_count, len(held.files))),
        f"{held.byte_count:,}",
        str(each),
    )
    console.print(table)


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise Refused(f"{text} is no month; write it as 2025-07.") from None
