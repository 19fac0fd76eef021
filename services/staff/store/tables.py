"""Tables of the staff register; the migrations create them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

metadata = sa.MetaData(schema="staff")

# One row per person: the keyed hash of the identity number tells persons from accounts.
members = sa.Table(
    "member",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
    sa.Column("identity_index", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("display_name", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("tokens_not_before", sa.DateTime(timezone=True)),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# An account belongs to one person at a time; rows stay, because the audit names accounts.
accounts = sa.Table(
    "account",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("member", sa.Text, nullable=False, index=True),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("unlink_time", sa.DateTime(timezone=True)),
    sa.Index(
        "account_linked",
        "issuer",
        "subject",
        unique=True,
        postgresql_where=sa.text("unlink_time is null"),
    ),
)

grants = sa.Table(
    "role_grant",
    metadata,
    sa.Column("member", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("role", sa.SmallInteger, nullable=False),
    sa.Column("areas", ARRAY(sa.Text), nullable=False),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("day_limit_fen", sa.BigInteger, nullable=False),
    sa.Column("from_date", sa.Date, nullable=False),
    sa.Column("until_date", sa.Date),
    sa.Column("granted_by", sa.Text, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# A grant is never changed: its revocation is a row, whose note is encrypted.
revocations = sa.Table(
    "revocation",
    metadata,
    sa.Column("member", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("code", sa.SmallInteger, nullable=False),
    sa.Column("note", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# An absence that was withdrawn keeps its row.
absences = sa.Table(
    "absence",
    metadata,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("member", sa.Text, nullable=False),
    sa.Column("from_date", sa.Date, nullable=False),
    sa.Column("until_date", sa.Date, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("withdraw_time", sa.DateTime(timezone=True)),
    sa.Index(
        "absence_recorded",
        "member",
        "from_date",
        "until_date",
        unique=True,
        postgresql_where=sa.text("withdraw_time is null"),
    ),
)
