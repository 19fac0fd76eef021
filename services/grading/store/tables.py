"""Tables of grading; the migrations create them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from services.grading.domain.appraisals import OPEN_STATES

metadata = sa.MetaData(schema="grading")

# The injury of each claim as last determined.
injuries = sa.Table(
    "injury",
    metadata,
    sa.Column("claim", sa.Text, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("appraisable", sa.Boolean, nullable=False),
    sa.Column("accident_date", sa.Date),
    sa.Column("pooling_area", sa.Text, nullable=False),
)

specialists = sa.Table(
    "specialist",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, nullable=False, unique=True),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("provincial", sa.Boolean, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Index("specialist_provincial", "provincial", "id"),
)

appraisals = sa.Table(
    "appraisal",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("claim", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due_date", sa.Date, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("not_before", sa.Date),
    sa.Column("extended", sa.Boolean, nullable=False),
    sa.Column("absence_count", sa.Integer, nullable=False),
    sa.Column("draw", sa.Integer, nullable=False),
    sa.Column("grade", sa.Integer, nullable=False),
    sa.Column("care_dependence", sa.Text),
    sa.Column("findings", JSONB, nullable=False),
    sa.Column("conclude_date", sa.Date),
    sa.Column("cause", sa.Text),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index("appraisal_claim", "claim", "create_time"),
    sa.Index("appraisal_due", "due_date", "id"),
)
sa.Index(
    "appraisal_open",
    appraisals.c.claim,
    unique=True,
    postgresql_where=appraisals.c.state.in_([state.name for state in OPEN_STATES]),
)

panel_members = sa.Table(
    "panel_member",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("draw", sa.Integer, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("specialist", sa.Text, sa.ForeignKey(specialists.c.id), nullable=False),
    sa.UniqueConstraint("appraisal", "draw", "specialist"),
)

opinions = sa.Table(
    "opinion",
    metadata,
    sa.Column("appraisal", sa.Text, primary_key=True),
    sa.Column("draw", sa.Integer, primary_key=True),
    sa.Column("specialist", sa.Text, primary_key=True),
    sa.Column("opinion", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(
        ["appraisal", "draw", "specialist"],
        [panel_members.c.appraisal, panel_members.c.draw, panel_members.c.specialist],
    ),
)

# The reason for which an appraisal was deferred or extended; encrypted.
notes = sa.Table(
    "note",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    sa.Column("note", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)
