"""The tables of the fund. Text that is compared or ordered has the collation C: by code point."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData(schema="fund")

_Name = sa.Text(collation="C")
_Moment = sa.DateTime(timezone=True)

books = sa.Table(
    "books",
    metadata,
    sa.Column("only_row", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("closed_through", sa.Date),
    sa.Column("opened_count", sa.BigInteger, nullable=False, server_default="0"),
)

periods = sa.Table(
    "settlement_period",
    metadata,
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("state", sa.SmallInteger, nullable=False, server_default="1"),
    sa.Column("figures", _Name),
    sa.Column("hash", sa.LargeBinary),
    sa.Column("findings", JSONB),
    sa.Column("proposer", _Name),
    sa.Column("proposer_member", sa.Text),
    sa.Column("propose_time", _Moment),
    sa.Column("approver", _Name),
    sa.Column("approver_member", sa.Text),
    sa.Column("approved_hash", sa.LargeBinary),
    sa.Column("approve_time", _Moment),
    sa.Column("close_time", _Moment),
    sa.Column("transaction_count", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("revision", sa.BigInteger, nullable=False, server_default="1"),
)

steps = sa.Table(
    "settlement_step",
    metadata,
    sa.Column("month", sa.Date, sa.ForeignKey(periods.c.month), primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    sa.Column("event", _Name, nullable=False),
    sa.Column("actor", _Name, nullable=False),
    sa.Column("hash", sa.LargeBinary),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("create_time", _Moment, nullable=False),
)

transactions = sa.Table(
    "ledger_transaction",
    metadata,
    sa.Column("transaction_id", _Name, primary_key=True),
    sa.Column("seq", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
    sa.Column("kind", _Name, nullable=False),
    sa.Column("source", _Name, nullable=False),
    sa.Column("subject", _Name, nullable=False),
    sa.Column("pooling_area", _Name, nullable=False),
    sa.Column("month", sa.Date, sa.ForeignKey(periods.c.month), nullable=False),
    sa.Column("accounting_date", sa.Date, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("posting_count", sa.SmallInteger, nullable=False),
    sa.Column("create_time", _Moment, nullable=False),
    sa.UniqueConstraint("source", "pooling_area", "kind"),
    sa.UniqueConstraint("transaction_id", "pooling_area", "month"),
    sa.Index("ix_fund_ledger_transaction_month_seq", "month", "seq"),
)

postings = sa.Table(
    "posting",
    metadata,
    sa.Column("transaction_id", _Name, primary_key=True),
    sa.Column("line", sa.SmallInteger, primary_key=True),
    sa.Column("pooling_area", _Name, nullable=False),
    sa.Column("month", sa.Date, nullable=False),
    sa.Column("account", sa.SmallInteger, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.ForeignKeyConstraint(
        ["transaction_id", "pooling_area", "month"],
        [transactions.c.transaction_id, transactions.c.pooling_area, transactions.c.month],
    ),
)

totals = sa.Table(
    "period_total",
    metadata,
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("pooling_area", _Name, primary_key=True),
    sa.Column("account", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("industry", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("posting_count", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Numeric(40), nullable=False),
)

payables = sa.Table(
    "payable",
    metadata,
    sa.Column("payment_run", _Name, primary_key=True),
    sa.Column("pooling_area", _Name, primary_key=True),
    sa.Column("open_fen", sa.BigInteger, nullable=False),
)

producer_months = sa.Table(
    "producer_month",
    metadata,
    sa.Column("producer", _Name, primary_key=True),
    sa.Column("month", sa.Date, primary_key=True),
    sa.Column("epoch", _Name, nullable=False),
    sa.Column("pub_seq", sa.BigInteger, nullable=False),
    sa.Column("totals", JSONB, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary),
    sa.Column("create_time", _Moment, nullable=False),
    sa.UniqueConstraint("producer", "epoch", "pub_seq"),
)

disbursements = sa.Table(
    "disbursement",
    metadata,
    sa.Column("disbursement_id", _Name, primary_key=True),
    sa.Column("payment_run", _Name, nullable=False),
    sa.Column("pooling_area", _Name, nullable=False),
    sa.Column("disburse_date", sa.Date, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("bank_reference", _Name, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("create_time", _Moment, nullable=False),
    sa.UniqueConstraint("bank_reference", "attempt"),
)

reversals = sa.Table(
    "disbursement_reversal",
    metadata,
    sa.Column(
        "disbursement_id",
        _Name,
        sa.ForeignKey(disbursements.c.disbursement_id),
        primary_key=True,
    ),
    sa.Column("code", sa.SmallInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("member", sa.Text, nullable=False),
    sa.Column("create_time", _Moment, nullable=False),
)
