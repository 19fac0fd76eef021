"""Tables of premiums. Months are stored as their first day."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = sa.MetaData(schema="premiums")

_MOMENT = sa.DateTime(timezone=True)


def _fen(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


platforms = sa.Table(
    "platform",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("industries", ARRAY(sa.SmallInteger), nullable=False),
)

# Signed tallies as batches brought them. `bill_month` is fixed when the tally arrives: its own
# month, or the next one if that month is assessed.
accruals = sa.Table(
    "accrual",
    metadata,
    sa.Column("order_batch", sa.Text, primary_key=True),
    sa.Column("pooling_area", sa.Text, primary_key=True),
    sa.Column("industry", sa.SmallInteger, primary_key=True),
    sa.Column("service_date", sa.Date, primary_key=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("order_count", sa.BigInteger, nullable=False),
    sa.Column("bill_month", sa.Date, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)
sa.Index(
    "ix_premiums_accrual_bill_month",
    accruals.c.bill_month,
    accruals.c.platform,
    accruals.c.pooling_area,
    accruals.c.industry,
    accruals.c.service_date,
    postgresql_include=["order_count"],
)
sa.Index("ix_premiums_accrual_platform", accruals.c.platform, accruals.c.service_date)

order_gaps = sa.Table(
    "order_gap",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("service_date", sa.Date, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("gaps", JSONB, nullable=False),
)

terms = sa.Table(
    "term",
    metadata,
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("since_date", sa.Date, nullable=False),
    sa.Column("industry", sa.SmallInteger),
    sa.Column("value", sa.Numeric, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("findings", JSONB, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)
sa.Index("ix_premiums_term_platform", terms.c.platform, terms.c.since_date, terms.c.seq)

# One row: the newest assessed month. Accruals share its lock, an assessment locks it exclusively.
assessment_head = sa.Table(
    "assessment_head",
    metadata,
    sa.Column("single_row", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("latest_month", sa.Date),
)

assessments = sa.Table(
    "assessment",
    metadata,
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("bill_count", sa.Integer, nullable=False),
    sa.Column("line_count", sa.Integer, nullable=False),
    sa.Column("order_count", sa.BigInteger, nullable=False),
    _fen("premium_fen"),
    sa.Column("due_date", sa.Date, nullable=False),
    sa.Column("gap_day_count", sa.Integer, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)

bills = sa.Table(
    "bill",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("month", sa.Date, primary_key=True),
    _fen("premium_fen"),
    sa.Column("due_date", sa.Date, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)
sa.Index("ix_premiums_bill_month", bills.c.month, bills.c.platform)

# `month` is the bill's, `service_month` that of the orders: earlier for late ones.
lines = sa.Table(
    "line",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("service_month", sa.Date, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("order_count", sa.BigInteger, nullable=False),
    sa.Column("base", sa.Numeric, nullable=False),
    sa.Column("band", sa.Numeric, nullable=False),
    sa.Column("markup", sa.Numeric, nullable=False),
    _fen("premium_fen"),
    sa.Column("due_date", sa.Date, nullable=False),
    sa.Column("findings", JSONB, nullable=False),
    sa.UniqueConstraint(
        "platform",
        "month",
        "pooling_area",
        "industry",
        "service_month",
        "kind",
        "base",
        "band",
        "markup",
    ),
)
sa.Index("ix_premiums_line_month", lines.c.month)

receipts = sa.Table(
    "receipt",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("receipt_date", sa.Date, nullable=False),
    _fen("amount_fen"),
    _fen("premium_fen"),
    _fen("surcharge_fen"),
    _fen("credit_fen"),
    # The bank's entry as recorded, and what all its spellings have in common; none for a set-off.
    sa.Column("account", sa.Text),
    sa.Column("account_key", sa.Text),
    sa.Column("bank_reference", sa.Text),
    sa.Column("number_key", sa.Text),
    sa.Column("occurrence", sa.Integer),
    # How many receipts of this payment were reversed before.
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    # The receipt that this one reverses.
    sa.Column("reverses", sa.Text, sa.ForeignKey("premiums.receipt.id"), unique=True),
    sa.Column("reversal_code", sa.SmallInteger),
    sa.Column("reversal_reason", sa.Text),
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True)),
    sa.Column("findings", JSONB, nullable=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)
sa.Index(
    "receipt_of_bank",
    receipts.c.account_key,
    receipts.c.receipt_date,
    receipts.c.number_key,
    receipts.c.amount_fen,
    receipts.c.occurrence,
    receipts.c.attempt,
    unique=True,
)
sa.Index("ix_premiums_receipt_platform", receipts.c.platform, receipts.c.month)
sa.Index("ix_premiums_receipt_receipt_date", receipts.c.receipt_date, receipts.c.id)

receipt_parts = sa.Table(
    "receipt_part",
    metadata,
    sa.Column("receipt", sa.Text, primary_key=True),
    sa.Column("pooling_area", sa.Text, primary_key=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    _fen("premium_fen"),
    _fen("surcharge_fen"),
    _fen("credit_fen"),
)
sa.Index("ix_premiums_receipt_part_platform", receipt_parts.c.platform, receipt_parts.c.month)

declarations = sa.Table(
    "declaration",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("create_time", _MOMENT, nullable=False),
)

declaration_rows = sa.Table(
    "declaration_row",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("pooling_area", sa.Text, primary_key=True),
    sa.Column("industry", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("order_count", sa.BigInteger, nullable=False),
)
