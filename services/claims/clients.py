"""What claims asks over gRPC, before a transaction opens: enrolment and orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
from google.protobuf.duration_pb2 import Duration
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.claims.domain.claim import Claim, Enrolment
from services.claims.domain.law import pooling_area_of
from services.claims.domain.order_records import OrderEvidence, OrderState, order_in
from services.claims.domain.problems import WorkerUnknown
from services.kernel import names
from services.kernel.lawbook import Law
from services.kernel.periods import civil_day
from services.kernel.scheme import Industry
from services.runtime.rpc.access import as_service_alone
from services.runtime.rpc.client import Channels
from services.runtime.rpc.wire import date_from_wire, moment_from_wire, moment_to_wire

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def enrolments_of(channels: Channels, worker: int) -> tuple[Enrolment, ...]:
    """The platforms a worker is enrolled with; raises WorkerUnknown for none, or an erased one."""
    stub = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    name = names.name("workers", worker)
    try:
        with as_service_alone():  # of all platforms, whoever files
            answer = await stub.GetWorker(enrolment_pb2.GetWorkerRequest(name=name))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            raise WorkerUnknown(worker=name) from None
        raise
    if answer.erased:
        raise WorkerUnknown(worker=name)
    return tuple(
        Enrolment(
            names.parse(enrolment.platform, "platforms", field="platform")[0],
            date_from_wire(enrolment.enrol_date, "enrol_date"),
            civil_day(moment_from_wire(enrolment.create_time, "create_time")),
        )
        for enrolment in answer.enrolments
    )


async def orders_near(channels: Channels, claim: Claim, law: Law) -> tuple[OrderEvidence, ...]:
    """The worker's orders near the accident, across all platforms, with their later revisions.

    Orders chooses the decisive revision of each; whether one was under way is for claims to say.
    """
    stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    hours = law.count("order_search_margin_hours", claim.accident_day, claim.place_of_injury)
    request = orders_pb2.FindOrdersRequest(
        worker=names.name("workers", claim.worker),
        moment=moment_to_wire(claim.accident_time),
        margin=Duration(seconds=hours * 3600),
    )
    with as_service_alone():  # of all platforms and areas, whoever asks
        answer = await stub.FindOrders(request)
    return tuple(
        record for order in answer.orders for record in order_evidence(order, law, claim.worker)
    )


def order_evidence(
    order: orders_pb2.FindOrdersResponse.FoundOrder, law: Law, worker: int
) -> list[OrderEvidence]:
    """An order as evidence: the worker's leg by the decisive revision, then the later revisions."""
    decisive, ended = _order(order.record, law, worker), order.HasField("leg_end_time")
    leg_end = moment_from_wire(order.leg_end_time, "leg_end_time") if ended else None
    return [
        replace(decisive, end_time=leg_end),
        *(_order(later, law, worker, is_supplementary=True) for later in order.later_revisions),
    ]


async def freeze_orders(channels: Channels, worker: int, moment: datetime, holder: str) -> None:
    """Keep a worker's records of the day from deletion for a report or a claim.

    Repeating it is harmless: the request id derives from the holder's name.
    """
    stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    await stub.FreezeOrders(
        orders_pb2.FreezeOrdersRequest(
            request_id=f"{holder}/freeze",
            worker=names.name("workers", worker),
            moment=moment_to_wire(moment),
            holder=holder,
        )
    )


def _order(
    record: orders_pb2.OrderRecord, law: Law, worker: int, *, is_supplementary: bool = False
) -> OrderEvidence:
    row = record.row
    platform, order_no = order_in(record.order, "order")
    accept_time = _moment(row.accept_time_us)
    place = f"{row.place_of_acceptance:06d}"
    return OrderEvidence(
        platform=platform,
        order_no=order_no,
        revision=row.revision,
        state=OrderState(row.state),
        accept_time=accept_time,
        pooling_area=pooling_area_of(place, civil_day(accept_time), law),
        industry=Industry(row.industry),
        receive_time=moment_from_wire(record.create_time, "create_time"),
        pick_up_time=_moment(row.pick_up_time_us) if row.pick_up_time_us else None,
        end_time=_moment(row.end_time_us) if row.end_time_us else None,
        late=record.late,
        is_supplementary=is_supplementary,
        other_worker=row.worker != worker,
    )


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
