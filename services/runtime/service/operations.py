"""OperationsService, which every service serves: delivery, dead letters, self-checks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeAlias

import sqlalchemy as sa
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel import names
from services.kernel.problems import Kind, Malformed, NotFound, Problem
from services.runtime.base.log import logger
from services.runtime.events import dead_letters, inbox, outbox
from services.runtime.events.dead_letters import DeadLetter
from services.runtime.events.envelope import Envelope
from services.runtime.rpc.error_status import is_unavailable
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, moment_to_wire
from services.runtime.service.context import (
    Check,
    Invariant,
    Service,
    ServiceContext,
    require_each_once,
)
from services.runtime.service.requests import change, read
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction, retrying, sqlstate

log = logger("operations")

Retry: TypeAlias = Callable[[Transaction, str, str, int], Awaitable[DeadLetter]]

REPLAY_PAGE = 100
VERIFY_SECONDS = 600
LONGEST_SEQ = 18


class DeadLetterFailsAgain(Problem):
    """The retry of a dead letter failed as well."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DEAD_LETTER_FAILS_AGAIN"
    message = "{name} failed again ({error}); see the service's log, correct the cause, then retry."
    message_zh = "{name} 再次处理失败 ({error}); 请查看服务日志, 排除原因后重试。"


class OperationsApi(operations_pb2_grpc.OperationsServiceServicer):
    """Serves `oip.operations.v1.OperationsService` for one service."""

    def __init__(self, service: Service, context: ServiceContext, retry: Retry) -> None:
        """`retry(tx, producer, epoch, pub_seq)` handles a dead letter again."""
        self._service = service
        self._context = context
        self._retry = retry

    async def Replay(
        self, request: operations_pb2.ReplayRequest, context: Context
    ) -> AsyncIterator[operations_pb2.EventEnvelope]:
        """Every event from a number on, page by page, so that no transaction stays open."""
        if request.from_seq < 1:
            raise Malformed.of("from_seq", "sequences start at 1")
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
            return await delivery(tx, self._service.producers)

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

    async def Verify(
        self, request: operations_pb2.VerifyRequest, context: Context
    ) -> operations_pb2.VerifyResponse:
        """The invariants of every service, then those of this one."""

        async def work(tx: Transaction) -> list[Check]:
            return [
                *await common_checks(tx, self._context.service),
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
    waiting = await _count(
        tx, "select count(*) from outbox where send_time is null and pub_seq is null"
    )
    # Consumed is read after published, so that a service at rest reports equal numbers.
    consumed = await inbox.list_consumed(tx)
    message = operations_pb2.Delivery(
        epoch=published.epoch,
        written_count=published.published_seq + waiting,
        published_seq=published.published_seq,
        open_dead_letter_count=await dead_letters.open_count(tx),
    )
    for row in consumed:
        message.consumed.add(
            producer=row.producer,
            epoch=row.epoch,
            event_count=row.event_count,
            max_seq=row.max_seq,
        )
    for producer in producers:
        if all(row.producer != producer for row in consumed):
            message.consumed.add(producer=producer)
    return message


PUBLISHED_DENSE = Invariant("I6-published", "the sequence of published events is 1 to n, no gap")
CONSUMED_DENSE = Invariant("I6-consumed", "each producer's events are consumed 1 to n, each once")
NO_DEAD_LETTERS = Invariant("I6-dead-letters", "no event waits as a dead letter")
AUDIT_CHAIN = Invariant("I10-chain", "the audit chain is intact from the first row to the newest")
CHANGES_AUDITED = Invariant("I10-changes", "every change that was requested has its audit row")
# What holds in every service; `oip verify` re-computes them before the service's own.
COMMON_INVARIANTS = (
    PUBLISHED_DENSE,
    CONSUMED_DENSE,
    NO_DEAD_LETTERS,
    AUDIT_CHAIN,
    CHANGES_AUDITED,
)


async def common_checks(tx: Transaction, service: str) -> list[Check]:
    """The invariants that hold in every service, re-computed from its rows."""
    checks = [
        await _published_is_dense(tx),
        await _consumed_is_dense(tx),
        NO_DEAD_LETTERS.check(await dead_letters.open_count(tx), "open dead letters"),
        await _chain_holds(tx),
        await _changes_are_audited(tx),
    ]
    require_each_once(service, COMMON_INVARIANTS, checks)
    return checks


async def _published_is_dense(tx: Transaction) -> Check:
    rows = await tx.execute(
        sa.text(
            "select epoch, next_seq - 1 as assigned, count(pub_seq) as event_count,"
            " coalesce(max(pub_seq), 0) as highest"
            " from outbox_counter left join outbox using (epoch)"
            " group by epoch, next_seq order by epoch"
        )
    )
    counted = rows.all()
    bad = [row for row in counted if not row.assigned == row.event_count == row.highest]
    detail = "; ".join(
        f"epoch {row.epoch}: {row.event_count} events, highest {row.highest},"
        f" assigned {row.assigned}"
        for row in bad or counted
    )
    return PUBLISHED_DENSE.result(holds=not bad, detail=detail)


async def _consumed_is_dense(tx: Transaction) -> Check:
    consumed = await inbox.list_consumed(tx)
    bad = [row for row in consumed if row.event_count != row.max_seq]
    detail = "; ".join(
        f"{row.producer} {row.epoch}: {row.event_count} events, highest {row.max_seq}"
        for row in bad or consumed
    )
    return CONSUMED_DENSE.result(holds=not bad, detail=detail or "nothing consumed")


async def _chain_holds(tx: Transaction) -> Check:
    chain = await audit.verify(tx)
    if not chain.holds:
        return AUDIT_CHAIN.result(holds=False, detail=f"breaks at row {chain.first_bad_seq}")
    detail = f"{chain.row_count} rows, head {chain.head.hash.hex()[:16]}"
    return AUDIT_CHAIN.result(holds=True, detail=detail)


async def _changes_are_audited(tx: Transaction) -> Check:
    missing = await _count(
        tx,
        "select count(*) from command where not exists ("
        " select from audit where audit.request_hash = command.request_hash"
        " and audit.action = command.method)",
    )
    changes = await _count(tx, "select count(*) from command")
    detail = f"{changes} changes, {missing} without an audit row"
    return CHANGES_AUDITED.result(holds=missing == 0, detail=detail)


def envelope_to_wire(envelope: Envelope) -> operations_pb2.EventEnvelope:
    """An event with its place in the sequence, as a message."""
    return operations_pb2.EventEnvelope(
        producer=envelope.producer,
        epoch=envelope.epoch,
        pub_seq=envelope.pub_seq,
        subject=envelope.subject,
        payload=envelope.payload,
    )


def envelope_from_wire(message: operations_pb2.EventEnvelope) -> Envelope:
    """The event in a message."""
    return Envelope(
        message.producer, message.epoch, message.pub_seq, message.subject, message.payload
    )


def dead_letter_to_wire(dead_letter: DeadLetter) -> operations_pb2.DeadLetter:
    """A dead letter as a message."""
    message = operations_pb2.DeadLetter(
        name=dead_letter.name,
        event=envelope_to_wire(dead_letter.envelope),
        error=dead_letter.error,
        create_time=moment_to_wire(dead_letter.create_time),
    )
    if dead_letter.resolve_time is not None:
        message.resolve_time.CopyFrom(moment_to_wire(dead_letter.resolve_time))
    return message


def check_to_wire(check: Check) -> operations_pb2.VerifyResponse.Check:
    """An invariant as a message."""
    return operations_pb2.VerifyResponse.Check(
        invariant=check.invariant, text=check.text, holds=check.holds, detail=check.detail
    )


def _parse_dead_letter_name(name: str) -> tuple[str, str, int]:
    """Producer, epoch and sequence in `deadLetters/{producer}-{epoch}-{pub_seq}`."""
    (key,) = names.parse(name, "deadLetters")
    producer, _, rest = key.partition("-")
    epoch, _, seq = rest.rpartition("-")
    if not producer or not epoch or not seq.isdecimal() or len(seq) > LONGEST_SEQ:
        raise Malformed.of("name", "write it as deadLetters/{producer}-{epoch}-{number}")
    return producer, epoch, int(seq)


async def _count(tx: Transaction, statement: str) -> int:
    return int((await tx.execute(sa.text(statement))).scalar_one())
