"""What every service offers to those who run the system: delivery, dead letters, self-checks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

import sqlalchemy as sa
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel import names
from services.kernel.problems import Kind, Malformed, NotFound, Problem
from services.runtime import audit, deadletters, inbox, outbox
from services.runtime.carried import Carried
from services.runtime.database import Transaction, retrying, sqlstate
from services.runtime.deadletters import DeadLetter
from services.runtime.log import logger
from services.runtime.refusals import is_away
from services.runtime.requests import change, read
from services.runtime.running import Check, Running, Service
from services.runtime.wire import Context, moment_to_wire, next_token, page_of

log = logger("operations")

Retry: TypeAlias = Callable[[Transaction, str, str, int], Awaitable[DeadLetter]]

REPLAY_PAGE = 100
VERIFY_SECONDS = 600
LONGEST_SEQ = 18


class DeadLetterFailsAgain(Problem):
    """The event could not be handled this time either."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "DEAD_LETTER_FAILS_AGAIN"
    words = "{name} failed again ({error}); see the service's log, correct the cause, then retry."
    words_zh = "{name} 再次处理失败 ({error}); 请查看服务日志, 排除原因后重试。"


class OperationsApi(operations_pb2_grpc.OperationsServiceServicer):
    """Serves `oip.operations.v1.OperationsService` for one service."""

    def __init__(self, service: Service, running: Running, retry: Retry) -> None:
        """`retry(tx, producer, epoch, pub_seq)` handles a dead letter again."""
        self._service = service
        self._running = running
        self._retry = retry

    async def Replay(
        self, request: operations_pb2.ReplayRequest, context: Context
    ) -> AsyncIterator[operations_pb2.CarriedEvent]:
        """Every event from a sequence on, page by page, so that no transaction stays open."""
        if request.from_seq < 1:
            raise Malformed.of("from_seq", "sequences start at 1")
        epoch, from_seq = request.epoch, request.from_seq
        while True:
            async with self._running.database.begin() as tx:
                page = await outbox.read_from(
                    tx, self._running.service, epoch, from_seq, REPLAY_PAGE
                )
            for carried in page:
                yield carried_to_wire(carried)
            if len(page) < REPLAY_PAGE:
                return
            epoch, from_seq = page[-1].epoch, page[-1].pub_seq + 1

    async def GetDelivery(
        self, request: operations_pb2.GetDeliveryRequest, context: Context
    ) -> operations_pb2.Delivery:
        """How far we told, and how far we heard each producer we listen to."""
        async with self._running.database.begin() as tx:
            return await delivery(tx, list(self._service.listens))

    async def ListDeadLetters(
        self, request: operations_pb2.ListDeadLettersRequest, context: Context
    ) -> operations_pb2.ListDeadLettersResponse:
        """Oldest first."""
        page = page_of(request)
        after = _place_of(page.after) if page.after else None

        async def work(tx: Transaction) -> list[DeadLetter]:
            return await deadletters.list_letters(
                tx, size=page.size + 1, after=after, include_settled=request.include_settled
            )

        letters = await read(self._running, work)
        shown, more = letters[: page.size], len(letters) > page.size
        return operations_pb2.ListDeadLettersResponse(
            dead_letters=[letter_to_wire(letter) for letter in shown],
            next_page_token=next_token(_place(shown[-1])) if more else "",
        )

    async def RetryDeadLetter(
        self, request: operations_pb2.RetryDeadLetterRequest, context: Context
    ) -> operations_pb2.DeadLetter:
        """Handle it once more, in one transaction with its being settled."""
        producer, epoch, pub_seq = _event_named(request.name)

        async def work(tx: Transaction) -> operations_pb2.DeadLetter:
            if await deadletters.find(tx, producer, epoch, pub_seq) is None:
                raise NotFound(name=request.name)
            try:
                letter = await self._retry(tx, producer, epoch, pub_seq)
            except Exception as error:
                if is_away(error) or sqlstate(error):
                    raise
                log.warning(
                    "dead_letter_fails_again", name=request.name, error=type(error).__name__
                )
                raise DeadLetterFailsAgain(name=request.name, error=type(error).__name__) from error
            return letter_to_wire(letter)

        answer = operations_pb2.DeadLetter
        return await change(self._running, request, answer, work, resource=request.name)

    async def Verify(
        self, request: operations_pb2.VerifyRequest, context: Context
    ) -> operations_pb2.VerifyResponse:
        """The invariants of every service, then those of this one."""

        async def work(tx: Transaction) -> list[Check]:
            checks = [*await common_checks(tx), *await self._service.verify(tx)]
            if self._service.verify_with is not None:
                checks += await self._service.verify_with(tx, self._running)
            return checks

        async def attempt() -> list[Check]:
            # All questions see the same moment, and change nothing.
            database = self._running.database
            async with database.begin(serializable=True, seconds=VERIFY_SECONDS) as tx:
                await tx.execute(sa.text("set transaction read only"))
                return await work(tx)

        checks = await retrying(attempt)
        return operations_pb2.VerifyResponse(checks=[check_to_wire(check) for check in checks])


async def delivery(tx: Transaction, producers: list[str]) -> operations_pb2.Delivery:
    """How far this service has told and heard; a producer never heard has a row of zeros."""
    told = await outbox.published(tx)
    waiting = await _count(
        tx, "select count(*) from outbox where send_time is null and pub_seq is null"
    )
    # What was heard is read after what was told: at rest that order finds no event in between.
    heard = await inbox.heard(tx)
    message = operations_pb2.Delivery(
        epoch=told.epoch,
        written_count=told.published_seq + waiting,
        published_seq=told.published_seq,
        open_dead_letter_count=await deadletters.open_count(tx),
    )
    for row in heard:
        message.heard.add(
            producer=row.producer,
            epoch=row.epoch,
            event_count=row.event_count,
            max_seq=row.max_seq,
        )
    for producer in producers:
        if all(row.producer != producer for row in heard):
            message.heard.add(producer=producer)
    return message


async def common_checks(tx: Transaction) -> list[Check]:
    """The invariants that hold in every service, re-computed from its rows."""
    return [
        await _sequence_is_dense(tx),
        await _inbox_is_whole(tx),
        await _no_dead_letters(tx),
        await _chain_holds(tx),
        await _changes_are_audited(tx),
    ]


async def _sequence_is_dense(tx: Transaction) -> Check:
    rows = await tx.execute(
        sa.text(
            "select epoch, next_seq - 1 as given, count(pub_seq) as held,"
            " coalesce(max(pub_seq), 0) as highest"
            " from outbox_counter left join outbox using (epoch)"
            " group by epoch, next_seq order by epoch"
        )
    )
    counted = rows.all()
    bad = [row for row in counted if not row.given == row.held == row.highest]
    return Check(
        "I6",
        "The sequence of published events is 1 to n without a gap.",
        not bad,
        "; ".join(
            f"epoch {row.epoch}: {row.held} events, highest {row.highest}, given out {row.given}"
            for row in bad or counted
        ),
    )


async def _inbox_is_whole(tx: Transaction) -> Check:
    heard = await inbox.heard(tx)
    bad = [row for row in heard if row.event_count != row.max_seq]
    return Check(
        "I6",
        "Every producer's events are heard 1 to n, each once.",
        not bad,
        "; ".join(
            f"{row.producer} {row.epoch}: {row.event_count} events, highest {row.max_seq}"
            for row in bad or heard
        )
        or "nothing heard",
    )


async def _no_dead_letters(tx: Transaction) -> Check:
    open_count = await deadletters.open_count(tx)
    text = "No event waits as a dead letter."
    return Check("N12", text, open_count == 0, f"{open_count} open dead letters")


async def _chain_holds(tx: Transaction) -> Check:
    walk = await audit.verify(tx)
    return Check(
        "I10",
        "The audit chain fits from the first row to the newest.",
        walk.holds,
        f"{walk.row_count} rows, head {walk.head.hash.hex()[:16]}"
        if walk.holds
        else f"breaks at row {walk.first_bad_seq}",
    )


async def _changes_are_audited(tx: Transaction) -> Check:
    missing = await _count(
        tx,
        "select count(*) from command where not exists ("
        " select from audit where audit.request_hash = command.request_hash"
        " and audit.action = command.method)",
    )
    changes = await _count(tx, "select count(*) from command")
    return Check(
        "I10",
        "Every change that was asked for has its audit row.",
        missing == 0,
        f"{changes} changes, {missing} without an audit row",
    )


def carried_to_wire(carried: Carried) -> operations_pb2.CarriedEvent:
    """An event with its place in the sequence, as a message."""
    return operations_pb2.CarriedEvent(
        producer=carried.producer,
        epoch=carried.epoch,
        pub_seq=carried.pub_seq,
        subject=carried.subject,
        payload=carried.payload,
    )


def carried_from_wire(message: operations_pb2.CarriedEvent) -> Carried:
    """The event in a message."""
    return Carried(
        message.producer, message.epoch, message.pub_seq, message.subject, message.payload
    )


def letter_to_wire(letter: DeadLetter) -> operations_pb2.DeadLetter:
    """A dead letter as a message."""
    message = operations_pb2.DeadLetter(
        name=letter.name,
        event=carried_to_wire(letter.carried),
        error=letter.error,
        create_time=moment_to_wire(letter.create_time),
    )
    if letter.settle_time is not None:
        message.settle_time.CopyFrom(moment_to_wire(letter.settle_time))
    return message


def check_to_wire(check: Check) -> operations_pb2.VerifyResponse.Check:
    """An invariant as a message."""
    return operations_pb2.VerifyResponse.Check(
        invariant=check.invariant, text=check.text, holds=check.holds, detail=check.detail
    )


def _event_named(name: str) -> tuple[str, str, int]:
    """Producer, epoch and sequence in `deadLetters/{producer}-{epoch}-{pub_seq}`."""
    (key,) = names.parse(name, "deadLetters")
    producer, _, rest = key.partition("-")
    epoch, _, seq = rest.rpartition("-")
    if not producer or not epoch or not seq.isdecimal() or len(seq) > LONGEST_SEQ:
        raise Malformed.of("name", "write it as deadLetters/{producer}-{epoch}-{number}")
    return producer, epoch, int(seq)


def _place(letter: DeadLetter) -> tuple[object, ...]:
    carried = letter.carried
    return letter.create_time.isoformat(), carried.producer, carried.epoch, carried.pub_seq


def _place_of(after: tuple[str, ...]) -> tuple[datetime, str, str, int]:
    try:
        moment, producer, epoch, seq = after
        return datetime.fromisoformat(moment), producer, epoch, int(seq)
    except ValueError:
        raise Malformed.of("page_token", "send the token of the page before, unchanged") from None


async def _count(tx: Transaction, statement: str) -> int:
    return int((await tx.execute(sa.text(statement))).scalar_one())
