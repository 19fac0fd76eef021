"""The RPCs of OrderService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Any

import grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.kernel.problems import NotFound
from services.orderlog.entries import microseconds, parse_order_name
from services.orders import events
from services.orders.api import format as out
from services.orders.api import parse
from services.orders.api.upload import UploadStream
from services.orders.commands import archives as archive_commands
from services.orders.commands import gaps as gap_commands
from services.orders.commands import proofs as proof_commands
from services.orders.commands.archives import ArchivePart, MonthOverview
from services.orders.commands.freezes import freeze_orders
from services.orders.commands.intake import Intake
from services.orders.commands.log_key import signer_of
from services.orders.commands.proofs import ProofParts
from services.orders.commands.registrations import RegisteredPlatforms
from services.orders.domain import archives
from services.orders.domain.found_orders import find
from services.orders.domain.law import rules_at
from services.orders.reader.pool import ReaderPool
from services.orders.store import batches as batch_store
from services.orders.store import logs as log_store
from services.orders.store import orders as order_store
from services.orders.store import tallies as tally_store
from services.runtime.base.clock import today
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, date_from_wire, moment_from_wire, month_from_wire
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction, seeing_everything

SERVICE_NAME = "oip.orders.v1.OrderService"


class OrderApi(orders_pb2_grpc.OrderServiceServicer):
    """Accepts order records and answers for them."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._readers = ReaderPool()
        context.closing.push_async_callback(self._readers.close)
        self._signer = signer_of(context)
        self._platforms = RegisteredPlatforms(context.database)
        self._intake = Intake(context, self._readers, self._signer, self._platforms)

    # Batches

    async def UploadOrders(  # type: ignore[override]  # served by `upload_handlers`
        self,
        requests: AsyncIterator[orders_pb2.UploadOrdersEnvelope],
        context: Context,
    ) -> AsyncIterator[orders_pb2.UploadOrdersResponse]:
        """A batch in, a receipt out, in the order sent; a failed batch does not fail the stream."""
        stream = UploadStream(self._intake, self._context.service)
        async for answer in stream.answers(requests):
            yield answer

    async def GetOrderBatch(
        self, request: orders_pb2.GetOrderBatchRequest, context: Context
    ) -> orders_pb2.OrderBatch:
        """One batch's receipt."""
        platform, batch_id = parse.batch_name(request.name, "name")

        async def work(tx: Transaction) -> orders_pb2.OrderBatch:
            batch = await batch_store.get(tx, platform, batch_id)
            if batch is None:
                raise NotFound(name=request.name)
            return out.order_batch(batch)

        return await read(self._context, work)

    async def ListOrderBatches(
        self, request: orders_pb2.ListOrderBatchesRequest, context: Context
    ) -> orders_pb2.ListOrderBatchesResponse:
        """The batches of a platform in the order of its log, or newest first."""
        platform = parse.own_platform(request.platform)
        page = page_of(request, int)
        last = page.after[0] if page.after else None

        async def work(tx: Transaction) -> orders_pb2.ListOrderBatchesResponse:
            if request.newest_first:
                batches = await batch_store.list_newest(tx, platform, last, page.size)
            else:
                after = -1 if last is None else last
                batches = await batch_store.list_after(tx, platform, after, page.size)
            count = await batch_store.count_batches(tx, platform) if request.count_all else 0
            return orders_pb2.ListOrderBatchesResponse(
                order_batches=[out.order_batch(batch) for batch in batches],
                next_page_token=page.next_token(batches, lambda batch: (batch.log_index,)),
                total_count=count,
            )

        return await read(self._context, work)

    async def ListOrderRejections(
        self, request: orders_pb2.ListOrderRejectionsRequest, context: Context
    ) -> orders_pb2.ListOrderRejectionsResponse:
        """Every rejected or conflicting row of a batch."""
        platform, batch_id = parse.batch_name(request.order_batch, "order_batch")
        page = page_of(request, int)
        (after,) = page.after or (-1,)

        async def work(tx: Transaction) -> orders_pb2.ListOrderRejectionsResponse:
            batch = await batch_store.get(tx, platform, batch_id)
            if batch is None:
                raise NotFound(name=request.order_batch)
            rows = await batch_store.list_rejections(tx, batch.batch_no, after, page.size)
            return orders_pb2.ListOrderRejectionsResponse(
                rejections=[out.order_rejection(row) for row in rows],
                next_page_token=page.next_token(rows, lambda row: (row.index,)),
            )

        return await read(self._context, work)

    # Orders

    async def GetOrder(
        self, request: orders_pb2.GetOrderRequest, context: Context
    ) -> orders_pb2.Order:
        """One order with all its revisions, oldest first."""
        platform, order_no = parse_order_name(request.name)

        async def work(tx: Transaction) -> orders_pb2.Order:
            records = await order_store.list_revisions(tx, platform, order_no)
            if not records:
                raise NotFound(name=request.name)
            return out.order(request.name, records)

        return await read(self._context, work)

    async def FindOrders(
        self, request: orders_pb2.FindOrdersRequest, context: Context
    ) -> orders_pb2.FindOrdersResponse:
        """A worker's orders near a moment, across all platforms."""
        worker = parse.worker(request.worker)
        moment = moment_from_wire(request.moment, "moment")
        margin = parse.margin(request.margin)
        rules = rules_at(self._context.clock.now(), self._context.province)

        async def work(tx: Transaction) -> orders_pb2.FindOrdersResponse:
            revisions = await order_store.list_revisions_near(
                tx, worker, moment, margin, rules.order_us_max
            )
            orders = find(revisions, worker, moment, margin)
            return orders_pb2.FindOrdersResponse(orders=[out.found_order(one) for one in orders])

        return await read(self._context, work)

    async def ListWorkerOrders(
        self, request: orders_pb2.ListWorkerOrdersRequest, context: Context
    ) -> orders_pb2.ListWorkerOrdersResponse:
        """A worker's orders accepted on one day in Asia/Shanghai."""
        worker = parse.worker(request.worker)
        day = date_from_wire(request.accept_date, "accept_date")
        page = page_of(request, datetime, str, str)

        async def work(tx: Transaction) -> orders_pb2.ListWorkerOrdersResponse:
            after = page.after or None
            if caller().person == request.worker:
                # An earlier revision, of another worker, says whether a record is late.
                async with seeing_everything(tx):
                    records = await order_store.list_of_day(tx, worker, day, after, page.size)
            else:
                records = await order_store.list_of_day(tx, worker, day, after, page.size)
            return orders_pb2.ListWorkerOrdersResponse(
                records=[out.order_record(record) for record in records],
                next_page_token=page.next_token(
                    records, lambda record: (record.accept_time, record.platform, record.order_no)
                ),
            )

        return await read(self._context, work)

    async def FreezeOrders(
        self, request: orders_pb2.FreezeOrdersRequest, context: Context
    ) -> orders_pb2.FreezeOrdersResponse:
        """Keep a worker's records around a moment."""
        worker = parse.worker(request.worker)
        moment = moment_from_wire(request.moment, "moment")
        holder = parse.holder(request.holder)

        async def work(tx: Transaction) -> orders_pb2.FreezeOrdersResponse:
            count = await freeze_orders(tx, self._context.command(), worker, moment, holder)
            return orders_pb2.FreezeOrdersResponse(record_count=count)

        return await change(
            self._context,
            request,
            orders_pb2.FreezeOrdersResponse,
            work,
            # The whole request, so that `oip verify` notices a freeze that was removed.
            resource=f"{request.worker}/orderFreezes/{microseconds(moment)}/{holder}",
        )

    # Completeness

    async def ListOrderTallies(
        self, request: orders_pb2.ListOrderTalliesRequest, context: Context
    ) -> orders_pb2.ListOrderTalliesResponse:
        """The orders that count, by platform, pooling area, industry and service date."""
        platform = parse.optional_platform(request.platform)
        month = month_from_wire(request.month, "month")
        page = page_of(request, str, int, int, date)

        async def work(tx: Transaction) -> orders_pb2.ListOrderTalliesResponse:
            rows = await tally_store.list_of_month(
                tx, platform, month, page.after or None, page.size
            )
            return orders_pb2.ListOrderTalliesResponse(
                tallies=[out.order_tally(row) for row in rows],
                next_page_token=page.next_token(rows, lambda row: row.key),
            )

        return await read(self._context, work)

    async def DeclareOrderTotals(
        self, request: orders_pb2.DeclareOrderTotalsRequest, context: Context
    ) -> orders_pb2.OrderTotals:
        """A platform's own totals of a day."""
        platform = parse.own_platform(request.platform)
        day = date_from_wire(request.service_date, "service_date")
        lines = parse.total_lines(request.tallies)
        await self._platforms.require(platform)

        async def work(tx: Transaction) -> orders_pb2.OrderTotals:
            totals = await gap_commands.declare_order_totals(
                tx,
                self._context.command(),
                platform,
                day,
                order_count=request.order_count,
                lines=lines,
            )
            return out.order_totals(totals)

        return await change(
            self._context,
            request,
            orders_pb2.OrderTotals,
            work,
            resource=lambda answer: answer.name,
        )

    async def ListOrderGaps(
        self, request: orders_pb2.ListOrderGapsRequest, context: Context
    ) -> orders_pb2.ListOrderGapsResponse:
        """Days on which declared and stored orders differ, or on which a platform was silent."""
        platform = parse.optional_platform(request.platform)
        month = month_from_wire(request.month, "month")
        page, day = page_of(request, str, date, int, int), today(self._context.clock)

        async def work(tx: Transaction) -> orders_pb2.ListOrderGapsResponse:
            rows = await gap_commands.list_gaps(
                tx, platform, month, day=day, after=page.after or None, size=page.size
            )
            return orders_pb2.ListOrderGapsResponse(
                gaps=[events.order_gap(*row) for row in rows],
                next_page_token=page.next_token(rows, lambda row: gap_commands.gap_key(*row)),
            )

        return await read(self._context, work)

    # Evidence

    async def GetOrderProof(
        self, request: orders_pb2.GetOrderProofRequest, context: Context
    ) -> orders_pb2.OrderProof:
        """Prove that a record lies in a batch and the batch in the platform's log."""
        platform, order_no = parse_order_name(request.name)

        async def work(tx: Transaction) -> ProofParts:
            return await proof_commands.read_proof_parts(
                tx, self._signer, platform, order_no, request.revision
            )

        parts = await read(self._context, work)
        return out.order_proof(await proof_commands.prove(self._readers, parts))

    async def GetLogConsistency(
        self, request: orders_pb2.GetLogConsistencyRequest, context: Context
    ) -> orders_pb2.LogConsistency:
        """Prove that a later head of a platform's log contains an earlier one."""
        platform = parse.own_platform(request.platform)

        async def work(tx: Transaction) -> orders_pb2.LogConsistency:
            consistency = await proof_commands.prove_consistency(
                tx, self._signer, platform, request.first_size, request.second_size
            )
            return out.log_consistency(consistency)

        return await read(self._context, work)

    async def ListCheckpoints(
        self, request: orders_pb2.ListCheckpointsRequest, context: Context
    ) -> orders_pb2.ListCheckpointsResponse:
        """The signed heads of a platform's log, newest first."""
        platform = parse.own_platform(request.platform)
        page = page_of(request, int)
        (below,) = page.after or (None,)

        async def work(tx: Transaction) -> orders_pb2.ListCheckpointsResponse:
            heads = await log_store.list_checkpoints(tx, platform, below, page.size)
            return orders_pb2.ListCheckpointsResponse(
                checkpoints=[out.checkpoint(head) for head in heads],
                next_page_token=page.next_token(heads, lambda head: (head.log_size,)),
            )

        return await read(self._context, work)

    # Archive

    async def GetOrderArchive(
        self, request: orders_pb2.GetOrderArchiveRequest, context: Context
    ) -> AsyncIterator[orders_pb2.GetOrderArchiveResponse]:
        """A month's batches of a platform with their records, part by part."""
        platform = parse.own_platform(request.platform)
        month = month_from_wire(request.month, "month")
        now = self._context.clock.now()

        async def work(tx: Transaction) -> MonthOverview:
            return await archive_commands.read_overview(tx, platform, month, now)

        overview = await read(self._context, work)
        yield orders_pb2.GetOrderArchiveResponse(archive=out.order_archive(overview, month))
        start, end = overview.extent.start, overview.extent.end
        while start < end:
            part = await self._archive_part(platform, start, overview)
            for logged in part.batches:
                yield orders_pb2.GetOrderArchiveResponse(batch=out.logged_batch(logged))
            if part.rows:
                rows = await asyncio.to_thread(archives.from_csv, part.rows)
                for content in archives.messages(rows):
                    yield orders_pb2.GetOrderArchiveResponse(arrow_ipc=content)
            start = part.end

    async def _archive_part(
        self, platform: str, start: int, overview: MonthOverview
    ) -> ArchivePart:
        async def work(tx: Transaction) -> ArchivePart:
            return await archive_commands.read_part(
                tx, platform, start, overview.extent.end, overview.checkpoint
            )

        return await read(self._context, work)


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    api = OrderApi(context)
    orders_pb2_grpc.add_OrderServiceServicer_to_server(api, server)
    # The later registration of a method is the one that is served.
    server.add_registered_method_handlers(SERVICE_NAME, _upload_handlers(api))


def _upload_handlers(api: OrderApi) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """UploadOrders with requests read as envelopes.

    The generated registration would parse every row on the event loop.
    """
    return {
        "UploadOrders": grpc.stream_stream_rpc_method_handler(
            api.UploadOrders,
            request_deserializer=orders_pb2.UploadOrdersEnvelope.FromString,
            response_serializer=orders_pb2.UploadOrdersResponse.SerializeToString,
        )
    }
