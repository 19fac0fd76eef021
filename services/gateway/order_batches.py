"""Batches of orders from the body of an upload: lines of JSON, or an Arrow IPC stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from oip.orders.v1 import orders_pb2

from services.gateway import json_messages
from services.gateway.arrow_stream import record_batches
from services.gateway.problems import BodyTooLarge, RowUnreadable
from services.kernel.phrases import Phrase
from services.kernel.problems import Problem
from services.runtime.rpc.limits import MESSAGE_BYTES_MAX

# A message to the orders service has this much room for batch id and platform.
CONTENT_BYTES_MAX = MESSAGE_BYTES_MAX - 4096
ROWS_PER_BATCH = 5_000
ROW_BYTES_PER_BATCH = CONTENT_BYTES_MAX // 2
# Far more than a row with the longest texts has.
LINE_BYTES_MAX = 64 * 1024
_DIGEST_LENGTH = 16


@dataclass(frozen=True)
class OrderBatch:
    """A batch: its number in the upload, its message, and the first of its rows, if rows count."""

    number: int
    batch_id: str
    message: bytes
    first_row: int | None = None


async def batches_of_lines(
    pieces: AsyncIterator[bytes], platform: str, run: str
) -> AsyncIterator[OrderBatch]:
    """Batches of rows, each line of which is an OrderRow; empty lines are passed over.

    Raises RowUnreadable with the number of the line, from 1.
    """
    rows: list[orders_pb2.OrderRow] = []
    number = first_row = size = 0
    async for lines, first_line in _lines(pieces):
        lot, refusal = await asyncio.to_thread(_rows_of, lines, first_line)
        for row in lot:
            if len(rows) == ROWS_PER_BATCH or size + row.ByteSize() > ROW_BYTES_PER_BATCH:
                yield _of_rows(number, rows, first_row, platform, run)
                number, first_row, rows, size = number + 1, first_row + len(rows), [], 0
            rows.append(row)
            size += row.ByteSize()
        if refusal is not None:
            raise refusal
    if rows:
        yield _of_rows(number, rows, first_row, platform, run)


async def batches_of_arrow(
    pieces: AsyncIterator[bytes], platform: str, run: str
) -> AsyncIterator[OrderBatch]:
    """Batches of an Arrow IPC stream: one for each of its record batches."""
    number = 0
    async for content in record_batches(pieces, CONTENT_BYTES_MAX):
        batch_id = _batch_id(run, number, content)
        request = orders_pb2.UploadOrdersRequest(
            batch_id=batch_id, platform=platform, arrow_ipc=content
        )
        yield OrderBatch(number, batch_id, request.SerializeToString())
        number += 1


def _of_rows(
    number: int, rows: list[orders_pb2.OrderRow], first_row: int, platform: str, run: str
) -> OrderBatch:
    content = orders_pb2.OrderRows(rows=rows)
    batch_id = _batch_id(run, number, content.SerializeToString(deterministic=True))
    request = orders_pb2.UploadOrdersRequest(batch_id=batch_id, platform=platform, rows=content)
    return OrderBatch(number, batch_id, request.SerializeToString(), first_row)


def _batch_id(run: str, number: int, content: bytes) -> str:
    """The same content at the same place of a run has the same id: a repeat counts once."""
    return f"{run}-{number:05d}-{sha256(content).hexdigest()[:_DIGEST_LENGTH]}"


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[list[bytes], int]]:
    """Whole lines, some at a time, and the number of the first of them, from 1."""
    rest = b""
    line = 1
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > LINE_BYTES_MAX:
            raise _of_line(line + len(lines), BodyTooLarge(max_bytes=LINE_BYTES_MAX))
        yield lines, line
        line += len(lines)
    yield [rest], line


def _rows_of(
    lines: Sequence[bytes], first_line: int
) -> tuple[list[orders_pb2.OrderRow], RowUnreadable | None]:
    """The rows of lines up to the first that is none, and why."""
    rows = []
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        try:
            if len(line) > LINE_BYTES_MAX:
                raise BodyTooLarge(max_bytes=LINE_BYTES_MAX)
            rows.append(json_messages.parse(line, orders_pb2.OrderRow))
        except Problem as problem:
            return rows, _of_line(number, problem)
    return rows, None


def _of_line(line: int, problem: Problem) -> RowUnreadable:
    return RowUnreadable(
        field=problem.field,
        line=line,
        what=Phrase(problem.reason, problem.sentence, problem.sentence_zh),
    )
