"""Injuries, specialists, appraisals, their panels and opinions."""

from alembic import op

from services.runtime.storage.migrate import allow, append_only, create_runtime_tables

revision = "grading_0001"
down_revision = None
branch_labels = ("grading",)
depends_on = None


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    _create_cases()
    _create_appraisals()
    _create_panels()
    allow("injury", "SELECT", "INSERT", "UPDATE")
    allow("appraisal", "SELECT", "INSERT", "UPDATE")
    append_only("specialist")
    append_only("panel_member")
    append_only("opinion")
    append_only("note")


def _create_cases() -> None:
    op.execute(
        """
        create table injury (
            claim text primary key,
            revision bigint not null,
            appraisable boolean not null,
            accident_date date,
            pooling_area text not null
        )
        """
    )
    op.execute(
        """
        create table specialist (
            id text primary key,
            number text not null unique,
            field text not null,
            provincial boolean not null,
            create_time timestamptz not null
        )
        """
    )
    op.execute("create index specialist_provincial on specialist (provincial, id)")


def _create_appraisals() -> None:
    op.execute(
        """
        create table appraisal (
            id text primary key,
            claim text not null,
            level text not null,
            state text not null,
            due_date date not null,
            create_time timestamptz not null,
            previous text not null,
            not_before date,
            extended boolean not null,
            absence_count integer not null check (absence_count >= 0),
            draw integer not null check (draw >= 0),
            grade integer not null check (grade between 0 and 10),
            care_dependence text,
            findings jsonb not null,
            conclude_date date,
            cause text,
            revision bigint not null check (revision > 0),
            check ((state = 'CONCLUDED') = (conclude_date is not null)),
            check ((state = 'CONCLUDED') = (care_dependence is not null)),
            check (grade = 0 or state = 'CONCLUDED'),
            check ((state = 'ENDED') = (cause is not null))
        )
        """
    )
    # A claim has one open appraisal at a time.
    op.execute(
        "create unique index appraisal_open on appraisal (claim)"
        " where state in ('OPENED', 'PANEL_DRAWN')"
    )
    op.execute("create index appraisal_claim on appraisal (claim, create_time)")
    op.execute("create index appraisal_due on appraisal (due_date, id)")


def _create_panels() -> None:
    op.execute(
        """
        create table panel_member (
            appraisal text not null references appraisal (id),
            draw integer not null check (draw > 0),
            position integer not null check (position > 0),
            specialist text not null references specialist (id),
            primary key (appraisal, draw, position),
            unique (appraisal, draw, specialist)
        )
        """
    )
    # Opinions and notes say what is wrong with a person: encrypted.
    op.execute(
        """
        create table opinion (
            appraisal text not null,
            draw integer not null,
            specialist text not null,
            opinion bytea not null,
            create_time timestamptz not null,
            primary key (appraisal, draw, specialist),
            foreign key (appraisal, draw, specialist)
                references panel_member (appraisal, draw, specialist)
        )
        """
    )
    op.execute(
        """
        create table note (
            appraisal text not null references appraisal (id),
            revision bigint not null,
            note bytea not null,
            create_time timestamptz not null,
            primary key (appraisal, revision)
        )
        """
    )
