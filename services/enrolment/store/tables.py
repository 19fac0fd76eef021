"""Tables of enrolment; the migrations create them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

metadata = sa.MetaData(schema="enrolment")

platforms = sa.Table(
    "platform",
    metadata,
    sa.Column("credit_code", sa.Text, primary_key=True),
    sa.Column("display_name", sa.Text, nullable=False),
    sa.Column("industries", ARRAY(sa.SmallInteger), nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# One row per person. The id is random and says nothing about the person.
workers = sa.Table(
    "worker",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("identity_index", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("document_number", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

enrolments = sa.Table(
    "enrolment",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("worker_number", sa.Text, primary_key=True),
    sa.Column("worker", sa.BigInteger, nullable=False, index=True),
    sa.Column("phone", sa.LargeBinary, nullable=False),
    sa.Column("enrol_date", sa.Date, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("platform", "worker"),
)
