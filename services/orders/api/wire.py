"""Domain values as messages."""

from __future__ import annotations

from oip.orders.v1 import orders_pb2

from services.kernel import names
from services.kernel.problems import Malformed
from services.orderlog.entries import microseconds
from services.orders.commands.evidence import Consistency, Proof
from services.orders.domain.checks import SENTENCES
from services.orders.domain.judging import Rejected
from services.orders.domain.records import (
    INLINE_REJECTIONS_MAX,
    Batch,
    Record,
)
from services.orders.events import EPOCH_DAY, tally
from services.orders.store import totals
from services.orders.store.log import Checkpoint
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire

WORKER_MAX = 2**63 - 1


def own_platform(name: str, field: str = "platform") -> str:
    """The credit code in a platform's name; a platform may only name itself."""
    (code,) = names.parse(name, "platforms", field=field)
    caller().require_platform(code)
    return code


def worker_of(name: str) -> int:
    """The number in a worker's name."""
    (text,) = names.parse(name, "workers", field="worker")
    if not text.isascii() or not text.isdigit() or int(text) > WORKER_MAX:
        raise Malformed.of("worker", "write it as workers/{id} with the worker's opaque id")
    return int(text)


def batch(one: Batch) -> orders_pb2.OrderBatch:
    """A receipt."""
    return orders_pb2.OrderBatch(
        name=one.name,
        received_count=one.received_count,
        created_count=one.created_count,
        exists_count=one.exists_count,
        conflict_count=one.conflict_count,
        rejected_count=one.rejected_count,
        rejected_by_reason=[
            orders_pb2.OrderBatch.ReasonCount(status=enum_number(int(status)), row_count=count)
            for status, count in sorted(one.rejected_by_reason.items())
        ],
        rejections=[rejection(row) for row in one.rejections[:INLINE_REJECTIONS_MAX]],
        merkle_root=one.root,
        log_index=one.log_index,
        content_hash=one.content_hash,
        create_time=moment_to_wire(one.create_time),
    )


def rejection(one: Rejected) -> orders_pb2.OrderRejection:
    """A row that was not stored."""
    return orders_pb2.OrderRejection(
        index=one.index,
        order_no=one.order_no,
        status=enum_number(int(one.status)),
        field=one.field,
        text=SENTENCES[one.status],
    )


def record(one: Record) -> orders_pb2.OrderRecord:
    """A record as it is held."""
    return orders_pb2.OrderRecord(
        order=one.order,
        row=orders_pb2.OrderRow(
            order_no=one.order_no,
            revision=one.revision,
            worker=one.worker,
            industry=enum_number(one.industry),
            state=enum_number(int(one.state)),
            accept_time_us=microseconds(one.accept_time),
            pick_up_time_us=microseconds(one.pick_up_time) if one.pick_up_time else 0,
            end_time_us=microseconds(one.end_time) if one.end_time else 0,
            place_of_acceptance=one.place,
            reason=one.reason,
        ),
        order_batch=names.name("platforms", one.platform, "orderBatches", one.batch_id),
        create_time=moment_to_wire(one.create_time),
        late=one.late,
    )


def order_totals(one: totals.Totals) -> orders_pb2.OrderTotals:
    """A platform's totals of a day."""
    day = (one.service_date - EPOCH_DAY).days
    return orders_pb2.OrderTotals(
        name=names.name("platforms", one.platform, "orderTotals", one.service_date.isoformat()),
        service_date=date_to_wire(one.service_date),
        order_count=one.order_count,
        tallies=[
            tally(one.platform, area, industry, day, count)
            for (area, industry), count in sorted(one.lines.items())
        ],
        create_time=moment_to_wire(one.create_time),
        revision=one.revision,
    )


def checkpoint(one: Checkpoint) -> orders_pb2.Checkpoint:
    """A signed head."""
    return orders_pb2.Checkpoint(
        platform=names.name("platforms", one.platform),
        log_size=one.log_size,
        root=one.root,
        note=one.note,
        create_time=moment_to_wire(one.create_time),
    )


def proof(one: Proof) -> orders_pb2.OrderProof:
    """All that a verifier needs."""
    return orders_pb2.OrderProof(
        record=record(one.record),
        leaf=one.leaf,
        leaf_index=one.leaf_index,
        leaf_count=one.batch.created_count,
        batch_path=one.batch_path,
        batch_root=one.batch.root,
        log_index=one.batch.log_index,
        log_path=one.log_path,
        checkpoint=checkpoint(one.checkpoint),
    )


def consistency(one: Consistency) -> orders_pb2.LogConsistency:
    """That a log only grew."""
    return orders_pb2.LogConsistency(
        first_root=one.first.root,
        second_root=one.second.root,
        second_size=one.second.log_size,
        path=one.path,
    )
