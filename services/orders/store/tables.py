"""The tables of orders, as the migrations make them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(schema="orders")

_MOMENT = sa.DateTime(timezone=True)
_CODE = sa.Text(collation="C")

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("batch_no", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.BigInteger, nullable=False),
    sa.Column("accept_time", _MOMENT, nullable=False),
    sa.Column("pick_up_time", _MOMENT),
    sa.Column("end_time", _MOMENT),
    sa.Column("leaf_index", sa.Integer, nullable=False),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("place_of_acceptance", sa.Integer, nullable=False),
    sa.Column("pooling_area", sa.Integer, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("order_no", _CODE, primary_key=True),
    sa.Column("reason", sa.Text),
    postgresql_partition_by="hash (order_no)",
)

order_batches = sa.Table(
    "order_batch",
    metadata,
    sa.Column("batch_no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("platform", _CODE, nullable=False),
    sa.Column("batch_id", sa.Text, nullable=False),
    sa.Column("log_index", sa.BigInteger, nullable=False),
    sa.Column("received_count", sa.Integer, nullable=False),
    sa.Column("created_count", sa.Integer, nullable=False),
    sa.Column("exists_count", sa.Integer, nullable=False),
    sa.Column("conflict_count", sa.Integer, nullable=False),
    sa.Column("rejected_count", sa.Integer, nullable=False),
    sa.Column("rejected_by_reason", JSONB, nullable=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("content_hash", sa.LargeBinary, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
    sa.UniqueConstraint("platform", "batch_id"),
    sa.UniqueConstraint("platform", "log_index"),
)

order_rejections = sa.Table(
    "order_rejection",
    metadata,
    sa.Column("batch_no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("row_index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("platform", _CODE, nullable=False),
    sa.Column("order_no", sa.Text, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("content", JSONB),
)

order_tallies = sa.Table(
    "order_tally",
    metadata,
    sa.Column("batch_no", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("platform", _CODE, nullable=False),
    sa.Column("pooling_area", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("industry", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("service_date", sa.Date, primary_key=True),
    sa.Column("order_count", sa.BigInteger, nullable=False),
)

checkpoints = sa.Table(
    "checkpoint",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("log_size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.LargeBinary, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)

order_totals = sa.Table(
    "order_totals",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("service_date", sa.Date, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("order_count", sa.BigInteger, nullable=False),
    sa.Column("tallies", JSONB, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)

order_gaps = sa.Table(
    "order_gap",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("service_date", sa.Date, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("gaps", JSONB, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)

order_freezes = sa.Table(
    "order_freeze",
    metadata,
    sa.Column("worker", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("moment", _MOMENT, primary_key=True),
    sa.Column("holder", sa.Text, primary_key=True),
    sa.Column("create_time", _MOMENT, nullable=False),
)

registered_platforms = sa.Table(
    "registered_platform",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
)

platform_workers = sa.Table(
    "platform_worker",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("worker", sa.BigInteger, primary_key=True, autoincrement=False),
)

order_logs = sa.Table(
    "order_log",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("log_size", sa.BigInteger, nullable=False),
    sa.Column("frontier", sa.LargeBinary, nullable=False),
    sa.Column("misses_first_revisions", sa.Boolean, nullable=False),
)

orders_missing_first_revision = sa.Table(
    "order_missing_first_revision",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("order_no", _CODE, primary_key=True),
)

log_nodes = sa.Table(
    "log_node",
    metadata,
    sa.Column("platform", _CODE, primary_key=True),
    sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)


def sql_list(numbers: Iterable[int]) -> str:
    """Numbers of an enum as a list in SQL: `(2, 3)`."""
    return f"({', '.join(str(int(number)) for number in numbers)})"
