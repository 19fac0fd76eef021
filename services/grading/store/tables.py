"""Tables of grading; the migrations create them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

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
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("invited", sa.Boolean, nullable=False),
    # The credit code of the platform that bears the case; empty if refused.
    sa.Column("platform", sa.Text, nullable=False),
)

sa.Index("injury_worker", injuries.c.worker)
sa.Index("injury_invited", injuries.c.claim, postgresql_where=injuries.c.invited)

specialists = sa.Table(
    "specialist",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("number", sa.Text, nullable=False, unique=True),
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("provincial", sa.Boolean, nullable=False),
    sa.Column("member", sa.Text, nullable=False, unique=True),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Index("specialist_provincial", "provincial", "id"),
)

# The terms of specialists, one after the other.
terms = sa.Table(
    "specialist_term",
    metadata,
    sa.Column("specialist", sa.Text, sa.ForeignKey(specialists.c.id), primary_key=True),
    sa.Column("first_day", sa.Date, primary_key=True),
    sa.Column("last_day", sa.Date, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

appraisals = sa.Table(
    "appraisal",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("claim", sa.Text, nullable=False),
    # The place among the claim's appraisals, from 1.
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("applicant", sa.Text, nullable=False),
    sa.Column("application_date", sa.Date, nullable=False),
    sa.Column("documents_date", sa.Date),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("due_date", sa.Date, nullable=False),
    sa.Column("rest_days", sa.Integer, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("not_before", sa.Date),
    sa.Column("extended", sa.Boolean, nullable=False),
    sa.Column("absence_count", sa.Integer, nullable=False),
    sa.Column("draw", sa.Integer, nullable=False),
    sa.Column("grade", sa.Integer, nullable=False),
    sa.Column("care_dependence", sa.Text),
    # Encrypted: they say what is wrong with a person.
    sa.Column("findings", sa.LargeBinary, nullable=False),
    sa.Column("conclude_date", sa.Date),
    sa.Column("correct_date", sa.Date),
    sa.Column("serve_due_date", sa.Date),
    sa.Column("conclusion_number", sa.Integer, nullable=False),
    sa.Column("cause", sa.Text),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("claim", "number"),
    sa.Index("appraisal_previous", "previous"),
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

# A seed for each draw; encrypted, because whoever knows it before the draw knows the panel.
seeds = sa.Table(
    "draw_seed",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("draw", sa.Integer, primary_key=True),
    sa.Column("seed", sa.LargeBinary, nullable=False),
    sa.Column("commitment", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# Who could be drawn: the names of the specialists, and the size of the panel.
draws = sa.Table(
    "panel_draw",
    metadata,
    sa.Column("appraisal", sa.Text, primary_key=True),
    sa.Column("draw", sa.Integer, primary_key=True),
    sa.Column("pool", ARRAY(sa.Text), nullable=False),
    sa.Column("panel_size", sa.Integer, nullable=False),
    # Who stayed from the panel before, in its order.
    sa.Column("kept", ARRAY(sa.Text), nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(["appraisal", "draw"], [seeds.c.appraisal, seeds.c.draw]),
)

exclusions = sa.Table(
    "exclusion",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("specialist", sa.Text, sa.ForeignKey(specialists.c.id), primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    # The first draw that it binds.
    sa.Column("since_draw", sa.Integer, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
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

# The services of conclusions; of entries for one recipient the last counts.
conclusion_services = sa.Table(
    "conclusion_service",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("conclusion_number", sa.Integer, primary_key=True),
    sa.Column("recipient", sa.Text, primary_key=True),
    sa.Column("entry", sa.Integer, primary_key=True),
    sa.Column("means", sa.Text, nullable=False),
    sa.Column("serve_date", sa.Date, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# What stands in the place of wrong conclusions; encrypted.
corrections = sa.Table(
    "correction",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("conclusion_number", sa.Integer, primary_key=True),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)

# The words with which a step of an appraisal was taken; encrypted.
notes = sa.Table(
    "note",
    metadata,
    sa.Column("appraisal", sa.Text, sa.ForeignKey(appraisals.c.id), primary_key=True),
    sa.Column("revision", sa.BigInteger, primary_key=True),
    sa.Column("note", sa.LargeBinary, nullable=False),
    sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
)
