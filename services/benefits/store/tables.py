"""Tables of benefits. A month is a whole number: year x 12 + month - 1."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DATERANGE, JSONB, ExcludeConstraint

from services.benefits.domain.kinds import BenefitKind
from services.kernel.periods import MONTHS_PER_YEAR, Month

metadata = sa.MetaData(schema="benefits")

# The determination of each claim, by the latest event.
cases = sa.Table(
    "case_facts",
    metadata,
    sa.Column("claim", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    # All claims of a worker about one accident are one case.
    sa.Column("accident", sa.Text, nullable=False),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("industry", sa.SmallInteger, nullable=False),
    sa.Column("accident_date", sa.Date),
    sa.Column("determine_date", sa.Date),
    sa.Column("death_date", sa.Date),
    # Encrypted.
    sa.Column("survivors", sa.LargeBinary, nullable=False),
    sa.Column("is_relapse", sa.Boolean, nullable=False),
    # The version of the law on which the awards were last planned.
    sa.Column("law_version", sa.Text, nullable=False),
    sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
)
sa.Index("ix_benefits_case_facts_worker", cases.c.worker)

# What officers record of a worker's life; the latest row counts, and none is changed. Survivors,
# findings and the reason are encrypted.
life_events = sa.Table(
    "life_event",
    metadata,
    sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("claim", sa.Text, nullable=False, index=True),
    sa.Column("worker", sa.Text, nullable=False, index=True),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("day", sa.Date),
    sa.Column("cause", sa.SmallInteger),
    sa.Column("hardship", sa.Boolean, nullable=False),
    sa.Column("details", sa.LargeBinary, nullable=False),
    sa.Column("document_hash", sa.LargeBinary, nullable=False),
    sa.Column("record_date", sa.Date, nullable=False),
    sa.Column("member", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# Claims that ended in another claim, which survives.
mergers = sa.Table(
    "merger",
    metadata,
    sa.Column("merged_claim", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("claim", sa.Text, nullable=False, index=True),
    sa.Column("accident", sa.Text, nullable=False),
    sa.Column("merge_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
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
    sa.Column("conclude_date", sa.Date),
    # Counts as if it had never been; also before the conclusion itself was consumed.
    sa.Column("revoked", sa.Boolean, nullable=False),
    sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
)

# Appraisals that ended without a conclusion; without a cause once they are resumed.
appraisal_ends = sa.Table(
    "appraisal_end",
    metadata,
    sa.Column("appraisal", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("claim", sa.Text, nullable=False, index=True),
    sa.Column("cause", sa.SmallInteger),
    sa.Column("applicant", sa.SmallInteger),
    sa.Column("end_date", sa.Date),
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

# `number` is for joins only. The id derives from what the award is for; names use it. Unique
# indexes hold one set of awards per worker and accident, and one death grant per worker; an award
# that was merged into another is outside.
awards = sa.Table(
    "award",
    metadata,
    sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
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
    # Encrypted.
    sa.Column("findings", sa.LargeBinary, nullable=False),
    # The figures that it waits for, each as parameter, place and day; empty once it is final.
    sa.Column("awaits", ARRAY(sa.Text), nullable=False),
    sa.Column("adjusts", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("accident", sa.Text, nullable=False),
    sa.Column("merged_into", sa.Text, nullable=False),
    sa.Column("reversed", sa.Boolean, nullable=False),
)
sa.Index("ix_benefits_award_worker", awards.c.worker, awards.c.accident)

# What an expense was granted for; institution and number are encrypted. A bill is unique by the
# keyed hash of institution and number, in any spelling, and by its document, until its award is
# reversed.
bills = sa.Table(
    "bill",
    metadata,
    sa.Column("award", sa.Text, primary_key=True),
    sa.Column("institution", sa.LargeBinary, nullable=False),
    sa.Column("bill_number", sa.LargeBinary, nullable=False),
    sa.Column("bill_key", sa.LargeBinary),
    sa.Column("document_hash", sa.LargeBinary),
    sa.Column("reversed", sa.Boolean, nullable=False, server_default=sa.false()),
)
sa.Index(
    "bill_of_key",
    bills.c.bill_key,
    unique=True,
    postgresql_where=sa.not_(bills.c.reversed),
)
sa.Index(
    "bill_of_document",
    bills.c.document_hash,
    unique=True,
    postgresql_where=sa.not_(bills.c.reversed),
)

# The days in hospital granted to a worker; an exclusion constraint keeps them from overlapping.
stays = sa.Table(
    "hospital_stay",
    metadata,
    sa.Column("award", sa.Text, nullable=False, index=True),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("days", DATERANGE, nullable=False),
    sa.Column("reversed", sa.Boolean, nullable=False, server_default=sa.false()),
    ExcludeConstraint(
        ("worker", "="),
        ("days", "&&"),
        using="gist",
        name="one_day_once",
        where=sa.text("not reversed"),
    ),
)

# Why an expense was reversed, encrypted, and who made the reversal.
reversals = sa.Table(
    "expense_reversal",
    metadata,
    sa.Column("award", sa.Text, sa.ForeignKey(awards.c.id), primary_key=True),
    sa.Column("code", sa.SmallInteger, nullable=False),
    sa.Column("reason", sa.LargeBinary, nullable=False),
    sa.Column("member", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# The assumed values of the law on which awards rest, each set once.
law_bases = sa.Table(
    "law_basis",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
)

law_basis_values = sa.Table(
    "law_basis_value",
    metadata,
    sa.Column("basis", sa.Integer, sa.ForeignKey(law_bases.c.id), primary_key=True),
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("parameter", sa.Text, nullable=False),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("jurisdiction", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
)

# The monthly amount from a month up to another, with all columns of an instruction, so that a run
# reads no other table. A rate that a later decision replaces is emptied (until = since) and stays
# on record.
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
    sa.Column("basis", sa.Integer, sa.ForeignKey(law_bases.c.id), nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

suspensions = sa.Table(
    "suspension",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True),
    sa.Column("first_month", sa.Integer, primary_key=True),
    sa.Column("resume_month", sa.Integer),
    # Encrypted.
    sa.Column("reason", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# Awards of which the next run has to check the months up to the last run, too.
awards_to_backfill = sa.Table(
    "award_to_backfill",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True),
)

# Payment instructions: one per award, kind and month, whatever happens to it later.
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
    sa.Column("basis", sa.Integer, nullable=False),
)

# The totals of what each run added, as published.
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
    # All its instructions, as the exclusive or of their hashes.
    sa.Column("digest", sa.BigInteger, nullable=False),
    # What the law of its instructions rests on, each basis once.
    sa.Column("bases", ARRAY(sa.Integer), nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# What published figures changed about awards that waited for them. Figures name no person.
true_ups = sa.Table(
    "true_up",
    metadata,
    sa.Column("number", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("award", sa.Text, nullable=False, index=True),
    sa.Column("claim", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("pooling_area", sa.Text, nullable=False),
    sa.Column("month", sa.Integer, nullable=False),
    sa.Column("before_fen", sa.BigInteger, nullable=False),
    sa.Column("after_fen", sa.BigInteger, nullable=False),
    sa.Column("difference_fen", sa.BigInteger, nullable=False),
    sa.Column("figures", JSONB, nullable=False),
    sa.Column("final", sa.Boolean, nullable=False),
    sa.Column("member", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# One row: the latest month instructed, and the law on which the latest run was planned, with its
# day. Its row lock keeps runs and decisions apart.
last_run = sa.Table(
    "last_run",
    metadata,
    sa.Column("single", sa.Boolean, primary_key=True),
    sa.Column("month", sa.Integer, nullable=False),
    sa.Column("law_version", sa.Text, nullable=False),
    sa.Column("law_day", sa.Date),
)

recoveries = sa.Table(
    "recovery",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("award", sa.Text, nullable=False, index=True),
    sa.Column("claim", sa.Text, nullable=False),
    sa.Column("beneficiary", sa.Text, nullable=False),
    sa.Column("amount_fen", sa.BigInteger, nullable=False),
    # Encrypted.
    sa.Column("reason", sa.LargeBinary, nullable=False),
    sa.Column("findings", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)


def claims_of_case(claim: str) -> sa.Select[tuple[str]]:
    """The claims of one worker about the accident of a claim, the claim itself included."""
    other = cases.alias()
    same = sa.and_(other.c.worker == cases.c.worker, other.c.accident == cases.c.accident)
    statement = sa.select(other.c.claim).join(cases, same).where(cases.c.claim == claim)
    return sa.union(statement, sa.select(sa.literal(claim))).subquery().select()


def not_erased(table: sa.Table) -> sa.ColumnElement[bool]:
    """Of an erased worker nothing is planned again: the facts cannot be read any more."""
    return sa.literal_column(
        f"not exists (select from erasure where erasure.name = {table.name}.worker"
        " and erasure.erase_time is not null)",
        sa.Boolean(),
    )


def kind_numbers(kinds: Iterable[BenefitKind]) -> list[int]:
    """Kinds of benefit as the tables store them."""
    return sorted(kind.value for kind in kinds)


def number_of(month: Month) -> int:
    """A month as the tables store it."""
    return month.year * MONTHS_PER_YEAR + month.month - 1


def month_of(number: int) -> Month:
    """The month of a stored number."""
    return Month(number // MONTHS_PER_YEAR, number % MONTHS_PER_YEAR + 1)


def month_or_none(number: int | None) -> Month | None:
    """The month of a stored number, or None."""
    return None if number is None else month_of(number)
