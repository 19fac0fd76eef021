"""What a dishonest operator with superuser rights could do to the tables of orders."""

from __future__ import annotations

from tests.support.platforms import SWIFT

UNGUARDED = "set session_replication_role = replica;"
B1 = "(select batch_no from orders.order_batch where batch_id = 'b1')"
B2 = "(select batch_no from orders.order_batch where batch_id = 'b2')"
B3 = "(select batch_no from orders.order_batch where batch_id = 'b3')"
EVENT = "position('orderBatches/{}'::bytea in payload) > 0"
LAST = "(select batch_no from orders.order_batch where log_index >= 4)"
ALL = ("orders", "order_batch", "order_tally", "order_rejection", "checkpoint", "log_node")
CUT = (
    f"delete from orders.orders where batch_no in {LAST};"
    f" delete from orders.order_tally where batch_no in {LAST};"
    " delete from orders.checkpoint where log_size > 4;"
    " delete from orders.log_node where level = 0 and position >= 4;"
    " update orders.order_log set log_size = 4, frontier ="
    " (select hash from orders.log_node where level = 2 and position = 0);"
    " delete from orders.order_batch where log_index >= 4"
)

# The change, and a part of what `oip verify` says of it.
CHANGES = {
    # Rows.
    "delete": ("delete from orders.orders where order_no = 'o-2'", "b1 do not give its root"),
    "edit": (
        "update orders.orders set end_time = end_time + interval '1 hour' where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "reorder": (
        "update orders.orders set leaf_index = 8 - leaf_index where order_no in ('o-2', 'o-6')",
        "b1 do not give its root",
    ),
    "backdate": (
        "update orders.orders set accept_time = now() where order_no = 'b4-0'",
        "b4 do not give its root",
    ),
    "add": (
        (
            "insert into orders.orders select batch_no, worker, accept_time, pick_up_time,"
            " end_time, 7, 1, place_of_acceptance, pooling_area, industry, state, platform,"
            " 'o-backdated', reason from orders.orders where order_no = 'o-2'"
        ),
        "b1 do not give its root",
    ),
    "a state that looks the same in a byte": (
        (
            "update orders.orders set state = state + 256 where order_no = 'o-2';"
            f" update orders.order_tally set order_count = 6 where batch_no = {B1}"
        ),
        "b1 do not give its root",
    ),
    "an industry that looks the same in a byte": (
        (
            f"update orders.orders set industry = industry + 256 where batch_no = {B1};"
            f" update orders.order_tally set industry = 257 where batch_no = {B1}"
        ),
        "b1 do not give its root",
    ),
    "a moment beyond all clocks": (
        "update orders.orders set accept_time = 'infinity' where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "an end beyond all clocks": (
        "update orders.orders set end_time = 'infinity' where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "an endless number": (
        "update orders.orders set order_no = repeat('9', 70000) where order_no = 'o-2'",
        "b1 do not give its root",
    ),
    "pooling area with its tally": (
        (
            "update orders.orders set pooling_area = 440600 where order_no = 'o-2';"
            f" update orders.order_tally set order_count = 6 where batch_no = {B1};"
            f" insert into orders.order_tally select batch_no, platform, 440600, industry,"
            f" service_date, 1 from orders.order_tally where batch_no = {B1}"
        ),
        "I5-orders-areas: 1 orders stand in another pooling area",
    ),
    # Batches and their receipts.
    "drop a batch": (
        "delete from orders.order_batch where batch_id = 'b2'",
        f"the log of {SWIFT} lacks the batch at 2",
    ),
    "another time of a batch": (
        (
            "update orders.order_batch set create_time = create_time + interval '1 day'"
            " where batch_id = 'b1'; update orders.checkpoint set create_time = create_time +"
            " interval '1 day' where log_size = 2"
        ),
        f"the head of {SWIFT} at 2 is not the one that its batches give",
    ),
    "a time that cannot be read": (
        "update orders.order_batch set create_time = 'infinity' where batch_id = 'b1'",
        "I5-orders-log: a value of the log cannot be read",
    ),
    "tallies moved between batches": (
        (
            f"update orders.order_tally set order_count = order_count + 1 where batch_no = {B1};"
            f" update orders.order_tally set order_count = order_count - 1 where batch_no = {B3}"
        ),
        "I2-orders-tallies: 2 lines differ",
    ),
    "a rejection's content": (
        "update orders.order_rejection set order_no = 'x', content = null where status = 12",
        "the receipt of platforms/91110108MA01ABCD2H/orderBatches/b2 is not the one in the audit",
    ),
    "a rejection's reason": (
        "update orders.order_rejection set status = 8 where status = 3",
        "I13-orders-receipts: 1 batches differ",
    ),
    "a reason with its count": (
        (
            "update orders.order_rejection set status = 8 where status = 3;"
            " update orders.order_batch set rejected_by_reason = '{\"8\": 1}' where batch_id = 'b2'"
        ),
        "b2 is not the one in the audit",
    ),
    "a reason that is none": (
        "update orders.order_rejection set status = 99 where status = 3",
        "the rejections of platforms/91110108MA01ABCD2H/orderBatches/b2 cannot be read",
    ),
    "reasons counted otherwise": (
        "update orders.order_batch set rejected_by_reason = '{\"4\": 1}' where batch_id = 'b2'",
        "I13-orders-receipts: 1 batches differ",
    ),
    "more received": (
        (
            "update orders.order_batch set received_count = received_count + 5,"
            " exists_count = exists_count + 5 where batch_id = 'b2'"
        ),
        "b2 is not the one in the audit",
    ),
    "conflicts as rejections": (
        (
            "update orders.order_batch set conflict_count = 0, rejected_count = 2"
            " where batch_id = 'b2'"
        ),
        "I13-orders-receipts: 1 batches differ",
    ),
    "content hash": (
        "update orders.order_batch set content_hash = sha256('x') where batch_id = 'b1'",
        "b1 is not the one in the audit",
    ),
    # The log.
    "frontier": (
        "update orders.order_log set frontier = sha256('x') || substr(frontier, 33)",
        "continues from other nodes than its batches give",
    ),
    "a node": (
        "update orders.log_node set hash = sha256('x') where level = 0 and position = 4",
        f"node 0/4 of the log of {SWIFT} is not the one that its batches give",
    ),
    "a node removed": (
        "delete from orders.log_node where level = 1 and position = 1",
        f"node 1/1 of the log of {SWIFT} is not the one that its batches give",
    ),
    "a node added": (
        f"insert into orders.log_node values ('{SWIFT}', 7, 3, sha256('x'))",
        f"the log of {SWIFT} has 9 nodes, not 8",
    ),
    "an old root": (
        "update orders.checkpoint set root = sha256('x') where log_size = 3",
        f"the head of {SWIFT} at 3 is not the one that its batches give",
    ),
    "an old note": (
        "update orders.checkpoint set note = replace(note, '3', '4') where log_size = 3",
        f"the head of {SWIFT} at 3 is not signed as it stands there",
    ),
    "the newest note": (
        "update orders.checkpoint set note = 'forged' where log_size = 5",
        f"the head of {SWIFT} at 5 is not signed",
    ),
    "an older note as the newest": (
        (
            "update orders.checkpoint set note = (select note from orders.checkpoint"
            " where log_size = 2) where log_size = 5"
        ),
        f"the head of {SWIFT} at 5 is not signed as it stands there",
    ),
    "times of heads": (
        "update orders.checkpoint set create_time = '2020-01-01'",
        f"the head of {SWIFT} at 1 has another time than its batch",
    ),
    "old heads removed": (
        "delete from orders.checkpoint where log_size in (2, 3)",
        f"the head of {SWIFT} at 2 is missing; the head of {SWIFT} at 3 is missing",
    ),
    "the newest head removed": (
        "delete from orders.checkpoint where log_size = 5",
        f"the head of {SWIFT} at 5 is missing",
    ),
    "a head of what never was": (
        (
            f"insert into orders.checkpoint select '{SWIFT}', 4000000000, root, note, create_time"
            " from orders.checkpoint where log_size = 5"
        ),
        "lacks the batch at batches from 5 to 3999999998",
    ),
    "the log's end": (
        "delete from orders.order_log",
        f"the log of {SWIFT} is missing, its batches are not",
    ),
    "the log": (
        "delete from orders.order_log; delete from orders.checkpoint; delete from orders.log_node",
        f"the log of {SWIFT} is missing, its batches are not",
    ),
    "all batches": (
        "delete from orders.order_batch; delete from orders.checkpoint",
        f"the log of {SWIFT} has 5 batches and 8 nodes, and no batch is stored",
    ),
    "the last batch with its head": (CUT, "orderBatches/b4 was recorded and is not stored"),
    "the last batch, not in the audit": (
        f"{CUT}; delete from orders.audit where right(resource, 2) = 'b4'",
        "orderBatches/b4 was recorded and is not stored",
    ),
    "the last batch, not published": (
        f"{CUT}; delete from orders.outbox where {EVENT.format('b4')}",
        "orderBatches/b4 was recorded and is not stored",
    ),
    "a whole platform": (
        "; ".join(f"delete from orders.{table}" for table in (*ALL, "order_log")),
        "orderBatches/b0 was recorded and is not stored",
    ),
    # Around the log.
    "order of which a later revision came first": (
        "update orders.order_log set misses_first_revisions = not misses_first_revisions",
        "I2-orders-first-revisions: 1 orders or logs differ",
    ),
    "its number": (
        "delete from orders.order_missing_first_revision",
        "I2-orders-first-revisions: 2 orders or logs differ",
    ),
    "a freeze": ("delete from orders.order_freeze", "I5-orders-freezes: 1 requests differ"),
    "a freeze moved": (
        "update orders.order_freeze set moment = moment + interval '1 day'",
        "I5-orders-freezes: 2 requests differ",
    ),
    "a freeze made later": (
        "update orders.order_freeze set create_time = create_time + interval '1 day'",
        "I5-orders-freezes: 1 requests differ",
    ),
    "a freeze invented": (
        (
            "insert into orders.order_freeze select 2, moment, holder, create_time"
            " from orders.order_freeze"
        ),
        "I5-orders-freezes: 1 requests differ",
    ),
    "events": ("delete from orders.outbox", "b0 has 0 events"),
    "an event": (
        (
            "update orders.outbox set payload = substr(payload, 1, length(payload) - 2)"
            f" where {EVENT.format('b1')}"
        ),
        "orderBatches/b1 differs from the stored batch",
    ),
    "audit": ("delete from orders.audit", "b0 has no audit row"),
    "the end of the audit": (
        "delete from orders.audit where right(resource, 2) = 'b4'",
        "b4 has no audit row",
    ),
}
