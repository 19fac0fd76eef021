"""The tables of claims. Columns of bytes are encrypted, each value bound to its row and column."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

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
    sa.UniqueConstraint("worker", "accident_time"),
    sa.Index("claim_queue", "due_date", "claim_id"),
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
    _moment("create_time"),
)

determinations = sa.Table(
    "determination",
    metadata,
    _text("claim_id", key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("claim_revision", sa.BigInteger, nullable=False),
    _small("result"),
    sa.Column("findings", JSONB, nullable=False),
    _encrypted("judgements"),
    sa.Column("charges", JSONB, nullable=False),
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
