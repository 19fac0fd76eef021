"""Whether all published events have been consumed, by GetDelivery of all services."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.kernel.phrases import Phrase, service_label
from services.runtime.rpc.client import Channels

POLL_SECONDS = 0.05


async def wait_until_delivered(
    channels: Channels, services: Iterable[str], seconds: float = 60.0
) -> None:
    """Wait until every event that was written has been consumed by all its consumers.

    Raises TimeoutError with the services that are behind. The token of `channels` needs one of the
    roles service, fund_officer or administrator. Dead letters count as consumed; `oip verify` shows
    them.
    """
    names = list(services)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    before: list[bytes] = []
    while True:
        answers = await deliveries(channels, names)
        behind = missing(answers)
        now = [answers[name].SerializeToString(deterministic=True) for name in names]
        # Services answer one after the other; only a second, equal round shows that none of them
        # was still handling an event of another.
        if not behind and now == before:
            return
        if loop.time() > end:
            raise TimeoutError("; ".join(map(str, behind)) or "new events keep arriving")
        before = now
        await asyncio.sleep(POLL_SECONDS)


async def deliveries(
    channels: Channels, services: Iterable[str]
) -> dict[str, operations_pb2.Delivery]:
    """How far each service has published and consumed."""
    return {
        name: await channels.stub(operations_pb2_grpc.OperationsServiceStub, name).GetDelivery(
            operations_pb2.GetDeliveryRequest()
        )
        for name in services
    }


def missing(deliveries: Mapping[str, operations_pb2.Delivery]) -> list[Phrase]:
    """A phrase for each service that is behind; none if all published events are consumed."""
    phrases: list[Phrase] = []
    for name, delivery in deliveries.items():
        phrases += _unpublished(name, delivery)
    for listener, delivery in deliveries.items():
        for producer in sorted({row.producer for row in delivery.consumed} & set(deliveries)):
            phrases += _unconsumed(listener, delivery, producer, deliveries[producer])
    return phrases


def _unpublished(name: str, delivery: operations_pb2.Delivery) -> Iterator[Phrase]:
    service = service_label(name)
    if delivery.database_behind:
        yield Phrase.of(
            "DATABASE_BEHIND",
            "the database of {service} is older than what it has published",
            "{service}的数据库早于其已发布的内容",
            service=service,
        )
    waiting = delivery.written_count - delivery.published_seq
    if waiting:
        yield Phrase.of(
            "TO_PUBLISH",
            "{service} has {count} events to publish",
            "{service}有 {count} 条事件待发布",
            service=service,
            count=waiting,
        )


def _unconsumed(
    listener: str,
    delivery: operations_pb2.Delivery,
    producer: str,
    published: operations_pb2.Delivery,
) -> Iterator[Phrase]:
    rows = {row.epoch: row for row in delivery.consumed if row.producer == producer}
    labels = {"listener": service_label(listener), "producer": service_label(producer)}
    for closed in published.closed_epochs:
        row = rows.get(closed.epoch)
        seq = row.max_seq if row else 0
        if seq < closed.closed_seq:
            yield Phrase.of(
                "TO_CONSUME_OF_EPOCH",
                "{listener} has consumed {count} of {published} of {producer} in its earlier "
                "epoch {epoch}",
                "{listener}已处理{producer}较早序列 {epoch} 的 {published} 条事件中的 {count} 条",
                count=seq,
                published=closed.closed_seq,
                epoch=closed.epoch,
                **labels,
            )
    row = rows.get(published.epoch)
    count, highest = (row.event_count, row.max_seq) if row else (0, 0)
    if not count == highest == published.published_seq:
        yield Phrase.of(
            "TO_CONSUME",
            "{listener} has consumed {count} of {published} of {producer}",
            "{listener}已处理{producer} {published} 条事件中的 {count} 条",
            count=count,
            published=published.published_seq,
            **labels,
        )
    elif row and row.fingerprint != published.fingerprint:
        yield Phrase.of(
            "OTHER_EVENTS",
            "{listener} holds other events of {producer} than it published",
            "{listener}所存{producer}的事件与其发布的不同",
            **labels,
        )
