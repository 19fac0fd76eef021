"""Orders by their number, by worker and moment, by day; freezing."""

from __future__ import annotations

from datetime import timedelta

from oip.orders.v1 import orders_pb2

from services.kernel.problems import Malformed, NotFound
from services.orderlog.entries import microseconds, parse_order_name
from services.orders.api import wire
from services.orders.commands.freezing import freeze_orders
from services.orders.domain.checks import rules_at
from services.orders.domain.records import MARGIN_MAX, find
from services.orders.store import records
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    moment_from_wire,
    next_token,
    page_of,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction

HOLDERS = ("claims/", "accidentReports/")


class LookupApi:
    """Answers which orders there are."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def GetOrder(
        self, request: orders_pb2.GetOrderRequest, context: Context
    ) -> orders_pb2.Order:
        """One order with all its revisions, oldest first."""
        platform, order_no = parse_order_name(request.name)

        async def work(tx: Transaction) -> orders_pb2.Order:
            held = await records.revisions_of(tx, platform, order_no)
            if not held:
                raise NotFound(name=request.name)
            return orders_pb2.Order(name=request.name, revisions=[wire.record(one) for one in held])

        return await read(self._context, work)

    async def FindOrders(
        self, request: orders_pb2.FindOrdersRequest, context: Context
    ) -> orders_pb2.FindOrdersResponse:
        """A worker's orders under way at a moment, across all platforms."""
        worker = wire.worker_of(request.worker)
        moment = moment_from_wire(request.moment, "moment")
        margin = timedelta(
            seconds=request.margin.seconds, microseconds=request.margin.nanos // 1000
        )
        if not timedelta() <= margin <= MARGIN_MAX:
            raise Malformed.of("margin", "write 0 to 24 hours")
        rules = rules_at(self._context.clock.now(), self._context.province)

        async def work(tx: Transaction) -> orders_pb2.FindOrdersResponse:
            held = await records.revisions_near(tx, worker, moment, margin, rules.order_us_max)
            return orders_pb2.FindOrdersResponse(
                orders=[
                    orders_pb2.FindOrdersResponse.FoundOrder(
                        record=wire.record(one.record),
                        under_way=one.under_way,
                        concurrent=one.concurrent,
                        late_revisions=[wire.record(late) for late in one.late_revisions],
                    )
                    for one in find(held, worker, moment, margin)
                ]
            )

        return await read(self._context, work)

    async def ListWorkerOrders(
        self, request: orders_pb2.ListWorkerOrdersRequest, context: Context
    ) -> orders_pb2.ListWorkerOrdersResponse:
        """A worker's orders accepted on one day in Asia/Shanghai."""
        worker = wire.worker_of(request.worker)
        day = date_from_wire(request.accept_date, "accept_date")
        page = page_of(request)

        async def work(tx: Transaction) -> orders_pb2.ListWorkerOrdersResponse:
            held = await records.list_day(tx, worker, day, page.after, page.size)
            key: list[object] = []
            if len(held) == page.size:
                last = held[-1]
                key = [last.accept_time.isoformat(), last.platform, last.order_no]
            return orders_pb2.ListWorkerOrdersResponse(
                records=[wire.record(one) for one in held],
                next_page_token=next_token(key) if key else "",
            )

        return await read(self._context, work)

    async def FreezeOrders(
        self, request: orders_pb2.FreezeOrdersRequest, context: Context
    ) -> orders_pb2.FreezeOrdersResponse:
        """Keep a worker's records around a moment."""
        worker = wire.worker_of(request.worker)
        moment = moment_from_wire(request.moment, "moment")
        if not request.holder.startswith(HOLDERS):
            raise Malformed.of("holder", "name the claim or the accident report that needs them")
        now = self._context.clock.now()

        async def work(tx: Transaction) -> orders_pb2.FreezeOrdersResponse:
            count = await freeze_orders(tx, worker, moment, request.holder, now)
            return orders_pb2.FreezeOrdersResponse(record_count=count)

        return await change(
            self._context,
            request,
            orders_pb2.FreezeOrdersResponse,
            work,
            # All that was asked, so that `oip verify` misses what is removed later.
            resource=f"{request.worker}/orderFreezes/{microseconds(moment)}/{request.holder}",
        )
