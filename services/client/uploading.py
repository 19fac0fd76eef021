"""Send batches and keep their receipts; what got no answer is sent again under the same id."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import grpc
import pyarrow as pa
from google.rpc import error_details_pb2, status_pb2
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.orders.domain.columns import SCHEMA, BatchTooLarge
from services.runtime.channels import RemoteProblem

ROWS_PER_BATCH = 40_000
CONTENT_BYTES_MAX = 4 * 1024 * 1024 - 4096
STREAM_SECONDS = 3600
TRIES_MAX = 8
FIRST_WAIT_SECONDS = 0.3
# Worth another try: the batch was not taken, or nobody knows.
_AGAIN = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Batch:
    """A batch to be sent: its id and an Arrow IPC stream; `file_rows` says where rows stood."""

    batch_id: str
    content: bytes
    row_count: int
    file_rows: Sequence[int] = ()


def cut(orders: pa.Table, run: str, rows_per_batch: int = ROWS_PER_BATCH) -> list[Batch]:
    """Cut a table (columns of the proto, maybe `file_row`) into batches `{run}-{number}`.

    The same table and run give the same batches, so an interrupted upload can go on.
    """
    batches: list[Batch] = []
    start = 0
    while start < orders.num_rows:
        part = orders.slice(start, rows_per_batch)
        content = _ipc(part.select(SCHEMA.names).cast(SCHEMA))
        if len(content) > CONTENT_BYTES_MAX and part.num_rows > 1:
            rows_per_batch = max(1, part.num_rows // 2)
            continue
        rows = part["file_row"].to_pylist() if "file_row" in part.column_names else ()
        batches.append(Batch(f"{run}-{len(batches):05d}", content, part.num_rows, rows))
        start += part.num_rows
    return batches


async def upload_orders(
    stub: orders_pb2_grpc.OrderServiceAsyncStub,
    platform: str,
    batches: Sequence[Batch],
    on_receipt: Callable[[Batch, orders_pb2.OrderBatch], None] = lambda _batch, _receipt: None,
) -> list[orders_pb2.OrderBatch]:
    """Send batches on one stream, in order; their receipts.

    A batch whose fate is unknown is sent again under the same id, at most eight times in a row
    without progress. `on_receipt` is told of each as it comes. Raises RemoteProblem for a batch
    that is refused as a whole; receipts before it stand.
    """
    receipts: list[orders_pb2.OrderBatch] = []
    tries = 0
    while len(receipts) < len(batches):
        before = len(receipts)
        try:
            await _send(stub, platform, batches[before:], receipts, on_receipt)
        except (grpc.aio.AioRpcError, RemoteProblem) as error:
            tries = 1 if len(receipts) > before else tries + 1
            if not _may_pass(error) or tries >= TRIES_MAX:
                raise
            await asyncio.sleep(min(5.0, FIRST_WAIT_SECONDS * 2**tries))
    return receipts


def _may_pass(error: grpc.aio.AioRpcError | RemoteProblem) -> bool:
    if isinstance(error, RemoteProblem):
        # The code is that of overload, but the batch stays too large.
        return error.code in _AGAIN and error.reason != BatchTooLarge.reason
    return error.code() in _AGAIN


async def _send(
    stub: orders_pb2_grpc.OrderServiceAsyncStub,
    platform: str,
    batches: Sequence[Batch],
    receipts: list[orders_pb2.OrderBatch],
    on_receipt: Callable[[Batch, orders_pb2.OrderBatch], None],
) -> None:
    async def requests() -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
        for batch in batches:
            yield orders_pb2.UploadOrdersRequest(
                batch_id=batch.batch_id,
                platform=f"platforms/{platform}",
                arrow_ipc=batch.content,
            )

    call = stub.UploadOrders(requests(), timeout=STREAM_SECONDS)
    try:
        waiting = iter(batches)
        async for answer in call:
            batch = next(waiting)
            if answer.WhichOneof("outcome") == "problem":
                raise problem_of_batch(answer.problem)
            receipts.append(answer.receipt)
            on_receipt(batch, answer.receipt)
    finally:
        call.cancel()


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


def _ipc(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content
