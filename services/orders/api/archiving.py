"""Months of records on their way to an archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from oip.orders.v1 import orders_pb2

from services.kernel.periods import Month
from services.orders.api import wire
from services.orders.commands import archiving as commands
from services.orders.domain import archives
from services.runtime.rpc.wire import Context, moment_to_wire, month_from_wire, month_to_wire
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import read
from services.runtime.storage.database import Transaction


class ArchivingApi:
    """Hands out what is kept elsewhere."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def GetOrderArchive(
        self, request: orders_pb2.GetOrderArchiveRequest, context: Context
    ) -> AsyncIterator[orders_pb2.GetOrderArchiveResponse]:
        """A month's batches of a platform with their records, part by part."""
        platform = wire.own_platform(request.platform)
        month = month_from_wire(request.month, "month")
        now = self._context.clock.now()

        async def opening(tx: Transaction) -> commands.Opened:
            return await commands.open_archive(tx, platform, month, now)

        opened = await read(self._context, opening)
        yield orders_pb2.GetOrderArchiveResponse(archive=_archive(opened, month))
        start, end = opened.extent.start, opened.extent.end
        while start < end:
            part = await self._part(platform, start, end, opened)
            for one in part.batches:
                yield orders_pb2.GetOrderArchiveResponse(batch=_logged(one))
            if part.rows:
                rows = await asyncio.to_thread(archives.from_csv, part.rows)
                for content in archives.messages(rows):
                    yield orders_pb2.GetOrderArchiveResponse(arrow_ipc=content)
            start = part.end

    async def _part(
        self, platform: str, start: int, end: int, opened: commands.Opened
    ) -> commands.Part:
        async def work(tx: Transaction) -> commands.Part:
            return await commands.read_part(tx, platform, start, end, opened.checkpoint)

        return await read(self._context, work)


def _archive(opened: commands.Opened, month: Month) -> orders_pb2.OrderArchive:
    checkpoint = wire.checkpoint(opened.checkpoint)
    return orders_pb2.OrderArchive(
        platform=checkpoint.platform,
        month=month_to_wire(month),
        checkpoint=checkpoint,
        batch_count=opened.extent.end - opened.extent.start,
        row_count=opened.extent.row_count,
        before=_logged(opened.before) if opened.before else None,
        after=_logged(opened.after) if opened.after else None,
    )


def _logged(one: commands.Logged) -> orders_pb2.LoggedBatch:
    return orders_pb2.LoggedBatch(
        name=one.batch.name,
        create_time=moment_to_wire(one.batch.create_time),
        log_index=one.batch.log_index,
        leaf_count=one.batch.created_count,
        root=one.batch.root,
        log_path=one.log_path,
    )
