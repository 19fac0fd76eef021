"""`oip health`: whether each service answers calls and delivers events, and what it lacks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import grpc
import typer
from oip.operations.v1 import operations_pb2

from services.cli.connection import (
    EXIT_CHECK_FAILED,
    EXIT_UNREACHABLE,
    Connection,
    connection_of,
    is_chinese,
    run,
)
from services.cli.operations import stub_of
from services.cli.tables import Row, show_rows
from services.cli.values import text_value, truth_value
from services.cli.view import say
from services.client.channels import Channels, problem_of

ANSWER_SECONDS = 5.0
COLUMNS = ("service", "answers_calls", "delivers_events")


def health(context: typer.Context) -> None:
    """Show what each service lacks. Exit code 1 if one lacks something, 3 if one is silent."""
    connection = connection_of(context)
    answers = run(lambda: _all_answers(connection))
    show_rows((_row(service, answer) for service, answer in answers.items()), COLUMNS)
    for service, answer in answers.items():
        for sentence in _sentences(connection.addresses[service], answer):
            typer.echo(f"{service}: {sentence}", err=True)
    if None in answers.values():
        raise typer.Exit(EXIT_UNREACHABLE)
    if any(answer.faults for answer in answers.values() if answer is not None):
        raise typer.Exit(EXIT_CHECK_FAILED)


def _sentences(address: str, answer: operations_pb2.Health | None) -> list[str]:
    if answer is None:
        return [
            say(
                f"The service does not answer at {address}; start it.",
                f"该服务在 {address} 无应答; 请启动。",
            )
        ]
    return [fault.message_zh if is_chinese() else fault.message for fault in answer.faults]


def _row(service: str, answer: operations_pb2.Health | None) -> Row:
    areas = {"readiness"} if answer is None else {fault.area for fault in answer.faults}
    is_ready = "readiness" not in areas
    return {
        "service": text_value(service),
        "answers_calls": truth_value(is_ready),
        "delivers_events": truth_value(is_ready and "delivery" not in areas),
    }


async def _all_answers(connection: Connection) -> dict[str, operations_pb2.Health | None]:
    names = list(connection.addresses)
    async with connection.channels("administrator") as channels:
        answers: Sequence[operations_pb2.Health | None] = await asyncio.gather(
            *(_answer(channels, name) for name in names)
        )
    return dict(zip(names, answers, strict=True))


async def _answer(channels: Channels, service: str) -> operations_pb2.Health | None:
    """What a service says; None if it does not answer."""
    request = operations_pb2.GetHealthRequest()
    try:
        return await stub_of(channels, service).GetHealth(request, timeout=ANSWER_SECONDS)
    except grpc.RpcError as error:
        if problem_of(error).is_unreachable:
            return None
        raise
