"""Tallies, declared totals, gaps."""

from __future__ import annotations

from oip.orders.v1 import orders_pb2

from services.kernel.problems import Malformed
from services.orders import events
from services.orders.api import wire
from services.orders.commands import gaps as commands
from services.orders.domain.checks import rules_at
from services.orders.store import totals as store
from services.runtime.base.clock import today
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import Context, date_from_wire, month_from_wire, next_token, page_of
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction

KEY_LENGTH = 4
LINES_MAX = 1000


class CompletenessApi:
    """Answers whether all orders came."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def ListOrderTallies(
        self, request: orders_pb2.ListOrderTalliesRequest, context: Context
    ) -> orders_pb2.ListOrderTalliesResponse:
        """The orders that count, by platform, pooling area, industry and service date."""
        platform = _optional_platform(request.platform)
        month = month_from_wire(request.month, "month")
        page = page_of(request)
        if page.after and len(page.after) != KEY_LENGTH:
            raise Malformed.of("page_token", "send the token of the page before, unchanged")

        async def work(tx: Transaction) -> orders_pb2.ListOrderTalliesResponse:
            rows = await store.list_tallies(tx, platform, month, page.after, page.size)
            full = len(rows) == page.size
            return orders_pb2.ListOrderTalliesResponse(
                tallies=[
                    events.tally(
                        row.platform,
                        row.pooling_area,
                        row.industry,
                        (row.service_date - events.EPOCH_DAY).days,
                        row.order_count,
                    )
                    for row in rows
                ],
                next_page_token=next_token(rows[-1].key) if full else "",
            )

        return await read(self._context, work)

    async def DeclareOrderTotals(
        self, request: orders_pb2.DeclareOrderTotalsRequest, context: Context
    ) -> orders_pb2.OrderTotals:
        """A platform's own totals of a day."""
        platform = wire.own_platform(request.platform)
        day = date_from_wire(request.service_date, "service_date")
        if len(request.tallies) > LINES_MAX:
            raise Malformed.of("tallies", f"send at most {LINES_MAX:,} lines")
        lines: dict[tuple[int, int], int] = {}
        for index, one in enumerate(request.tallies):
            line = (_area(one.pooling_area, index), int(one.industry))
            if line in lines:
                raise Malformed.of(f"tallies[{index}]", "send each area and industry once")
            lines[line] = one.order_count
        now = self._context.clock.now()
        rules = rules_at(now, self._context.province)

        async def work(tx: Transaction) -> orders_pb2.OrderTotals:
            declared = await commands.declare_totals(
                tx,
                platform,
                day,
                order_count=request.order_count,
                lines=lines,
                rules=rules,
                now=now,
            )
            return wire.order_totals(declared)

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
        """Days on which declared and held orders differ, or on which a platform was silent."""
        platform = _optional_platform(request.platform)
        month = month_from_wire(request.month, "month")
        page, day = page_of(request), today(self._context.clock)
        if page.after and len(page.after) != KEY_LENGTH:
            raise Malformed.of("page_token", "send the token of the page before, unchanged")

        async def work(tx: Transaction) -> orders_pb2.ListOrderGapsResponse:
            rows = await commands.list_gaps(
                tx, platform, month, day=day, after=page.after, size=page.size
            )
            full = len(rows) == page.size
            return orders_pb2.ListOrderGapsResponse(
                gaps=[events.gap(*row) for row in rows],
                next_page_token=next_token(commands.gap_key(*rows[-1])) if full else "",
            )

        return await read(self._context, work)


def _optional_platform(name: str) -> str:
    """The platform asked for; a platform that names none asks for itself."""
    if name:
        return wire.own_platform(name)
    return caller().platform if caller().is_platform else ""


def _area(code: str, index: int) -> int:
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        raise Malformed.of(f"tallies[{index}].pooling_area", "write a division code of six digits")
    return int(code)
