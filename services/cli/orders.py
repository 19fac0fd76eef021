"""`oip orders`: a platform's way of sending its orders, and of seeing what is missing."""

from __future__ import annotations

import csv
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.type.v1 import type_pb2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.cli.desk import Desk, Refused, desk_of, run
from services.client import (
    Batch,
    cut,
    load_mapping,
    look_up_workers,
    read_orders,
    upload_orders,
    with_workers,
)
from services.kernel.periods import Month
from services.runtime.wire import month_to_wire

PAGE_SIZE = 1000
COUNTS = ("received", "created", "exists", "conflict", "rejected")
REJECTED_HEADER = ("file_row", "platform", "batch", "order_no", "status", "field", "text")

app = typer.Typer(no_args_is_help=True, help="Order records (订单记录).")
console = Console()


@dataclass
class Push:
    """One file on its way: what was sent under which run, kept beside the file."""

    file: Path
    run: str
    digest: str
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    is_finished: bool = False

    @property
    def path(self) -> Path:
        """The state file."""
        return self.file.with_name(f"{self.file.name}.push.json")

    def save(self) -> None:
        """Write the state whole or not at all."""
        draft = self.path.with_suffix(".draft")
        content = {
            "run": self.run,
            "digest": self.digest,
            "finished": self.is_finished,
            "done": self.done,
        }
        draft.write_text(json.dumps(content, indent=1), encoding="utf-8")
        draft.replace(self.path)

    @classmethod
    def of(cls, file: Path) -> Push:
        """Go on where an interrupted push of the same file stopped, or begin a new run."""
        try:
            digest = sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise Refused(f"{file} cannot be read ({error.strerror}); check its name.") from error
        push = cls(file, secrets.token_hex(6), digest)
        try:
            held = json.loads(push.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return push
        if held.get("digest") == digest and not held.get("finished"):
            push.run, push.done = held["run"], held["done"]
        return push


@app.command("push")
def push(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Parquet, CSV, Arrow or NDJSON files.")],
    mapping: Annotated[Path, typer.Option(help="How the file's rows are read as orders (TOML).")],
) -> None:
    """Send files of orders; an interrupted push goes on where it stopped."""
    desk, read_as = desk_of(context), load_mapping(mapping)
    for file in files:
        pushed = Push.of(file)
        orders = read_orders(file, read_as)
        pushed.save()
        counts, reasons = run(lambda p=pushed, o=orders: _push(desk, p, o))  # type: ignore[misc]
        pushed.is_finished = True
        pushed.save()
        _show(file, counts, reasons)


@app.command("gaps")
def gaps(
    context: typer.Context,
    month: Annotated[str, typer.Argument(help="Month of the service date, for example 2025-07.")],
    platform: Annotated[str, typer.Option(help="Credit code; default: all.")] = "",
) -> None:
    """Show the days on which declared and held orders differ."""
    wanted = _month(month)
    table = Table("platform", "day", "area", "industry", "declared", "held", "late", "kind")
    for gap in run(lambda: _gaps(desk_of(context), wanted, platform)):
        day = gap.service_date
        table.add_row(
            gap.platform,
            f"{day.year:04d}-{day.month:02d}-{day.day:02d}",
            gap.pooling_area,
            type_pb2.Industry.Name(gap.industry) if gap.industry else "",
            *(f"{n:,}" for n in (gap.declared_count, gap.held_count, gap.late_count)),
            orders_pb2.OrderGap.Kind.Name(gap.kind),
        )
    console.print(table if table.row_count else f"No gaps in {wanted}.")


async def _push(
    desk: Desk, pushed: Push, orders: dict[str, Any]
) -> tuple[dict[str, int], dict[str, int]]:
    """Send what has no receipt yet, and write the rows that were refused beside the file."""
    counts, reasons = dict.fromkeys(COUNTS, 0), dict[str, int]()
    rejected = pushed.file.with_name(f"{pushed.file.stem}.rejected.csv")
    with rejected.open("w", encoding="utf-8", newline="") as sink, _progress() as progress:
        writer = csv.writer(sink)
        writer.writerow(REJECTED_HEADER)
        for platform, table in orders.items():
            bar = progress.add_task(platform, total=table.num_rows)
            async with desk.channels("platform", platform=platform) as channels:
                enrolment = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
                stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
                known = await look_up_workers(enrolment, platform, table)
                batches = cut(with_workers(table, known), f"{pushed.run}-{platform[-6:]}")
                keep = _keeper(pushed, progress, bar)
                await _send(stub, platform, batches, pushed, keep)
                for batch in batches:
                    _add(counts, reasons, pushed.done[batch.batch_id])
                    await _write_rejected(writer, stub, platform, batch, pushed)
    return counts, reasons


async def _send(
    stub: orders_pb2_grpc.OrderServiceAsyncStub,
    platform: str,
    batches: list[Batch],
    pushed: Push,
    keep: Callable[[Batch, orders_pb2.OrderBatch], None],
) -> None:
    waiting = [batch for batch in batches if batch.batch_id not in pushed.done]
    for batch in batches:
        if batch.batch_id in pushed.done:
            keep(batch, orders_pb2.OrderBatch())
    await upload_orders(stub, platform, waiting, keep)


def _keeper(
    pushed: Push, progress: Progress, bar: Any
) -> Callable[[Batch, orders_pb2.OrderBatch], None]:
    """Keep a receipt at once: it is what an interrupted push goes on from."""

    def keep(batch: Batch, receipt: orders_pb2.OrderBatch) -> None:
        if receipt.name:
            pushed.done[batch.batch_id] = {
                **{name: getattr(receipt, f"{name}_count") for name in COUNTS},
                "reasons": {
                    _status(one.status): one.row_count for one in receipt.rejected_by_reason
                },
                "root": receipt.merkle_root.hex(),
                "log_index": receipt.log_index,
            }
            pushed.save()
        progress.update(bar, advance=batch.row_count)

    return keep


async def _write_rejected(
    writer: Any,
    stub: orders_pb2_grpc.OrderServiceAsyncStub,
    platform: str,
    batch: Batch,
    pushed: Push,
) -> None:
    held = pushed.done[batch.batch_id]
    token = "" if held["conflict"] + held["rejected"] else None
    while token is not None:
        answer = await stub.ListOrderRejections(
            orders_pb2.ListOrderRejectionsRequest(
                order_batch=f"platforms/{platform}/orderBatches/{batch.batch_id}",
                page_size=PAGE_SIZE,
                page_token=token,
            )
        )
        for one in answer.rejections:
            writer.writerow(
                (
                    batch.file_rows[one.index],
                    platform,
                    batch.batch_id,
                    _harmless(one.order_no),
                    _status(one.status),
                    one.field,
                    one.text,
                )
            )
        token = answer.next_page_token or None


async def _gaps(desk: Desk, month: Month, platform: str) -> list[orders_pb2.OrderGap]:
    found: list[orders_pb2.OrderGap] = []
    token: str | None = ""
    async with desk.channels("fund_officer") as channels:
        stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        while token is not None:
            answer = await stub.ListOrderGaps(
                orders_pb2.ListOrderGapsRequest(
                    platform=f"platforms/{platform}" if platform else "",
                    month=month_to_wire(month),
                    page_size=PAGE_SIZE,
                    page_token=token,
                )
            )
            found += answer.gaps
            token = answer.next_page_token or None
    return found


def _show(file: Path, counts: dict[str, int], reasons: dict[str, int]) -> None:
    table = Table(*COUNTS, title=file.name, title_justify="left")
    table.add_row(*(f"{counts[name]:,}" for name in COUNTS))
    console.print(table)
    for reason, count in sorted(reasons.items()):
        console.print(f"  {reason}: {count:,}")
    if counts["conflict"] + counts["rejected"]:
        console.print(f"Rows that were not stored: {file.stem}.rejected.csv beside the file.")


def _add(counts: dict[str, int], reasons: dict[str, int], held: dict[str, Any]) -> None:
    for name in COUNTS:
        counts[name] += held[name]
    for reason, count in held["reasons"].items():
        reasons[reason] = reasons.get(reason, 0) + count


def _harmless(text: str) -> str:
    """A cell that a spreadsheet does not run."""
    return f"'{text}" if text[:1] in set("=+-@\t\r") else text


def _status(number: int) -> str:
    return orders_pb2.OrderRejection.Status.Name(number)  # type: ignore[arg-type]


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise Refused(f"{text} is no month; write it as 2025-07.") from None


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
