"""Domain values as messages."""

from __future__ import annotations

from collections.abc import Sequence

from oip.orders.v1 import orders_pb2

from services.kernel import names
from services.kernel.periods import Month
from services.orderlog.entries import microseconds
from services.orders import events
from services.orders.commands.archives import LoggedBatch, MonthOverview
from services.orders.commands.proofs import Consistency, Proof
from services.orders.domain.batches import INLINE_REJECTIONS_MAX, Batch, Rejection
from services.orders.domain.found_orders import FoundOrder
from services.orders.domain.legs import Leg, legs
from services.orders.domain.logs import Checkpoint
from services.orders.domain.orders import Record
from services.orders.domain.row_rules import SENTENCES, SENTENCES_ZH
from services.orders.store.tallies import TallyRow
from services.orders.store.totals import Totals
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire, month_to_wire


def order_batch(batch: Batch) -> orders_pb2.OrderBatch:
    """A receipt."""
    return orders_pb2.OrderBatch(
        name=batch.name,
        received_count=batch.received_count,
        created_count=batch.created_count,
        exists_count=batch.exists_count,
        conflict_count=batch.conflict_count,
        rejected_count=batch.rejected_count,
        rejected_by_reason=[
            orders_pb2.OrderBatch.ReasonCount(status=enum_number(int(status)), row_count=count)
            for status, count in sorted(batch.rejected_by_reason.items())
        ],
        rejections=[order_rejection(row) for row in batch.rejections[:INLINE_REJECTIONS_MAX]],
        merkle_root=batch.root,
        log_index=batch.log_index,
        content_hash=batch.content_hash,
        create_time=moment_to_wire(batch.create_time),
    )


def order_rejection(rejection: Rejection) -> orders_pb2.OrderRejection:
    """A row that was not stored."""
    return orders_pb2.OrderRejection(
        index=rejection.index,
        order_no=rejection.order_no,
        status=enum_number(int(rejection.status)),
        field=rejection.field,
        text=SENTENCES[rejection.status],
        text_zh=SENTENCES_ZH[rejection.status],
    )


def order_record(record: Record) -> orders_pb2.OrderRecord:
    """A stored record."""
    return orders_pb2.OrderRecord(
        order=record.order,
        row=orders_pb2.OrderRow(
            order_no=record.order_no,
            revision=record.revision,
            worker=record.worker,
            industry=enum_number(record.industry),
            state=enum_number(int(record.state)),
            accept_time_us=microseconds(record.accept_time),
            pick_up_time_us=microseconds(record.pick_up_time) if record.pick_up_time else 0,
            end_time_us=microseconds(record.end_time) if record.end_time else 0,
            place_of_acceptance=record.place,
            reason=record.reason,
        ),
        order_batch=names.name("platforms", record.platform, "orderBatches", record.batch_id),
        create_time=moment_to_wire(record.create_time),
        late=record.late,
    )


def order(name: str, revisions: Sequence[Record]) -> orders_pb2.Order:
    """An order with its revisions, oldest first, and its legs."""
    return orders_pb2.Order(
        name=name,
        revisions=[order_record(record) for record in revisions],
        legs=[_leg(leg) for leg in legs(revisions)],
    )


def found_order(order: FoundOrder) -> orders_pb2.FindOrdersResponse.FoundOrder:
    """An order near a moment."""
    message = orders_pb2.FindOrdersResponse.FoundOrder(
        record=order_record(order.record),
        later_revisions=[order_record(record) for record in order.later_revisions],
    )
    if order.leg.end_time is not None:
        message.leg_end_time.CopyFrom(moment_to_wire(order.leg.end_time))
    return message


def _leg(leg: Leg) -> orders_pb2.OrderLeg:
    message = orders_pb2.OrderLeg(
        worker=names.name("workers", leg.record.worker),
        revision=leg.record.revision,
        accept_time=moment_to_wire(leg.record.accept_time),
        reversed=leg.is_reversed,
        counts=leg.is_counted,
    )
    if leg.end_time is not None:
        message.end_time.CopyFrom(moment_to_wire(leg.end_time))
    return message


def order_tally(row: TallyRow) -> orders_pb2.OrderTally:
    """Orders that count."""
    day = (row.service_date - events.EPOCH_DAY).days
    return events.order_tally(row.platform, row.pooling_area, row.industry, day, row.order_count)


def order_totals(totals: Totals) -> orders_pb2.OrderTotals:
    """A platform's totals of a day."""
    day = (totals.service_date - events.EPOCH_DAY).days
    return orders_pb2.OrderTotals(
        name=names.name(
            "platforms", totals.platform, "orderTotals", totals.service_date.isoformat()
        ),
        service_date=date_to_wire(totals.service_date),
        order_count=totals.order_count,
        tallies=[
            events.order_tally(totals.platform, area, industry, day, count)
            for (area, industry), count in sorted(totals.lines.items())
        ],
        create_time=moment_to_wire(totals.create_time),
        revision=totals.revision,
    )


def checkpoint(head: Checkpoint) -> orders_pb2.Checkpoint:
    """A signed head."""
    return orders_pb2.Checkpoint(
        platform=names.name("platforms", head.platform),
        log_size=head.log_size,
        root=head.root,
        note=head.note,
        create_time=moment_to_wire(head.create_time),
    )


def order_proof(proof: Proof) -> orders_pb2.OrderProof:
    """All that a verifier needs."""
    return orders_pb2.OrderProof(
        record=order_record(proof.record),
        leaf=proof.leaf,
        leaf_index=proof.leaf_index,
        leaf_count=proof.batch.created_count,
        batch_path=proof.batch_path,
        batch_root=proof.batch.root,
        log_index=proof.batch.log_index,
        log_path=proof.log_path,
        checkpoint=checkpoint(proof.checkpoint),
    )


def log_consistency(consistency: Consistency) -> orders_pb2.LogConsistency:
    """The proof that a log only grew."""
    return orders_pb2.LogConsistency(
        first_root=consistency.first.root,
        second_root=consistency.second.root,
        second_size=consistency.second.log_size,
        path=consistency.path,
    )


def order_archive(overview: MonthOverview, month: Month) -> orders_pb2.OrderArchive:
    """What is in an archive."""
    head = checkpoint(overview.checkpoint)
    return orders_pb2.OrderArchive(
        platform=head.platform,
        month=month_to_wire(month),
        checkpoint=head,
        batch_count=overview.extent.end - overview.extent.start,
        row_count=overview.extent.row_count,
        before=logged_batch(overview.before) if overview.before else None,
        after=logged_batch(overview.after) if overview.after else None,
    )


def logged_batch(logged: LoggedBatch) -> orders_pb2.LoggedBatch:
    """A batch as an entry of its platform's log."""
    return orders_pb2.LoggedBatch(
        name=logged.batch.name,
        create_time=moment_to_wire(logged.batch.create_time),
        log_index=logged.batch.log_index,
        leaf_count=logged.batch.created_count,
        root=logged.batch.root,
        log_path=logged.log_path,
    )
