"""Send batches and keep their receipts; what got no answer is sent again under the same id."""

from __future__ import annotations

import asyncio
import re
from array import array
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from hashlib import sha256

import grpc
import pyarrow as pa
from google.rpc import error_details_pb2, status_pb2
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.orderlog.columns import SCHEMA, BatchTooLarge
from services.runtime.rpc.client import RemoteProblem

ROWS_PER_BATCH = 40_000
CONTENT_BYTES_MAX = 4 * 1024 * 1024 - 4096
# Batches in memory that have no answer yet: twice what the service has under way of one stream.
WINDOW = 6
STREAM_SECONDS = 3600
TRIES_MAX = 8
FIRST_WAIT_SECONDS = 0.3
# A batch id is this, the batch's number and a part of its content's digest: 63 characters at most.
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_DIGEST_LENGTH = 16
# Worth another try: the batch was not taken, or nobody knows.
_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)
# Not about the batch but about who sends it: the next one would hear the same.
_OF_CALLER = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Batch:
    """A batch to be sent: its id and an Arrow IPC stream; `file_rows` says where rows stood."""

    batch_id: str
    content: bytes
    row_count: int
    file_rows: Sequence[int] = ()


@dataclass(frozen=True)
class Answer:
    """What became of a batch: its receipt, or why it was refused as a whole."""

    batch: Batch
    receipt: orders_pb2.OrderBatch | None = None
    refusal: RemoteProblem | None = None


def cut(
    orders: pa.Table | Iterable[pa.Table], run: str, rows_per_batch: int = ROWS_PER_BATCH
) -> Iterator[Batch]:
    """Cut tables (columns of the proto, maybe `file_row`) into batches, one at a time.

    A batch id is `{run}-{number}-{digest}`: the same rows under the same run give the same id, so
    an interrupted upload can go on; rows that changed since (a worker was enrolled, say) give
    another, and what is held of them already is counted as `exists`. `run` is 1 to 40 characters.
    """
    if not _RUN.fullmatch(run):
        raise ValueError("a run is 1 to 40 letters, digits, '.', '_' or '-'")
    number = 0
    for table in _in_lots([orders] if isinstance(orders, pa.Table) else orders, rows_per_batch):
        for part, content in _in_size(table):
            rows = _rows(part["file_row"]) if "file_row" in part.column_names else ()
            digest = sha256(content).hexdigest()[:_DIGEST_LENGTH]
            yield Batch(f"{run}-{number:05d}-{digest}", content, part.num_rows, rows)
            number += 1


async def send_batches(
    stub: orders_pb2_grpc.OrderServiceAsyncStub, platform: str, batches: Iterable[Batch]
) -> AsyncGenerator[Answer, None]:
    """Send batches on one stream; the answer to each, in their order.

    No more than a few are in memory. One whose fate is unknown is sent again under the same id, at
    most eight times in a row without progress; then the error is raised. Raises RemoteProblem where
    the caller is refused; a batch that is refused is an answer, and the others go on.
    """
    sending = _Sending(stub, platform, iter(batches))
    tries = 0
    while not sending.is_done:
        try:
            async with aclosing(sending.attempt()) as answers:
                async for answer in answers:
                    tries = 0
                    yield answer
        except (grpc.aio.AioRpcError, RemoteProblem) as error:
            tries += 1
            if not _may_pass(error) or tries >= TRIES_MAX:
                raise
            await asyncio.sleep(min(5.0, FIRST_WAIT_SECONDS * 2**tries))


async def upload_orders(
    stub: orders_pb2_grpc.OrderServiceAsyncStub,
    platform: str,
    batches: Iterable[Batch],
    on_receipt: Callable[[Batch, orders_pb2.OrderBatch], None] = lambda _batch, _receipt: None,
) -> list[orders_pb2.OrderBatch]:
    """Send batches that must all be taken; their receipts.

    `on_receipt` is told of each as it comes. Raises RemoteProblem for the first batch that is
    refused as a whole; receipts before it stand. See `send_batches`.
    """
    receipts: list[orders_pb2.OrderBatch] = []
    async with aclosing(send_batches(stub, platform, batches)) as answers:
        async for answer in answers:
            if answer.receipt is None:
                assert answer.refusal is not None
                raise answer.refusal
            receipts.append(answer.receipt)
            on_receipt(answer.batch, answer.receipt)
    return receipts


class _Sending:
    """Batches on their way, over as many streams as it takes."""

    def __init__(
        self, stub: orders_pb2_grpc.OrderServiceAsyncStub, platform: str, batches: Iterator[Batch]
    ) -> None:
        self._stub = stub
        self._platform = platform
        self._batches = batches
        self._is_read = False
        # Sent and unanswered; `_first` is the number of the oldest.
        self._waiting: deque[Batch] = deque()
        self._first = 0
        self._answered = asyncio.Event()
        # What went wrong when the next batch was made.
        self._failure: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether every batch has its answer."""
        return self._is_read and not self._waiting

    async def attempt(self) -> AsyncGenerator[Answer, None]:
        """One stream: what waits for an answer first, then the rest."""
        call = self._stub.UploadOrders(self._requests(), timeout=STREAM_SECONDS)
        try:
            async for told in call:
                answer = _answer(self._waiting[0], told)
                self._waiting.popleft()
                self._first += 1
                self._answered.set()
                yield answer
        finally:
            call.cancel()
        if self._failure is not None:
            raise self._failure
        if not self.is_done:
            raise RemoteProblem(grpc.StatusCode.UNAVAILABLE, "", "The stream ended too early.")

    async def _requests(self) -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
        number = self._first
        while True:
            while number - self._first >= WINDOW:
                self._answered.clear()
                await self._answered.wait()
            if number - self._first == len(self._waiting) and not self._take():
                return
            batch = self._waiting[number - self._first]
            yield orders_pb2.UploadOrdersRequest(
                batch_id=batch.batch_id,
                platform=f"platforms/{self._platform}",
                arrow_ipc=batch.content,
            )
            number += 1

    def _take(self) -> bool:
        """Make the next batch and let it wait for its answer; False if there is none."""
        try:
            batch = next(self._batches, None)
        except Exception as error:  # noqa: BLE001 - gRPC would drop it: it is raised after the answers
            self._failure = error
            return False
        if batch is None:
            self._is_read = True
            return False
        self._waiting.append(batch)
        return True


def _answer(batch: Batch, told: orders_pb2.UploadOrdersResponse) -> Answer:
    if told.WhichOneof("outcome") != "problem":
        return Answer(batch, receipt=told.receipt)
    problem = problem_of_batch(told.problem)
    if problem.code in _OF_CALLER or _may_pass(problem):
        raise problem
    return Answer(batch, refusal=problem)


def _may_pass(error: grpc.aio.AioRpcError | RemoteProblem) -> bool:
    if isinstance(error, RemoteProblem):
        # The code is that of overload, but the batch stays too large.
        return error.code in _AGAIN and error.reason != BatchTooLarge.reason
    return error.code() in _AGAIN


def problem_of_batch(status: status_pb2.Status) -> RemoteProblem:
    """The refusal of a whole batch, as other refusals look."""
    reason, sentence_zh, metadata = "", "", dict[str, str]()
    for detail in status.details:
        told, localized = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
        if detail.Unpack(told):
            reason, metadata = told.reason, dict(told.metadata)
        elif detail.Unpack(localized):
            sentence_zh = localized.message
    code = _BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    return RemoteProblem(code, reason, status.message, sentence_zh, metadata)


def _in_lots(tables: Iterable[pa.Table], rows_per_lot: int) -> Iterator[pa.Table]:
    """The same rows in tables of so many, whatever tables they came in; the last may have fewer."""
    held: list[pa.Table] = []
    count = 0
    for table in tables:
        start = 0
        while count + table.num_rows - start >= rows_per_lot:
            held.append(table.slice(start, rows_per_lot - count))
            start += rows_per_lot - count
            yield pa.concat_tables(held)
            held, count = [], 0
        if start < table.num_rows:
            held.append(table.slice(start))
            count += table.num_rows - start
    if held:
        yield pa.concat_tables(held)


def _in_size(table: pa.Table) -> Iterator[tuple[pa.Table, bytes]]:
    """A table and its content, or its halves if that is too long."""
    content = _ipc(_copied(table.select(SCHEMA.names).cast(SCHEMA)))
    if len(content) <= CONTENT_BYTES_MAX or table.num_rows == 1:
        yield table, content
        return
    half = table.num_rows // 2
    yield from _in_size(table.slice(0, half))
    yield from _in_size(table.slice(half))


def _copied(table: pa.Table) -> pa.Table:
    """The same rows without what they were a part of, so that their bytes depend on them alone."""
    columns = [
        pa.concat_arrays([*column.chunks, pa.array([], column.type)]) for column in table.columns
    ]
    return pa.table(columns, table.schema)


def _rows(column: pa.ChunkedArray) -> Sequence[int]:
    """The numbers of the rows, in little room: mostly they follow each other."""
    first, last = column[0].as_py(), column[-1].as_py()
    if last - first + 1 == len(column):
        return range(first, last + 1)
    return array("q", column.to_pylist())


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content
