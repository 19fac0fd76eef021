"""The tables of claims. Columns of bytes are encrypted, each value bound to its row and column."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE

metadata = sa.MetaData(schema="claims")


def _moment(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def _encrypted(name: str) -> sa.Column[bytes]:
    """An encrypted column."""
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _small(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.SmallInteger, nullable=nullable)


reports = sa.Table(
    "accident_report",
    metadata,
    _text("report_id", key=True),
    sa.Column("worker", sa.BigInteger, nullable=False),
    _moment("accident_time"),
    _text("place_of_injury"),
    _encrypted("description"),
    sa.Column("platforms", ARRAY(sa.Text), nullable=False),
    sa.Column("reported_late", sa.Boolean, nullable=False),
    _moment("create_time"),
)

claims = sa.Table(
    "claim",
    metadata,
    _text("claim_id", key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    _small("state"),
    _small("claimant_kind"),
    sa.Column("worker", sa.BigInteger, nullable=False),
    _moment("accident_time"),
    _text("place_of_injury"),
    _small("situation"),
    sa.Column("death_date", sa.Date),
    _encrypted("survivors"),
    _text("accident_report"),
    _encrypted("description"),
    # The platform that filed it; empty if another party did.
    _text("filed_by"),
    # The platforms that see it: that one, and those with an order in evidence.
    sa.Column("platforms", ARRAY(sa.Text), nullable=False),
    sa.Column("enrolments", JSONB, nullable=False),
    _text("pooling_area"),
    _small("industry", nullable=True),
    sa.Column("filed_late", sa.Boolean, nullable=False),
    _encrypted("requested_evidence"),
    sa.Column("clock", JSONB(none_as_null=True)),
    sa.Column("reply", JSONB(none_as_null=True)),
    sa.Column("due_date", sa.Date, nullable=False),
    _moment("create_time"),
    # Empty in PENDING and MERGED.
    _text("accident_id"),
    # The claim that it is part of; set in MERGED.
    _text("merged_into"),
    # The person who filed it, and those who accepted or decided it.
    _text("filer"),
    _text("filer_account"),
    sa.Column("officials", ARRAY(sa.Text), nullable=False),
    sa.Index("claim_queue", "due_date", "claim_id"),
)

accidents = sa.Table(
    "accident",
    metadata,
    _text("accident_id", key=True),
    sa.Column("worker", sa.BigInteger, nullable=False),
    _text("claim_id"),
    _moment("accident_time"),
    _text("place_of_injury"),
    sa.Column("time_window", TSTZRANGE, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    _moment("create_time"),
    _text("merged_into"),
)

answers = sa.Table(
    "filing_answer",
    metadata,
    _text("claim_id", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _small("answer"),
    _text("other_claim"),
    _small("code"),
    _encrypted("reason"),
    _text("answered_by"),
    _moment("create_time"),
)

contests = sa.Table(
    "contest",
    metadata,
    _text("claim_id", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("answer_count", sa.Integer, nullable=False),
    _encrypted("reason"),
    _text("contested_by"),
    _moment("create_time"),
)

order_records = sa.Table(
    "claim_order",
    metadata,
    _text("claim_id", key=True),
    _text("platform", key=True),
    _text("order_no", key=True),
    sa.Column("revision", sa.Integer, primary_key=True, autoincrement=False),
    _small("state"),
    _moment("accept_time"),
    _moment("pick_up_time", nullable=True),
    _moment("end_time", nullable=True),
    _text("pooling_area"),
    _small("industry"),
    sa.Column("late", sa.Boolean, nullable=False),
    _moment("take_in_time"),
    _moment("receive_time"),
    sa.Column("is_supplementary", sa.Boolean, nullable=False),
    sa.Column("other_worker", sa.Boolean, nullable=False),
)

evidence = sa.Table(
    "evidence",
    metadata,
    _text("claim_id", key=True),
    _text("document_id", key=True),
    _small("kind"),
    _encrypted("title"),
    sa.Column("content_hash", sa.LargeBinary, nullable=False),
    _text("added_by"),
    # The platform that added it; empty if another party did.
    _text("platform"),
    _moment("create_time"),
)

determinations = sa.Table(
    "determination",
    metadata,
    _text("claim_id", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("claim_revision", sa.BigInteger, nullable=False),
    _small("result"),
    _encrypted("findings"),
    _encrypted("judgements"),
    _text("platform"),
    _text("order_no"),
    _text("adjudicator"),
    _moment("create_time"),
)

revocations = sa.Table(
    "revocation",
    metadata,
    _text("claim_id", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _encrypted("reason"),
    _text("revoked_by"),
    _moment("revoke_time"),
)

services = sa.Table(
    "service",
    metadata,
    _text("claim_id", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("service_date", sa.Date, nullable=False),
    _text("recorded_by"),
    _moment("create_time"),
)

stays = sa.Table(
    "stay",
    metadata,
    _text("claim_id", key=True),
    sa.Column("claim_revision", sa.BigInteger, primary_key=True, autoincrement=False),
    _encrypted("reason"),
    _text("stayed_by"),
    _moment("create_time"),
)
