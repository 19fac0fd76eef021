"""UploadOrders, and questions about batches."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import grpc
from oip.orders.v1 import orders_pb2

from services.kernel import names
from services.kernel.problems import Malformed, NotFound, Problem
from services.orders.api import wire
from services.orders.commands.intake import Intake, Upload
from services.orders.commands.workers import WorkerPool
from services.orders.store import records
from services.runtime.base.failpoints import FailpointError
from services.runtime.base.log import logger
from services.runtime.rpc.access import caller
from services.runtime.rpc.error_status import as_problem, is_unavailable, log_fields, status_of
from services.runtime.rpc.wire import Context, next_token, page_of
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import read
from services.runtime.storage.database import Transaction

log = logger("orders")

# Batches of one stream that are under way; the next one is not read before one of them is done.
WINDOW = 3
# What one field may come in; every library writes it in one.
PIECES_MAX = 1000
_BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

Answer = asyncio.Task[orders_pb2.UploadOrdersResponse]


class _Stream:
    """One call of UploadOrders: its batches in the order sent, and those that are not done."""

    def __init__(self) -> None:
        self.window = asyncio.Semaphore(WINDOW)
        self.waiting: asyncio.Queue[Answer | None] = asyncio.Queue()
        self.under_way: set[Answer] = set()


class UploadApi:
    """Takes batches."""

    def __init__(self, context: ServiceContext, pool: WorkerPool) -> None:
        self._context = context
        self.intake = Intake(context, pool)

    async def UploadOrders(
        self,
        requests: AsyncIterator[orders_pb2.UploadOrdersEnvelope],
        context: Context,
    ) -> AsyncIterator[orders_pb2.UploadOrdersResponse]:
        """A batch in, a receipt out, in the order sent; a failed batch does not fail the stream."""
        stream = _Stream()
        reader = asyncio.create_task(self._read(requests, stream))
        try:
            while (answer := await stream.waiting.get()) is not None:
                yield await answer
                stream.window.release()
            await reader
        finally:
            reader.cancel()
            for task in stream.under_way:
                task.cancel()
            await asyncio.gather(reader, *stream.under_way, return_exceptions=True)

    async def _read(
        self, requests: AsyncIterator[orders_pb2.UploadOrdersEnvelope], stream: _Stream
    ) -> None:
        """Start a batch for each request, with a place for it in memory; None ends the answers."""
        before: Answer | None = None
        try:
            async for request in requests:
                batch_id, upload = request.batch_id[:64], _upload_or_problem(request)
                # The upload has the content: the message is not kept beside it while we wait.
                del request
                await stream.window.acquire()
                await self.intake.places.acquire()
                task = asyncio.create_task(self._take(batch_id, upload, before))
                task.add_done_callback(lambda _: self.intake.places.release())
                task.add_done_callback(stream.under_way.discard)
                stream.under_way.add(task)
                before = task
                stream.waiting.put_nowait(task)
        finally:
            # Without waiting: nobody may be left to make room.
            stream.waiting.put_nowait(None)

    async def _take(
        self, batch_id: str, upload: Upload | Problem, before: Answer | None
    ) -> orders_pb2.UploadOrdersResponse:
        answer = orders_pb2.UploadOrdersResponse(batch_id=batch_id)
        try:
            batch = await self.intake.take(_sound(upload), before)
            answer.receipt.CopyFrom(wire.batch(batch))
        except FailpointError:
            raise
        except Exception as error:  # noqa: BLE001 - one batch must not end the others
            _log(error, batch_id, self._context.service)
            answer.problem.CopyFrom(status_of(error, self._context.service))
        if before is not None:
            # Whoever waits for this batch waits for all before it, also if this one was refused.
            await asyncio.wait([before])
        return answer

    async def GetOrderBatch(
        self, request: orders_pb2.GetOrderBatchRequest, context: Context
    ) -> orders_pb2.OrderBatch:
        """One batch's receipt."""
        platform, batch_id = _batch_name(request.name, "name")

        async def work(tx: Transaction) -> orders_pb2.OrderBatch:
            batch = await records.get_batch(tx, platform, batch_id)
            if batch is None:
                raise NotFound(name=request.name)
            return wire.batch(batch)

        return await read(self._context, work)

    async def ListOrderBatches(
        self, request: orders_pb2.ListOrderBatchesRequest, context: Context
    ) -> orders_pb2.ListOrderBatchesResponse:
        """The batches of a platform in the order of its log."""
        platform = wire.own_platform(request.platform)
        page = page_of(request)
        after = _number(page.after, -1)

        async def work(tx: Transaction) -> orders_pb2.ListOrderBatchesResponse:
            held = await records.list_batches(tx, platform, after, page.size)
            full = len(held) == page.size
            return orders_pb2.ListOrderBatchesResponse(
                order_batches=[wire.batch(one) for one in held],
                next_page_token=next_token([held[-1].log_index]) if full else "",
            )

        return await read(self._context, work)

    async def ListOrderRejections(
        self, request: orders_pb2.ListOrderRejectionsRequest, context: Context
    ) -> orders_pb2.ListOrderRejectionsResponse:
        """Every rejected or conflicting row of a batch."""
        platform, batch_id = _batch_name(request.order_batch, "order_batch")
        page = page_of(request)
        after = _number(page.after, -1)

        async def work(tx: Transaction) -> orders_pb2.ListOrderRejectionsResponse:
            batch = await records.get_batch(tx, platform, batch_id)
            if batch is None:
                raise NotFound(name=request.order_batch)
            rows = await records.list_rejections(tx, batch.batch_no, after, page.size)
            full = len(rows) == page.size
            return orders_pb2.ListOrderRejectionsResponse(
                rejections=[wire.rejection(one) for one in rows],
                next_page_token=next_token([rows[-1].index]) if full else "",
            )

        return await read(self._context, work)


def upload_handlers(api: UploadApi) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """UploadOrders as it is served: of a request the envelope alone is read.

    The generated registration would parse every row on the event loop.
    """
    return {
        "UploadOrders": grpc.stream_stream_rpc_method_handler(
            api.UploadOrders,
            request_deserializer=orders_pb2.UploadOrdersEnvelope.FromString,
            response_serializer=orders_pb2.UploadOrdersResponse.SerializeToString,
        )
    }


def _log(error: Exception, batch_id: str, service: str) -> None:
    problem = as_problem(error, service)
    if problem is not None:
        log.info("batch_refused", batch=batch_id, reason=problem.reason)
    elif is_unavailable(error):
        log.warning("batch_unknown", batch=batch_id, error=type(error).__name__)
    else:
        log.error("batch_failed", batch=batch_id, **log_fields(error))


def _upload_or_problem(request: orders_pb2.UploadOrdersEnvelope) -> Upload | Problem:
    try:
        return _upload(request)
    except Problem as problem:
        # Its trace would keep the message.
        return problem.with_traceback(None)


def _sound(upload: Upload | Problem) -> Upload:
    if isinstance(upload, Problem):
        raise upload
    return upload


def _upload(request: orders_pb2.UploadOrdersEnvelope) -> Upload:
    if not _BATCH_ID.fullmatch(request.batch_id):
        what = "choose 1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit"
        raise Malformed.of("batch_id", what)
    platform = wire.own_platform(request.platform)
    piece_count, has_arrow = len(request.rows), request.HasField("arrow_ipc")
    if bool(piece_count) == has_arrow or piece_count > PIECES_MAX:
        raise Malformed.of("content", "send rows or arrow_ipc, one of them and once")
    if has_arrow:
        return Upload(platform, request.batch_id, "arrow", request.arrow_ipc)
    return Upload(platform, request.batch_id, "rows", b"".join(request.rows))


def _batch_name(text: str, field: str) -> tuple[str, str]:
    platform, batch_id = names.parse(text, "platforms", "orderBatches", field=field)
    if caller().is_platform and caller().platform != platform:
        raise NotFound(name=text)
    return platform, batch_id


def _number(after: tuple[str, ...], first: int) -> int:
    try:
        return int(after[0]) if after else first
    except ValueError:
        raise Malformed.of("page_token", "send the token of the page before") from None
