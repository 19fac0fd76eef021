"""Compares a service's database with what others hold of it, and takes back what a restore lost.

The stream and the services that consume this one are the witnesses. A comparison reads the end of
the stream and asks each service once; a reconciliation reads everything that they hold and the
database does not.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace

import grpc
import nats.errors
from google.protobuf.message import DecodeError, Message
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from sqlalchemy.exc import SQLAlchemyError

from services.kernel.phrases import service_label
from services.runtime.base.log import logger
from services.runtime.events import comparison, epochs, lost_events, outbox, stream_reader
from services.runtime.events.comparison import STREAM, Consumption
from services.runtime.events.envelope import (
    FIRST_FINGERPRINT,
    Envelope,
    next_fingerprint,
)
from services.runtime.events.epochs import Epoch
from services.runtime.events.event_keys import EventSigner, EventTrust
from services.runtime.events.jetstream import Bus
from services.runtime.events.lost_events import LostEvent
from services.runtime.service.context import CommandContext, Service, ServiceContext
from services.runtime.service.reconciliation import (
    NotBehind,
    Reconciliation,
    ReconciliationChanged,
    TooMuchLost,
)
from services.runtime.service.standing import Standing
from services.runtime.storage.database import Transaction

EPOCH_BYTES = 6
# Events at the end of the stream that a comparison reads.
NEWEST_COUNT = 50
# Seconds for a service to say what it has consumed: at the start, and later.
FIRST_ANSWER_SECONDS = 0.25
ANSWER_SECONDS = 5.0
# Seconds between comparisons: while it is behind, while a service has not answered, otherwise.
BEHIND_SECONDS = 2.0
SILENT_SECONDS = 5.0
ROUND_SECONDS = 15.0
# A reconciliation ends where this many events of the stream in a row are known.
KNOWN_COUNT = 1000
PAGE_COUNT = 500
LOST_COUNT_MAX = 200_000

log = logger("restoration")

# What may keep a comparison from its end; the next round repeats it.
OUTAGES = (OSError, TimeoutError, nats.errors.Error, SQLAlchemyError, grpc.RpcError)


class Restoration:
    """Compares one service's database, again and again, and reconciles it."""

    def __init__(
        self,
        service: Service,
        context: ServiceContext,
        bus: Bus,
        *,
        trust: EventTrust,
        signer: EventSigner,
        standing: Standing,
    ) -> None:
        self._service = service
        self._context = context
        self._bus = bus
        self._trust = trust
        self._signer = signer
        self.standing = standing
        self._agreeing: set[str] = set()
        self._compared_place = 0
        self._reconnects = 0

    async def compare_first(self) -> None:
        """The comparison before the service starts; it waits for servers, not for services."""
        while True:
            try:
                await self.compare(FIRST_ANSWER_SECONDS)
            except OUTAGES as error:
                log.warning("not_compared", service=self._service.name, error=type(error).__name__)
                await asyncio.sleep(1)
            else:
                return

    async def next_comparison(self) -> None:
        """Pause, then compare again. An outage leaves the standing as it is."""
        if self.standing.is_behind:
            await self.standing.pause(BEHIND_SECONDS)
        elif self._others() - self._agreeing:
            await self.standing.pause(SILENT_SECONDS)
        else:
            await self.standing.pause(ROUND_SECONDS)
        try:
            await self.compare(ANSWER_SECONDS)
        except OUTAGES as error:
            log.warning("not_compared", service=self._service.name, error=type(error).__name__)

    async def compare(self, seconds: float) -> None:
        """Compare with the end of the stream, and with each service that did not agree yet."""
        self._notice_reconnect()
        name, js = self._service.name, self._bus.js
        place = await stream_reader.last_position(js, name)
        published = []
        # A stream that was emptied counts from 1 again.
        if self.standing.is_behind or place != self._compared_place:
            reading = stream_reader.read_back(js, self._trust, name, place)
            async for envelope in reading:
                published.append(envelope)
                if len(published) == NEWEST_COUNT:
                    break
            await reading.aclose()
        agreeing = set() if self.standing.is_behind else self._agreeing
        answers = await self._consumptions(self._others() - agreeing, seconds)
        rows = [row for each in answers.values() for row in each]
        async with self._context.database.begin() as tx:
            differences = await comparison.differences(tx, published, rows)
        self.standing.set_differences(differences)
        if differences:
            self._agreeing.clear()
        else:
            self._agreeing |= answers.keys()
            self._compared_place = place

    async def reconcile(self) -> Reconciliation:
        """All that others hold and the database does not."""
        answers = await self._consumptions(self._others(), ANSWER_SECONDS)
        rows = [row for each in answers.values() for row in each]
        lost: dict[tuple[str, int, bytes], LostEvent] = {}
        async for page in self._stream_pages():
            async with self._context.database.begin() as tx:
                missing = await comparison.lost_of(tx, page)
            for envelope in missing:
                self._add(lost, self._from_stream(envelope))
        for row in rows:
            await self._add_consumed(lost, row)
        async with self._context.database.begin() as tx:
            published = await outbox.published(tx)
            differences = await comparison.differences(tx, (), rows)
            reasons = await epochs.list_reasons(tx)
        reused = await self._reused(published.epoch, lost.values(), rows)
        if any(STREAM in event.holders for event in lost.values()):
            differences = [f"{STREAM} holds events that this database does not", *differences]
        return Reconciliation(
            epoch=published.epoch,
            published_seq=published.published_seq,
            differences=tuple(differences),
            lost=tuple(sorted(lost.values(), key=lambda event: event.key)),
            silent=tuple(sorted(self._others() - answers.keys())),
            consumptions=tuple(rows),
            epochs=tuple(reasons),
            reused=reused,
        )

    async def begin_epoch(
        self,
        tx: Transaction,
        current: Reconciliation,
        digest: bytes,
        reason: str,
        context: CommandContext,
    ) -> Epoch:
        """Take back what is lost and begin a new epoch.

        Events whose numbers others know for lost ones get numbers of the new epoch. Raises
        NotBehind, and ReconciliationChanged unless `digest` is that of `current`.
        """
        if not current.differences:
            raise NotBehind(service=service_label(self._service.name))
        if digest != current.digest:
            raise ReconciliationChanged(service=service_label(self._service.name))
        if await epochs.lock_current(tx) != current.epoch:
            # Somebody else began an epoch since.
            raise ReconciliationChanged(service=service_label(self._service.name))
        ends: dict[str, int] = {}
        for row in current.consumptions:
            ends[row.epoch] = max(ends.get(row.epoch, 0), row.max_seq)
        for event in current.lost:
            ends[event.epoch] = max(ends.get(event.epoch, 0), event.pub_seq)
        known = await epochs.list_epochs(tx)
        for epoch in {**known, **ends}:
            await epochs.close_epoch(tx, epoch, max(ends.get(epoch, 0), known.get(epoch, 0)))
        await lost_events.insert(tx, await self._in_sequence(tx, current.lost), context.now)
        await epochs.free_numbers(tx, current.epoch, current.reused)
        await lost_events.redo_waiting(tx, context.now)
        begun = Epoch(secrets.token_hex(EPOCH_BYTES), reason, len(current.lost))
        await epochs.begin_epoch(tx, begun.epoch, begun.reason, begun.lost_count)
        return begun

    async def _in_sequence(self, tx: Transaction, lost: Iterable[LostEvent]) -> list[LostEvent]:
        """The lost events with the fingerprints that follow those of the database, and signed."""
        fingerprints: dict[str, bytes] = {}
        result = []
        for event in lost:
            if event.epoch not in fingerprints:
                before = await outbox.fingerprint_at(tx, event.epoch, event.pub_seq - 1)
                fingerprints[event.epoch] = before or FIRST_FINGERPRINT
            fingerprint = next_fingerprint(fingerprints[event.epoch], event.content_hash)
            fingerprints[event.epoch] = fingerprint
            key_id, signature = event.key_id, event.signature
            if not signature:
                key_id, signature = self._signer.sign_hash(
                    self._service.name, event.epoch, event.pub_seq, event.content_hash
                )
            result.append(
                replace(event, fingerprint=fingerprint, key_id=key_id, signature=signature)
            )
        return result

    def _others(self) -> set[str]:
        return set(self._context.channels.addresses) - {self._service.name}

    def _notice_reconnect(self) -> None:
        """Ask every service again after the connection to NATS was lost."""
        reconnects = self._bus.client.stats["reconnects"]
        if reconnects != self._reconnects:
            self._reconnects = reconnects
            self._agreeing.clear()
            self._compared_place = 0

    async def _consumptions(
        self, services: Iterable[str], seconds: float
    ) -> dict[str, list[Consumption]]:
        """How far each service that answers has consumed this one."""
        names = sorted(services)
        answers = await asyncio.gather(*(self._consumption(name, seconds) for name in names))
        return {name: rows for name, rows in zip(names, answers, strict=True) if rows is not None}

    async def _consumption(self, consumer: str, seconds: float) -> list[Consumption] | None:
        try:
            answer = await self._stub(consumer).GetDelivery(
                operations_pb2.GetDeliveryRequest(), timeout=seconds
            )
        except (grpc.RpcError, OSError):
            # It does not answer, or there is no token to ask it with.
            return None
        return [
            Consumption(consumer, row.epoch, row.max_seq, row.whole_seq, row.fingerprint)
            for row in answer.consumed
            if row.producer == self._service.name and row.event_count
        ]

    async def _stream_pages(self) -> AsyncIterator[list[Envelope]]:
        """The stream from its end backwards, down to a long run of events that are known."""
        name, js = self._service.name, self._bus.js
        place = await stream_reader.last_position(js, name)
        page: list[Envelope] = []
        known_count = 0
        async for envelope in stream_reader.read_back(js, self._trust, name, place):
            page.append(envelope)
            if len(page) < PAGE_COUNT:
                continue
            async with self._context.database.begin() as tx:
                lost_count = len(await comparison.lost_of(tx, page))
            known_count = 0 if lost_count else known_count + len(page)
            yield page
            page = []
            if known_count >= KNOWN_COUNT:
                return
        yield page

    async def _add_consumed(
        self, lost: dict[tuple[str, int, bytes], LostEvent], row: Consumption
    ) -> None:
        """Add what a consumer holds beyond the database, by hash; the stream may know more."""
        async with self._context.database.begin() as tx:
            known = await epochs.list_epochs(tx)
        current = next(reversed(known))
        differs = await self._differs(row, current)
        if row.max_seq <= known.get(row.epoch, 0) and not differs:
            return
        from_seq = 1 if differs else known.get(row.epoch, 0) + 1
        async for events in self._consumed_pages(row, from_seq):
            first, last = events[0].pub_seq, events[-1].pub_seq
            async with self._context.database.begin() as tx:
                hashes = await epochs.content_hashes(tx, row.epoch, first, last)
            for event in events:
                if hashes.get(event.pub_seq) == event.content_hash:
                    continue
                known_only_by_hash = LostEvent(
                    row.epoch, event.pub_seq, event.content_hash, event.subject
                )
                self._add(lost, self._guarded(known_only_by_hash, None, row.consumer))

    async def _reused(
        self, epoch: str, lost: Iterable[LostEvent], rows: Iterable[Consumption]
    ) -> tuple[int, ...]:
        """The numbers of lost events that the database has assigned to others, held by nobody.

        An event that a consumer holds keeps its number: under a new one it would count twice.
        """
        numbers = {event.pub_seq for event in lost if event.epoch == epoch}
        if not numbers:
            return ()
        first, last = min(numbers), max(numbers)
        async with self._context.database.begin() as tx:
            hashes = await epochs.content_hashes(tx, epoch, first, last)
        reused = numbers & hashes.keys()
        for row in rows:
            if row.epoch != epoch or not reused:
                continue
            async for events in self._consumed_pages(row, first):
                reused -= {
                    event.pub_seq
                    for event in events
                    if hashes.get(event.pub_seq) == event.content_hash
                }
                if events[-1].pub_seq >= last:
                    break
        return tuple(sorted(reused))

    async def _consumed_pages(
        self, row: Consumption, from_seq: int
    ) -> AsyncIterator[Sequence[operations_pb2.ListConsumedEventsResponse.ConsumedEvent]]:
        """What a consumer holds of an epoch from a number on, page by page."""
        while True:
            request = operations_pb2.ListConsumedEventsRequest(
                producer=self._service.name, epoch=row.epoch, from_seq=from_seq
            )
            answer = await self._stub(row.consumer).ListConsumedEvents(
                request, timeout=ANSWER_SECONDS
            )
            if not answer.events:
                return
            yield answer.events
            from_seq = answer.events[-1].pub_seq + 1

    async def _differs(self, row: Consumption, current: str) -> bool:
        """Whether a consumer holds other contents than this database, up to a common number."""
        if row.epoch != current or not row.whole_seq:
            return False
        async with self._context.database.begin() as tx:
            expected = await outbox.fingerprint_at(tx, row.epoch, row.whole_seq)
        return expected is not None and expected != row.fingerprint

    def _from_stream(self, envelope: Envelope) -> LostEvent:
        event = LostEvent(
            envelope.epoch,
            envelope.pub_seq,
            envelope.content_hash,
            envelope.subject,
            payload=envelope.payload,
            key_id=envelope.key_id,
            signature=envelope.signature,
        )
        return self._guarded(event, envelope.payload, STREAM)

    def _guarded(self, event: LostEvent, payload: bytes | None, holder: str) -> LostEvent:
        """The event with what it blocks, and its summary."""
        event = replace(event, holders=(holder,))
        for message_type, guard in self._service.all_guards.items():
            if message_type.DESCRIPTOR.full_name != event.subject:
                continue
            message = None if payload is None else _parsed(message_type, payload)
            if message is None:
                return replace(event, blocks=True)
            field_name = guard.scope_field
            return replace(
                event,
                blocks=True,
                scope_field=field_name,
                scope=str(getattr(message, field_name)) if field_name else "",
                summary=guard.summary(message),
            )
        return event

    def _add(self, lost: dict[tuple[str, int, bytes], LostEvent], event: LostEvent) -> None:
        """Add an event, or another holder of it; the first that knows its content counts."""
        key = event.epoch, event.pub_seq, event.content_hash
        before = lost.get(key)
        if before is not None:
            holders = tuple(sorted({*before.holders, *event.holders}))
            event = replace(before if before.payload is not None else event, holders=holders)
        elif len(lost) == LOST_COUNT_MAX:
            raise TooMuchLost(service=service_label(self._service.name), most=LOST_COUNT_MAX)
        lost[key] = event

    def _stub(self, service: str) -> operations_pb2_grpc.OperationsServiceAsyncStub:
        return self._context.channels.stub(operations_pb2_grpc.OperationsServiceStub, service)


def _parsed(message_type: type[Message], payload: bytes) -> Message | None:
    try:
        return message_type.FromString(payload)
    except DecodeError:
        return None
