"""Archives of order records: `oip orders archive`, `verify-archive`; `oip evidence prove`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.cli import evidence
from services.cli.apis import ORDERS
from services.cli.connection import Connection, Refused, connection_of, month_of, run
from services.cli.output import error_console, progress_bars
from services.cli.refusals import unwritable
from services.cli.tables import show_rows
from services.cli.values import count_value, text_value
from services.cli.view import say
from services.client.proofs.archive import MANIFEST, check_folder, read_archive
from services.client.proofs.archive_proofs import prove_from
from services.client.proofs.archive_writer import write_archive
from services.client.proofs.evidence import evidence_file, verify_file
from services.orderlog.manifest import Archive
from services.runtime.rpc.wire import month_to_wire

STREAM_SECONDS = 3600


def archive(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="Month of the batches, for example 2025-07.")],
    platform: Annotated[str, typer.Option(help="Credit code.")],
    to: Annotated[Path, typer.Option(help="Folder of this archive; new or empty.")],
    key: Annotated[
        str, typer.Option(help="Verifier key; default: the key of the local stack.")
    ] = "",
) -> None:
    """Write a month's records to Parquet with a manifest, and check them. Deletes nothing."""
    connection = connection_of(context)
    key = key.strip() or evidence.stack_key(connection)
    request = orders_pb2.GetOrderArchiveRequest(
        platform=f"platforms/{platform}", month=month_to_wire(month_of(month))
    )
    is_new = not to.exists()
    _require_empty(to)
    try:
        content = run(lambda: _fetch(connection, request, to, key))
    except BaseException:
        if is_new:
            # A folder with a part of the archive stays.
            with suppress(OSError):
                to.rmdir()
        raise
    _show(content)
    typer.echo(
        say(
            f"Archived and checked in {to}. Keep two copies, each with its {MANIFEST}.",
            f"已归档至 {to} 并核验。请保存两份, 各附其 {MANIFEST}。",
        ),
        err=True,
    )


def verify_archive(
    folder: Annotated[Path, typer.Argument(help="Folder of an archive.")],
    key: Annotated[str, typer.Option(help="Verifier key as the authority published it.")] = "",
) -> None:
    """Check an archive from its rows to the signed head, without network or database."""
    _show(check_folder(folder, key))
    if key:
        typer.echo(say("The archive is valid under this key.", "归档经此密钥验证有效。"), err=True)
    else:
        typer.echo(
            say(
                "The archive is valid under the key in its manifest. Pass --key to check who "
                "signed it.",
                "归档经其清单内的密钥验证有效。如需核对签名方, 请提供 --key。",
            ),
            err=True,
        )


def prove(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="platforms/{credit code}/orders/{order_no}")],
    *,
    revision: Annotated[int, typer.Option(help="Number of the revision; default: the latest.")] = 0,
    archives: Annotated[
        list[Path] | None, typer.Option("--archive", help="Prove from archives only; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("order.evidence.json"),
    key: Annotated[
        str, typer.Option(help="Verifier key; default: that of the stack or the archive.")
    ] = "",
) -> None:
    """Write the proof of one order record, from the service or from archives."""
    if archives:
        key = key or read_archive(archives[0]).verifier_key
        proof = prove_from(archives, order, revision)
    else:
        connection = connection_of(context)
        key = key or evidence.stack_key(connection)
        request = orders_pb2.GetOrderProofRequest(name=order, revision=revision)
        proof = connection.call(ORDERS, lambda stub: stub.GetOrderProof(request))
    content = evidence_file(key, [proof])
    evidence.show(verify_file(content, key))
    out.write_bytes(content)
    typer.echo(say(f"1 proof written to {out}", f"已将 1 份证明写入 {out}"), err=True)


async def _fetch(
    connection: Connection, request: orders_pb2.GetOrderArchiveRequest, folder: Path, key: str
) -> Archive:
    progress = progress_bars(error_console())
    async with connection.channels("administrator") as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        with progress:
            bar = progress.add_task(say("records", "记录"), total=None)
            return await write_archive(
                stub.GetOrderArchive(request, timeout=STREAM_SECONDS),
                folder,
                key,
                lambda done, total: progress.update(bar, completed=done, total=total),
            )


def _require_empty(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise unwritable(folder, error) from error
    if not is_empty:
        raise Refused(
            "{folder} is not empty; use a new folder for each archive.",
            "{folder} 不是空文件夹; 每份归档请使用新的文件夹。",
            folder=folder,
        )


def _show(content: Archive) -> None:
    average = content.byte_count // content.row_count if content.row_count else 0
    row = {
        "platform": text_value(content.platform),
        "month": text_value(content.month),
        "batch_count": count_value(len(content.batches)),
        "record_count": count_value(content.row_count),
        "file_count": count_value(len(content.files)),
        "byte_count": count_value(content.byte_count),
        "bytes_a_record": count_value(average),
    }
    show_rows([row], tuple(row))
