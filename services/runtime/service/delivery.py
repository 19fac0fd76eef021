"""Whether all published events have been consumed, by GetDelivery of all services."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

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
            raise TimeoutError("; ".join(behind) or "new events keep arriving")
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


def missing(deliveries: Mapping[str, operations_pb2.Delivery]) -> list[str]:
    """A sentence for each service that is behind; none if all published events are consumed."""
    sentences = []
    for name, delivery in deliveries.items():
        if delivery.database_behind:
            sentences.append(f"the database of {name} is older than what it has published")
        waiting = delivery.written_count - delivery.published_seq
        if waiting:
            sentences.append(f"{name} has {waiting} events to publish")
    for listener, delivery in deliveries.items():
        consumed = {(row.producer, row.epoch): row for row in delivery.consumed}
        for producer in sorted({row.producer for row in delivery.consumed} & set(deliveries)):
            for closed in deliveries[producer].closed_epochs:
                row = consumed.get((producer, closed.epoch))
                held = row.max_seq if row else 0
                if held < closed.closed_seq:
                    sentences.append(
                        f"{listener} has consumed {held} of {closed.closed_seq} of {producer}"
                        f" in its earlier epoch {closed.epoch}"
                    )
            epoch, published = deliveries[producer].epoch, deliveries[producer].published_seq
            row = consumed.get((producer, epoch))
            count, highest = (row.event_count, row.max_seq) if row else (0, 0)
            if not count == highest == published:
                sentences.append(f"{listener} has consumed {count} of {published} of {producer}")
            elif row and row.fingerprint != deliveries[producer].fingerprint:
                sentences.append(f"{listener} holds other events of {producer} than it published")
    return sentences
