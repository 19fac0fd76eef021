"""The producers of the fund, for tests of the fund alone: events with numbers, and GetDelivery."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from google.protobuf.message import Message
from oip.benefits.v1 import events_pb2 as benefit_events
from oip.claims.v1 import events_pb2 as claim_events
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.grading.v1 import events_pb2 as grading_events
from oip.orders.v1 import events_pb2 as order_events
from oip.premiums.v1 import events_pb2 as premium_events
from oip.type.v1 import type_pb2

from services.fund.domain.ledger import Account
from services.fund.domain.producers import (
    PRODUCERS,
    Deliveries,
    Delivery,
    EndedMonth,
    EventTotal,
    posted_sums,
)
from services.fund.store import ended_months as month_store
from services.fund.store import totals as total_store
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.events import inbox
from services.runtime.events.envelope import FIRST_FINGERPRINT, Envelope, next_fingerprint
from services.runtime.events.event_keys import trust_of
from services.runtime.events.receiver import Receiver
from services.runtime.rpc.client import Channels
from services.runtime.rpc.wire import month_to_wire
from services.runtime.service.context import producer_of
from services.runtime.service.host import event_signer
from services.runtime.storage.database import Database
from tests.support import toy
from tests.support.stack_client import StackClient

EPOCH = "first"
EVENTS: dict[str, type[Message]] = {
    "enrolment": enrolment_events.MonthEnded,
    "orders": order_events.MonthEnded,
    "premiums": premium_events.MonthEnded,
    "claims": claim_events.MonthEnded,
    "grading": grading_events.MonthEnded,
    "benefits": benefit_events.MonthEnded,
}


class Producers:
    """Six producers that exist only as their events and their answers."""

    def __init__(self, client: StackClient) -> None:
        self._client = client
        self._settings = client.stack.settings
        self._published: dict[str, list[Envelope]] = defaultdict(list)
        self._ended: set[tuple[str, Month]] = set()
        # What a test sets: who does not answer, who has events that are not published, who lies.
        self.unreachable: set[str] = set()
        self.unpublished: dict[str, int] = {}
        self.answers: dict[str, Delivery] = {}

    async def publish(self, event: Message) -> Envelope:
        """Give an event the next number of its producer; nobody has consumed it yet."""
        producer = producer_of(type(event))
        envelope = event_signer(self._settings, producer).sign(
            Envelope(
                producer,
                EPOCH,
                len(self._published[producer]) + 1,
                event.DESCRIPTOR.full_name,
                event.SerializeToString(deterministic=True),
            )
        )
        self._published[producer].append(envelope)
        return envelope

    async def deliver(self, envelope: Envelope) -> bool:
        """Let the fund consume an event as its listener does; False for a repeat."""
        context = self._client.context("fund")
        receiver = Receiver(
            context.database,
            handlers=self._client.services["fund"].handlers,
            command=context.command,
            trust=trust_of(self._settings.event_trust_path),
            cipher=context.cipher,
            share=toy.share_nothing,
            clock=self._client.clock,
            wake=asyncio.Event(),
        )
        return await receiver.receive(envelope)

    async def send(self, event: Message) -> None:
        """Publish an event and let the fund consume it."""
        await self.deliver(await self.publish(event))

    async def month_ended(self, producer: str, month: Month) -> Message:
        """A producer's MonthEnded with the sums that the fund has posted."""
        rows = await self._client.rows(
            "fund",
            "select account, sum(amount_fen) as amount_fen from period_total"
            " where month = :month group by account",
            month=month.first_day,
        )
        balances = {Account(row.account): Fen(int(row.amount_fen)) for row in rows}
        totals = [
            type_pb2.MonthSummary.EventTotal(event=event, event_count=1, sum_fen=amount.count)
            for event, (name, amount) in sorted(posted_sums(balances).items())
            if name == producer and amount
        ]
        summary = type_pb2.MonthSummary(month=month_to_wire(month), events=totals)
        return EVENTS[producer](summary=summary)

    async def end_month(self, month: Month) -> None:
        """Let every producer end a month, once."""
        for producer in PRODUCERS:
            if (producer, month) not in self._ended:
                self._ended.add((producer, month))
                await self.send(await self.month_ended(producer, month))

    async def deliveries(
        self, _channels: Channels, positions: Mapping[str, tuple[str, int]]
    ) -> dict[str, Delivery | None]:
        """What the producers answer to the fund; in place of `clients.deliveries`."""
        return {
            name: None
            if name in self.unreachable
            else self.answers.get(name) or self.delivery(name, positions.get(name, ("", 0)))
            for name in PRODUCERS
        }

    def delivery(self, producer: str, position: tuple[str, int] | None = None) -> Delivery:
        """That of a producer whose events are all published; by default at its newest event."""
        published = self._published[producer]
        confirmed = FIRST_FINGERPRINT
        for envelope in published[: position[1] if position else None]:
            confirmed = next_fingerprint(confirmed, envelope.content_hash)
        return Delivery(
            epoch=EPOCH,
            written_count=len(published) + self.unpublished.get(producer, 0),
            published_seq=len(published),
            confirmed=confirmed,
        )


# Deliveries of producers from which the fund has consumed everything.
DELIVERED = Deliveries(
    Delivery(EPOCH, 0, 0), {name: Delivery(EPOCH, 0, 0) for name in PRODUCERS}, {}
)


async def end_month_in(database: Database, month: Month) -> None:
    """Let every producer end a month by rows of the fund's database, without a running fund."""
    now = datetime(2025, 12, 1, tzinfo=UTC)
    async with database.begin() as tx:
        sums = posted_sums((await total_store.get_books(tx, month, 1)).balances)
        for producer in PRODUCERS:
            envelope = Envelope(
                producer,
                EPOCH,
                await inbox.highest_seq(tx, producer, EPOCH) + 1,
                EVENTS[producer].DESCRIPTOR.full_name,
                str(month).encode(),
            )
            await inbox.record(tx, envelope, now)
            totals = tuple(
                EventTotal(event, 1, amount)
                for event, (name, amount) in sorted(sums.items())
                if name == producer
            )
            ended = EndedMonth(producer, month, EPOCH, envelope.pub_seq, totals)
            await month_store.insert(tx, ended, now)


_PRODUCERS: WeakKeyDictionary[StackClient, Producers] = WeakKeyDictionary()


def producers_of(client: StackClient) -> Producers:
    """The producers of a client's stack, which runs the fund alone."""
    if client not in _PRODUCERS:
        _PRODUCERS[client] = Producers(client)
    return _PRODUCERS[client]
