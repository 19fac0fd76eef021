"""What the fund asks over gRPC, before a transaction opens: how far each producer has published."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.fund.domain.producers import PRODUCERS, Delivery, Position
from services.runtime.base.log import logger
from services.runtime.rpc.client import Channels

ASK_SECONDS = 5.0

log = logger("producers")


async def deliveries(
    channels: Channels, positions: Mapping[str, tuple[str, int]]
) -> dict[str, Delivery | None]:
    """The delivery of each producer; None for one that does not answer.

    `positions` are the newest epoch and number that the fund has consumed of each; the producer
    says its fingerprint there.
    """
    answers = await asyncio.gather(
        *(_delivery(channels, name, *positions.get(name, ("", 0))) for name in PRODUCERS)
    )
    return dict(zip(PRODUCERS, answers, strict=True))


async def _delivery(channels: Channels, name: str, epoch: str, pub_seq: int) -> Delivery | None:
    request = operations_pb2.GetDeliveryRequest(epoch=epoch, pub_seq=pub_seq)
    stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, name)
    try:
        answer = await stub.GetDelivery(request, timeout=ASK_SECONDS)
    except grpc.aio.AioRpcError as error:
        log.warning("producer_unreachable", producer=name, code=error.code().name)
        return None
    return delivery_from_wire(answer)


def delivery_from_wire(message: operations_pb2.Delivery) -> Delivery:
    """A service's delivery from its answer."""
    return Delivery(
        epoch=message.epoch,
        written_count=message.written_count,
        published_seq=message.published_seq,
        dead_letter_count=message.open_dead_letter_count,
        alarm_count=message.open_alarm_count,
        lost_event_count=message.open_lost_event_count,
        is_behind=message.database_behind,
        consumed={
            (row.producer, row.epoch): Position(
                row.event_count, row.fingerprint, row.event_count == row.max_seq
            )
            for row in message.consumed
        },
        confirmed=message.fingerprint_at,
        fingerprint=message.fingerprint,
        closed={row.epoch: row.closed_seq for row in message.closed_epochs},
    )
