"""`oip orders mapping` and `oip orders check`: a file of orders before it is sent."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from typing import Annotated

import grpc
import typer
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.console import Console

from services.cli.connection import (
    EXIT_ROWS_REFUSED,
    Connection,
    Refused,
    connection_of,
    is_chinese,
    run,
    sentence_of,
)
from services.cli.output import console_for_sentences, print_sentence
from services.cli.push import lost_zeros, placed_by_centre, wrong_rows
from services.cli.push_files import REJECTED_HEADER, harmless
from services.cli.refusals import unwritable
from services.cli.tables import show_rows
from services.cli.values import Value, count_value, text_value
from services.cli.view import language, say
from services.client.channels import problem_of
from services.client.files.mapping import load_mapping
from services.client.files.order_files import propose_mapping
from services.client.files.places import PlaceBy
from services.client.files.reviews import FileReview, areas_by_count, review_file
from services.client.files.summary import FileSummary
from services.client.upload.workers import look_up_padded, look_up_workers
from services.kernel.phrases import label
from services.runtime.base.clock import SystemClock

INDUSTRY, STATE = "oip.type.v1.Industry", "oip.orders.v1.OrderState"
WRONG_ROWS_SHOWN = 10
PLACES_SHOWN = 10
NUMBERS_SHOWN = 5


def mapping(
    file: Annotated[Path, typer.Argument(help="A file of orders in any form that is read.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write the mapping to; default: the output.")
    ] = None,
) -> None:
    """Propose a mapping from the first rows of a file, and say what was guessed and why."""
    proposal = propose_mapping(file)
    if out is None:
        typer.echo(proposal.text, nl=False)
    elif out.exists():
        raise Refused(
            "{out} exists; name another file, or remove it.",
            "{out} 已存在; 请另外指定文件, 或将其删除。",
            out=out,
        )
    else:
        try:
            out.write_text(proposal.text, encoding="utf-8")
        except OSError as error:
            raise unwritable(out, error) from error
    for guess in proposal.guessed:
        typer.echo(say(f"Guessed: {guess.en}.", f"推测: {guess.zh}。"), err=True)
    for lack in proposal.missing:
        typer.echo(say(f"Fill in {lack.en}.", f"请填写 {lack.zh}。"), err=True)


def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A file of orders.")],
    mapping: Annotated[Path, typer.Option(help="TOML file that says how rows are read as orders.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no service which workers are enrolled.")
    ] = False,
    wrong: Annotated[
        Path | None, typer.Option(help="File for all wrong rows (CSV), each with its reason.")
    ] = None,
) -> None:
    """Read a file as a push would, and say what it would create; nothing is sent.

    Exit codes: 0 every row is an order, 4 some rows are wrong or their workers not enrolled, 2 the
    file would be refused.
    """
    console = console_for_sentences()
    review = review_file(file, load_mapping(mapping), SystemClock().now())
    _show(console, file, review)
    if wrong is not None:
        _write_wrong(wrong, review.summary)
    review.summary.require_few_wrong(file.name)
    unknown_count = 0
    if not offline and review.order_count:
        unknown_count = _ask(connection_of(context), console, review)
    if review.summary.wrong_count or unknown_count:
        raise typer.Exit(EXIT_ROWS_REFUSED)


def _show(console: Console, file: Path, review: FileReview) -> None:
    summary = review.summary
    print_sentence(
        console,
        say(
            f"{file.name}: {summary.row_count:,} rows, {review.order_count:,} orders, "
            f"{summary.wrong_count:,} wrong.",
            f"{file.name}: {summary.row_count:,} 行, {review.order_count:,} 个订单, "
            f"{summary.wrong_count:,} 行有误。",
        ),
    )
    for sentence in wrong_rows(summary):
        print_sentence(console, f"  {sentence}")
    for row in islice(summary.wrong_rows(), WRONG_ROWS_SHOWN):
        sentence = row.sentence_zh if is_chinese() else row.sentence
        print_sentence(
            console, say(f"  row {row.row:,}: {sentence}", f"  第 {row.row:,} 行: {sentence}")
        )
    if not review.order_count:
        return
    show_rows(
        [
            {
                "platform": text_value(platform),
                "industry": Value(label(INDUSTRY, industry).text(language()), industry),
                "state": Value(label(STATE, state).text(language()), state),
                "order_count": count_value(count),
            }
            for (platform, industry, state), count in sorted(review.orders.items())
        ],
        ("platform", "industry", "state", "order_count"),
    )
    print_sentence(
        console,
        say(
            f"Accepted from {review.first_day} to {review.last_day} (days in China).",
            f"接单日期: {review.first_day} 至 {review.last_day} (中国时间)。",
        ),
    )
    _show_places(console, review)
    for remark in review.suspicions():
        print_sentence(console, remark.text(language()))


def _show_places(console: Console, review: FileReview) -> None:
    places = [
        say(f"{count:,} in {code}", f"{code} {count:,} 个")
        if code
        else say(
            f"{count:,} at no known place, which will be refused",
            f"{count:,} 个没有可识别的地点, 将被拒收",
        )
        for code, count in areas_by_count(review.areas)
    ]
    more = len(places) - PLACES_SHOWN
    some = "; ".join(places[:PLACES_SHOWN])
    if more > 0:
        some += say(f"; and {more:,} more places", f"; 另有 {more:,} 处")
    print_sentence(console, say(f"Places: {some}.", f"地点: {some}。"))
    by_centre = review.summary.places[PlaceBy.CENTRE]
    if by_centre:
        print_sentence(console, placed_by_centre(by_centre))


def _write_wrong(path: Path, summary: FileSummary) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as sink:
            writer = csv.writer(sink)
            writer.writerow(name for name in REJECTED_HEADER if name not in {"platform", "batch"})
            writer.writerows(
                (
                    row.row,
                    harmless(row.order_no),
                    row.fault.name,
                    row.field,
                    row.sentence,
                    row.sentence_zh,
                )
                for row in summary.wrong_rows()
            )
    except OSError as error:
        raise unwritable(path, error) from error


def _ask(connection: Connection, console: Console, review: FileReview) -> int:
    """Say which workers are enrolled and which orders are stored; how many are not enrolled.

    Without a service to ask, or a token for it, the file alone was checked, and this says so.
    """
    try:
        return run(lambda: _compare(connection, console, review))
    except grpc.RpcError as error:
        problem = problem_of(error)
        if not problem.is_unreachable:
            raise
        _say_not_compared(console, sentence_of(problem))
    except Refused as refusal:
        _say_not_compared(console, sentence_of(refusal))
    return 0


def _say_not_compared(console: Console, sentence: str) -> None:
    print_sentence(
        console,
        say(
            f"Workers and stored orders were not compared: {sentence}",
            f"未能核对人员登记和已存订单: {sentence}",
        ),
    )


async def _compare(connection: Connection, console: Console, review: FileReview) -> int:
    unknown_count = 0
    for platform, part in review.summary.parts.items():
        async with connection.channels("platform", platform=platform) as channels:
            enrolment = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
            known = await look_up_workers(enrolment, platform, part.worker_numbers)
            unknown = sorted(part.worker_numbers - known.keys())
            padded = await look_up_padded(enrolment, platform, unknown)
            orders = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
            numbers = review.examples.get(platform, [])
            stored = [number for number in numbers if await _is_stored(orders, platform, number)]
        unknown_count += len(unknown)
        some = f": {', '.join(unknown[:NUMBERS_SHOWN])}" if unknown else ""
        print_sentence(
            console,
            say(
                f"{platform}: {len(part.worker_numbers):,} workers, {len(unknown):,} not enrolled"
                f"{some}; of the first {len(numbers)} orders {len(stored)} are stored already.",
                f"{platform}: {len(part.worker_numbers):,} 名人员, 其中 {len(unknown):,} 名未登记"
                f"{some}; 前 {len(numbers)} 个订单中已存 {len(stored)} 个。",
            ),
        )
        if padded:
            print_sentence(console, lost_zeros(padded))
    return unknown_count


async def _is_stored(
    stub: orders_pb2_grpc.OrderServiceAsyncStub, platform: str, order_no: str
) -> bool:
    try:
        await stub.GetOrder(
            orders_pb2.GetOrderRequest(name=f"platforms/{platform}/orders/{order_no}")
        )
    except grpc.aio.AioRpcError as error:
        if error.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT}:
            return False
        raise
    return True
