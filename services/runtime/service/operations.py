"""OperationsService, which every service serves: delivery, dead letters, self-checks."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

import sqlalchemy as sa
from oip.operations.v1 import operations_pb2

from services.kernel import names
from services.kernel.problems import Kind, Malformed, NotFound, Problem
from services.runtime.base.log import logger
from services.runtime.events import dead_letters, epochs, event_alarms, inbox, lost_events, outbox
from services.runtime.events import rejected_messages as rejected_store
from services.runtime.events.dead_letters import DeadLetter, Dismissal, DismissalCode
from services.runtime.events.envelope import Envelope
from services.runtime.events.event_alarms import EventAlarm
from services.runtime.events.streams import StreamUsage
from services.runtime.rpc.error_status import is_unavailable
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, enum_number, moment_to_wire
from services.runtime.service.act_operations import ActOperations, Handler
from services.runtime.service.common_invariants import common_checks
from services.runtime.service.context import (
    Check,
    Service,
    ServiceContext,
)
from services.runtime.service.health import Health
from services.runtime.service.history_operations import HistoryOperations
from services.runtime.service.key_operations import KeyOperations
from services.runtime.service.law_operations import LawOperations
from services.runtime.service.requests import change, read
from services.runtime.service.restoration import Restoration
from services.runtime.service.restore_operations import RestoreOperations
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction, retrying, sqlstate

log = logger("operations")

Retry: TypeAlias = Callable[[Transaction, str, str, int], Awaitable[DeadLetter]]

REPLAY_PAGE = 100
VERIFY_SECONDS = 600
LONGEST_SEQ = 18
ALARM_HASH = re.compile(r"[0-9a-f]{16}")


class DeadLetterFailsAgain(Problem):
    """The retry of a dead letter failed as well."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DEAD_LETTER_FAILS_AGAIN"
    message = "{name} failed again ({error}); see the service's log, correct the cause, then retry."
    message_zh = "{name} 再次处理失败 ({error}); 请查看服务日志, 排除原因后重试。"


class OperationsApi(
    ActOperations, HistoryOperations, KeyOperations, LawOperations, RestoreOperations
):
    """Serves `oip.operations.v1.OperationsService` for one service."""

    def __init__(
        self,
        service: Service,
        context: ServiceContext,
        restoration: Restoration,
        *,
        retry: Retry,
        usage: Callable[[], StreamUsage],
        health: Health,
        handlers: Mapping[str, Handler],
    ) -> None:
        """`retry(tx, producer, epoch, pub_seq)` handles a dead letter again.

        `handlers` are the methods of the server by full name: signing an act calls one of them.
        """
        super().__init__(service, context, restoration)
        self._handlers = handlers
        self._health = health
        self._retry = retry
        self._usage = usage

    async def Replay(
        self, request: operations_pb2.ReplayRequest, context: Context
    ) -> AsyncIterator[operations_pb2.EventEnvelope]:
        """Every event from a number on, page by page, so that no transaction stays open."""
        if request.from_seq < 1:
            raise Malformed.of("from_seq", "BELOW_ONE", "sequences start at 1", "序号从 1 开始")
        epoch, from_seq = request.epoch, request.from_seq
        while True:
            async with self._context.database.begin() as tx:
                page = await outbox.read_from(
                    tx, self._context.service, epoch, from_seq, REPLAY_PAGE
                )
            for envelope in page:
                yield envelope_to_wire(envelope)
            if len(page) < REPLAY_PAGE:
                return
            epoch, from_seq = page[-1].epoch, page[-1].pub_seq + 1

    async def GetDelivery(
        self, request: operations_pb2.GetDeliveryRequest, context: Context
    ) -> operations_pb2.Delivery:
        """How far the service has published, and how far it has consumed each producer."""
        async with self._context.database.begin() as tx:
            message = await delivery(tx, self._service.producers)
            if request.audit_seq:
                message.audit_hash_at = await audit.hash_at(tx, request.audit_seq)
            at = await outbox.fingerprint_at(tx, request.epoch, request.pub_seq)
            message.fingerprint_at = at or b""
        message.database_behind = self._restoration.standing.is_behind
        usage = self._usage()
        message.stream_bytes, message.stream_bytes_max = usage.bytes, usage.bytes_max
        return message

    async def GetHealth(
        self, request: operations_pb2.GetHealthRequest, context: Context
    ) -> operations_pb2.Health:
        """What is missing, as the last check found it; needs no database."""
        return operations_pb2.Health(
            faults=[
                operations_pb2.Health.Fault(
                    area=fault.area,
                    code=fault.code,
                    message=fault.message,
                    message_zh=fault.message_zh,
                )
                for fault in self._health.faults
            ]
        )

    async def ListDeadLetters(
        self, request: operations_pb2.ListDeadLettersRequest, context: Context
    ) -> operations_pb2.ListDeadLettersResponse:
        """Oldest first."""
        page = page_of(request, datetime, str, str, int)

        async def work(tx: Transaction) -> list[DeadLetter]:
            return await dead_letters.list_dead_letters(
                tx,
                size=page.size,
                after=page.after,
                include_resolved=request.include_resolved,
            )

        rows = await read(self._context, work)
        return operations_pb2.ListDeadLettersResponse(
            dead_letters=[dead_letter_to_wire(row) for row in rows],
            next_page_token=page.next_token(rows, lambda row: row.key),
        )

    async def RetryDeadLetter(
        self, request: operations_pb2.RetryDeadLetterRequest, context: Context
    ) -> operations_pb2.DeadLetter:
        """Handle a dead letter once more and resolve it, in one transaction."""
        producer, epoch, pub_seq = _parse_dead_letter_name(request.name)
        # A handler makes rows and events, which no database that is behind may do.
        self._restoration.standing.require_current()

        async def work(tx: Transaction) -> operations_pb2.DeadLetter:
            if await dead_letters.find(tx, producer, epoch, pub_seq) is None:
                raise NotFound(name=request.name)
            try:
                dead_letter = await self._retry(tx, producer, epoch, pub_seq)
            except Exception as error:
                if is_unavailable(error) or sqlstate(error):
                    raise
                log.warning(
                    "dead_letter_fails_again", name=request.name, error=type(error).__name__
                )
                raise DeadLetterFailsAgain(name=request.name, error=type(error).__name__) from error
            return dead_letter_to_wire(dead_letter)

        answer = operations_pb2.DeadLetter
        return await change(self._context, request, answer, work, resource=request.name)

    async def DismissDeadLetter(
        self, request: operations_pb2.DismissDeadLetterRequest, context: Context
    ) -> operations_pb2.DeadLetter:
        """Resolve a dead letter without its effect, with a code and the reason."""
        number = _parse_dead_letter_name(request.name)
        dismissal = Dismissal(DismissalCode(request.code), request.reason.strip())

        async def work(tx: Transaction) -> operations_pb2.DeadLetter:
            dead_letter = await dead_letters.find(tx, *number)
            if dead_letter is None:
                raise NotFound(name=request.name)
            if dead_letter.resolve_time is None:
                now = self._context.clock.now()
                await dead_letters.resolve(tx, dead_letter.envelope, now, dismissal=dismissal)
                dead_letter = replace(dead_letter, resolve_time=now, dismissal=dismissal)
            return dead_letter_to_wire(dead_letter)

        answer = operations_pb2.DeadLetter
        return await change(self._context, request, answer, work, resource=request.name)

    async def ListEventAlarms(
        self, request: operations_pb2.ListEventAlarmsRequest, context: Context
    ) -> operations_pb2.ListEventAlarmsResponse:
        """Oldest first."""
        page = page_of(request, datetime, str, str, int, str)

        async def work(tx: Transaction) -> list[EventAlarm]:
            return await event_alarms.list_alarms(
                tx, size=page.size, after=page.after, include_resolved=request.include_resolved
            )

        rows = await read(self._context, work)
        return operations_pb2.ListEventAlarmsResponse(
            event_alarms=[event_alarm_to_wire(row) for row in rows],
            next_page_token=page.next_token(rows, lambda row: row.key),
        )

    async def ResolveEventAlarm(
        self, request: operations_pb2.ResolveEventAlarmRequest, context: Context
    ) -> operations_pb2.EventAlarm:
        """Resolve an alarm; the producer's events are applied again."""
        producer, epoch, pub_seq, received = _parse_alarm_name(request.name)
        resolution = request.resolution.strip()

        async def work(tx: Transaction) -> operations_pb2.EventAlarm:
            alarm = await event_alarms.find(tx, producer, epoch, pub_seq, received)
            if alarm is None:
                raise NotFound(name=request.name)
            if alarm.resolve_time is None:
                now = self._context.clock.now()
                await event_alarms.resolve(tx, alarm, resolution, now)
                alarm = replace(alarm, resolve_time=now, resolution=resolution)
            return event_alarm_to_wire(alarm)

        answer = operations_pb2.EventAlarm
        return await change(self._context, request, answer, work, resource=request.name)

    async def Verify(
        self, request: operations_pb2.VerifyRequest, context: Context
    ) -> operations_pb2.VerifyResponse:
        """The invariants of every service, then those of this one."""

        async def work(tx: Transaction) -> list[Check]:
            return [
                *await common_checks(tx, self._context),
                *await self._service.checks(tx, self._context),
            ]

        async def attempt() -> list[Check]:
            # All checks read one snapshot and change nothing.
            database = self._context.database
            async with database.begin(serializable=True, seconds=VERIFY_SECONDS) as tx:
                await tx.execute(sa.text("set transaction read only"))
                return await work(tx)

        checks = await retrying(attempt)
        return operations_pb2.VerifyResponse(checks=[check_to_wire(check) for check in checks])


async def delivery(tx: Transaction, producers: Sequence[str]) -> operations_pb2.Delivery:
    """How far this service has published and consumed; zeros for producers not consumed yet."""
    published = await outbox.published(tx)
    # Consumed is read after published, so that a service at rest reports equal numbers.
    marks = [
        (producer, mark)
        for producer in sorted({*producers, *await inbox.list_producers(tx)})
        for mark in await inbox.progress(tx, producer)
    ]
    rejected = await rejected_store.list_rejected(tx)
    head = await audit.head(tx)
    message = operations_pb2.Delivery(
        epoch=published.epoch,
        written_count=published.written_count,
        published_seq=published.published_seq,
        fingerprint=published.fingerprint,
        open_dead_letter_count=await dead_letters.open_count(tx),
        open_alarm_count=await event_alarms.open_count(tx),
        rejected_message_count=sum(row.message_count for row in rejected),
        open_lost_event_count=await lost_events.open_count(tx),
        audit_seq=head.seq,
        audit_hash=head.hash,
    )
    for producer, mark in marks:
        message.consumed.add(
            producer=producer,
            epoch=mark.epoch,
            event_count=await inbox.count_consumed(tx, producer, mark),
            max_seq=mark.max_seq,
            fingerprint=mark.fingerprint,
            whole_seq=mark.whole_seq,
        )
    for epoch, end_seq in list((await epochs.list_epochs(tx)).items())[:-1]:
        message.closed_epochs.add(epoch=epoch, closed_seq=end_seq)
    for producer in producers:
        if all(name != producer for name, _ in marks):
            message.consumed.add(producer=producer)
    return message


def envelope_to_wire(envelope: Envelope) -> operations_pb2.EventEnvelope:
    """An event with its place in the sequence, as a message."""
    return operations_pb2.EventEnvelope(
        producer=envelope.producer,
        epoch=envelope.epoch,
        pub_seq=envelope.pub_seq,
        subject=envelope.subject,
        payload=envelope.payload,
        key_id=envelope.key_id,
        signature=envelope.signature,
        void_hash=envelope.void_hash,
    )


def envelope_from_wire(message: operations_pb2.EventEnvelope) -> Envelope:
    """The event in a message."""
    return Envelope(
        message.producer,
        message.epoch,
        message.pub_seq,
        message.subject,
        message.payload,
        message.key_id,
        message.signature,
        message.void_hash,
    )


def dead_letter_to_wire(dead_letter: DeadLetter) -> operations_pb2.DeadLetter:
    """A dead letter as a message."""
    message = operations_pb2.DeadLetter(
        name=dead_letter.name,
        event=envelope_to_wire(dead_letter.envelope),
        error=dead_letter.error,
        create_time=moment_to_wire(dead_letter.create_time),
    )
    if dead_letter.dismissal is not None:
        message.dismissal = dead_letter.dismissal.reason
        message.dismissal_code = enum_number(dead_letter.dismissal.code)
    if dead_letter.resolve_time is not None:
        message.resolve_time.CopyFrom(moment_to_wire(dead_letter.resolve_time))
    return message


def event_alarm_to_wire(alarm: EventAlarm) -> operations_pb2.EventAlarm:
    """An alarm as a message."""
    message = operations_pb2.EventAlarm(
        name=names.name("eventAlarms", alarm.id),
        subject=alarm.subject,
        stored_hash=alarm.stored_hash,
        received_hash=alarm.received_hash,
        create_time=moment_to_wire(alarm.create_time),
        resolution=alarm.resolution,
    )
    if alarm.resolve_time is not None:
        message.resolve_time.CopyFrom(moment_to_wire(alarm.resolve_time))
    return message


def check_to_wire(check: Check) -> operations_pb2.VerifyResponse.Check:
    """An invariant as a message."""
    return operations_pb2.VerifyResponse.Check(
        invariant=check.invariant, text=check.text, holds=check.holds, detail=check.detail
    )


def _parse_dead_letter_name(name: str) -> tuple[str, str, int]:
    """Producer, epoch and sequence in `deadLetters/{producer}-{epoch}-{pub_seq}`."""
    (key,) = names.parse(name, "deadLetters")
    number = _parse_number(key)
    if number is None:
        raise Malformed.form("name", "deadLetters/{producer}-{epoch}-{number}")
    return number


def _parse_alarm_name(name: str) -> tuple[str, str, int, str]:
    """Producer, epoch, number and start of the hash in the name of an alarm."""
    (key,) = names.parse(name, "eventAlarms")
    rest, _, received = key.rpartition("-")
    number = _parse_number(rest)
    if number is None or not ALARM_HASH.fullmatch(received):
        raise Malformed.form("name", "eventAlarms/{producer}-{epoch}-{number}-{hash}")
    return *number, received


def _parse_number(key: str) -> tuple[str, str, int] | None:
    """Producer, epoch and sequence in `{producer}-{epoch}-{pub_seq}`."""
    producer, _, rest = key.partition("-")
    epoch, _, seq = rest.rpartition("-")
    if not producer or not epoch or not seq.isdecimal() or len(seq) > LONGEST_SEQ:
        return None
    return producer, epoch, int(seq)
