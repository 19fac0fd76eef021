"""Tables of benefits. A month is a whole number: year x 12 + month - 1."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.kernel.periods import MONTHS_PER_YEAR, Month

metadata = sa.MetaData(schema="benefits")

# What the authority has determined, as last heard.
cases = sa.Table(
    "case_facts",
    metadata,
    sa.Column("claim", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("accident_date", sa.Date),
    sa.Column("determine_date", sa.Date),
    sa.Column("death_date", sa.Date),
    sa.Column("survivors", JSONB, nullable=False),
    # Which state of the law the awards were last planned on.
    sa.Column("law_version", sa.Text, nullable=False),
    sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
)

conclusions = sa.Table(
    "conclusion",
    metadata,
    sa.Column("appraisal", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("claim", sa.Text, nullable=False, index=True),
    sa.Column("level", sa.SmallInteger, nullable=False),
    sa.Column("grade", sa.SmallInteger, nullable=False),
    sa.Column("care", sa.SmallInteger, nullable=False),
    sa.Column("conclude_date", sa.Date, nullable=False),
    sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
)

# The basic pension in payment from a month on.
pensions = sa.Table(
    "basic_pension",
    metadata,
    sa.Column("claim", sa.Text, primary_key=True),
    sa.Column("since_month", sa.Integer, primary_key=True),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# `number` is for joins only; outside an award is its id, which derives from what it is for.
awards = sa.Table(
    "award",
    metadata,
    sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("award", sa.Text, nullable=False, unique=True),
    sa.Column("claim", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("beneficiary", sa.Text, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("first_month", sa.Integer, nullable=False),
    sa.Column("last_month", sa.Integer),
    sa.Column("stop_month", sa.Integer),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("event_date", sa.Date, nullable=False),
    sa.Column("findings", JSONB, nullable=False),
    sa.Column("provisional", sa.Boolean, nullable=False),
    sa.Column("adjusts", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# The monthly amount from a month up to another, with all that an instruction needs, so that a run
# reads nothing else. A rate that a later decision replaces is emptied (until = since) and stays as
# a record.
rates = sa.Table(
    "award_rate",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("since_month", sa.Integer, nullable=False),
    sa.Column("until_month", sa.Integer),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

suspensions = sa.Table(
    "suspension",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("first_month", sa.Integer, primary_key=True),
    sa.Column("resume_month", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# Awards whose months before the front have to be looked at by the next run.
catch_ups = sa.Table(
    "catch_up",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True),
)

# Instructions. One per award, kind and month, whatever happens to it later.
payments = sa.Table(
    "payment",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("kind", sa.SmallInteger, primary_key=True),
    sa.Column("month", sa.Integer, primary_key=True),
    sa.Column("run_month", sa.Integer, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("withheld_fen", sa.BigInteger, nullable=False),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
)

# What each run added, as told.
parts = sa.Table(
    "payment_part",
    metadata,
    sa.Column("run_month", sa.Integer, primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),
    sa.Column("pooling_area", sa.Text, primary_key=True),
    sa.Column("industry", sa.SmallInteger, primary_key=True),
    sa.Column("kind", sa.SmallInteger, primary_key=True),
    sa.Column("payment_count", sa.BigInteger, nullable=False),
    sa.Column("sum_fen", sa.BigInteger, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# The latest month instructed. Its row lock keeps runs and decisions apart.
front = sa.Table(
    "payment_front",
    metadata,
    sa.Column("single", sa.Boolean, primary_key=True),
    sa.Column("month", sa.Integer, nullable=False),
)

recoveries = sa.Table(
    "recovery",
    metadata,
    sa.Column("recovery", sa.Text, primary_key=True),
    sa.Column("award", sa.Text, nullable=False, index=True),
    sa.Column("claim", sa.Text, nullable=False),
    sa.Column("beneficiary", sa.Text, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("findings", JSONB, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)


def number_of(month: Month) -> int:
    """A month as the tables hold it."""
    return month.year * MONTHS_PER_YEAR + month.month - 1


def month_of(number: int) -> Month:
    """The month that the tables hold as a number."""
    return Month(number // MONTHS_PER_YEAR, number % MONTHS_PER_YEAR + 1)


def month_or_none(number: int | None) -> Month | None:
    """The same where there may be none."""
    return None if number is None else month_of(number)
