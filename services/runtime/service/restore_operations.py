"""The part of OperationsService for a restored database: reconciliation, lost events, figures."""

from __future__ import annotations

import re

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel import names
from services.kernel.phrases import label
from services.kernel.problems import Malformed, NotFound
from services.runtime.events import inbox, lost_events
from services.runtime.events.epochs import Epoch
from services.runtime.events.inbox import ConsumedEvent
from services.runtime.events.lost_events import (
    HASH_DIGITS,
    LostEvent,
    LostEventMustBeRedone,
    Resolution,
)
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, enum_number, month_from_wire
from services.runtime.service import erasures
from services.runtime.service.context import Figure, Service, ServiceContext
from services.runtime.service.reconciliation import Reconciliation
from services.runtime.service.requests import change, change_after, read
from services.runtime.service.restoration import Restoration
from services.runtime.storage.database import Transaction

CONSUMED_PAGE = 1000
LISTED_COUNT = 1000
# What a person may decide; only a command redoes an event.
_RESOLUTIONS = {each.value: each for each in (Resolution.TAKEN_BACK, Resolution.KEPT)}
_LOST_EVENT = re.compile(rf"([0-9A-Za-z]{{1,32}})-([1-9][0-9]{{0,17}})-([0-9a-f]{{{HASH_DIGITS}}})")


class RestoreOperations(operations_pb2_grpc.OperationsServiceServicer):
    """What an administrator needs after a restore, and what `oip verify` compares."""

    def __init__(self, service: Service, context: ServiceContext, restoration: Restoration) -> None:
        self._service = service
        self._context = context
        self._restoration = restoration

    async def ListConsumedEvents(
        self, request: operations_pb2.ListConsumedEventsRequest, context: Context
    ) -> operations_pb2.ListConsumedEventsResponse:
        """By number, from a number on."""
        size = request.page_size or CONSUMED_PAGE

        async def work(tx: Transaction) -> list[ConsumedEvent]:
            return await inbox.list_events(
                tx, request.producer, request.epoch, request.from_seq, size
            )

        rows = await read(self._context, work)
        return operations_pb2.ListConsumedEventsResponse(
            events=[
                operations_pb2.ListConsumedEventsResponse.ConsumedEvent(
                    pub_seq=row.pub_seq, subject=row.subject, content_hash=row.content_hash
                )
                for row in rows
            ]
        )

    async def GetReconciliation(
        self, request: operations_pb2.GetReconciliationRequest, context: Context
    ) -> operations_pb2.Reconciliation:
        """What others hold and the database does not."""
        return reconciliation_to_wire(await self._restoration.reconcile())

    async def BeginEpoch(
        self, request: operations_pb2.BeginEpochRequest, context: Context
    ) -> operations_pb2.Epoch:
        """Take back the lost events and begin a new epoch; the service then serves again."""
        reason = request.reason.strip()

        async def work(tx: Transaction, current: Reconciliation) -> operations_pb2.Epoch:
            return epoch_to_wire(
                await self._restoration.begin_epoch(
                    tx, current, request.digest, reason, self._context.command()
                )
            )

        begun = await change_after(
            self._context,
            request,
            operations_pb2.Epoch,
            self._restoration.reconcile,
            work,
            resource=lambda epoch: f"epochs/{epoch.epoch} ({epoch.reason})",
        )
        self._restoration.standing.compare_soon()
        return begun

    async def ListLostEvents(
        self, request: operations_pb2.ListLostEventsRequest, context: Context
    ) -> operations_pb2.ListLostEventsResponse:
        """By epoch and number."""
        page = page_of(request, str, int, str)

        async def work(tx: Transaction) -> list[LostEvent]:
            return await lost_events.list_lost_events(
                tx, size=page.size, after=page.after, include_resolved=request.include_resolved
            )

        rows = await read(self._context, work)
        return operations_pb2.ListLostEventsResponse(
            lost_events=[lost_event_to_wire(row) for row in rows],
            next_page_token=page.next_token(rows, lambda row: row.key),
        )

    async def ResolveLostEvents(
        self, request: operations_pb2.ResolveLostEventsRequest, context: Context
    ) -> operations_pb2.ResolveLostEventsResponse:
        """Resolve all or none."""
        reason = request.reason.strip()
        keys = [_parse_lost_event_name(name) for name in request.names]
        resolution = _RESOLUTIONS.get(int(request.resolution))
        if resolution is None:
            raise Malformed.choice(
                "resolution",
                (
                    label("oip.operations.v1.LostEvent.Resolution", name)
                    for name in ("TAKEN_BACK", "KEPT")
                ),
            )

        async def work(tx: Transaction) -> operations_pb2.ResolveLostEventsResponse:
            events = []
            for name, key in zip(request.names, keys, strict=True):
                event = await lost_events.find(tx, *key)
                if event is None:
                    raise NotFound(name=name)
                if event.blocks and resolution is Resolution.KEPT:
                    raise LostEventMustBeRedone(name=name)
                events.append(event)
            now = self._context.clock.now()
            await lost_events.resolve(tx, events, resolution, reason, now)
            after = [await lost_events.find(tx, *key) for key in keys]
            return operations_pb2.ResolveLostEventsResponse(
                lost_events=[lost_event_to_wire(event) for event in after if event is not None]
            )

        answer = operations_pb2.ResolveLostEventsResponse
        return await change(self._context, request, answer, work, resource="lostEvents")

    async def ListFigures(
        self, request: operations_pb2.ListFiguresRequest, context: Context
    ) -> operations_pb2.ListFiguresResponse:
        """By check and key."""
        first_month = month_from_wire(request.first_month, "first_month")

        async def work(tx: Transaction) -> list[Figure]:
            service = self._service
            totals = await erasures.totals(tx, service.name, service.producers, service.erasing)
            common = [
                Figure(check, "all", each.count, each.digest) for check, each in totals.items()
            ]
            own = await service.figures(tx, first_month) if service.figures else []
            return [*common, *own]

        rows = await read(self._context, work)
        return operations_pb2.ListFiguresResponse(
            figures=[
                operations_pb2.ListFiguresResponse.Figure(
                    check=row.check, key=row.key, count=row.count, sum=row.sum
                )
                for row in rows
            ]
        )


def reconciliation_to_wire(current: Reconciliation) -> operations_pb2.Reconciliation:
    """A reconciliation as a message, with the first lost events."""
    return operations_pb2.Reconciliation(
        database_behind=bool(current.differences),
        epoch=current.epoch,
        published_seq=current.published_seq,
        differences=current.differences,
        lost_events=[lost_event_to_wire(event) for event in current.lost[:LISTED_COUNT]],
        lost_event_count=len(current.lost),
        silent_services=current.silent,
        digest=current.digest,
        epochs=[epoch_to_wire(epoch) for epoch in current.epochs],
    )


def epoch_to_wire(epoch: Epoch) -> operations_pb2.Epoch:
    """An epoch as a message."""
    return operations_pb2.Epoch(
        epoch=epoch.epoch, lost_event_count=epoch.lost_count, reason=epoch.reason
    )


def lost_event_to_wire(event: LostEvent) -> operations_pb2.LostEvent:
    """A lost event as a message."""
    return operations_pb2.LostEvent(
        name=names.name("lostEvents", event.id),
        subject=event.subject,
        content_hash=event.content_hash,
        holders=event.holders,
        summary=event.summary,
        blocks=event.blocks,
        resolution=enum_number(event.resolution.value),
        reason=event.reason,
    )


def _parse_lost_event_name(name: str) -> tuple[str, int, str]:
    """Epoch, number and start of the hash in the name of a lost event."""
    (key,) = names.parse(name, "lostEvents")
    match = _LOST_EVENT.fullmatch(key)
    if match is None:
        raise Malformed.form("names", "lostEvents/{epoch}-{number}-{hash}")
    return match[1], int(match[2]), match[3]
