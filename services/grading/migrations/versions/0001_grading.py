"""Injuries, specialists, appraisals, their panels and opinions."""

from alembic import op

from services.kernel.scope import MEMBER
from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    isolate,
    of_area,
    of_person,
    of_platform,
)

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
    _create_draws()
    _create_conclusions()
    allow("injury", "SELECT", "INSERT", "UPDATE")
    allow("appraisal", "SELECT", "INSERT", "UPDATE")
    append_only("specialist")
    append_only("specialist_term")
    append_only("conclusion_service")
    append_only("correction")
    append_only("panel_member")
    append_only("opinion")
    append_only("note")
    append_only("draw_seed")
    append_only("panel_draw")
    append_only("exclusion")
    _isolate()


def _create_cases() -> None:
    op.execute(
        """
        create table injury (
            claim text primary key,
            revision bigint not null,
            appraisable boolean not null,
            accident_date date,
            pooling_area text not null,
            worker text not null,
            invited boolean not null,
            platform text not null,
            check (appraisable or not invited)
        )
        """
    )
    op.execute("create index injury_worker on injury (worker)")
    op.execute("create index injury_invited on injury (claim) where invited")
    op.execute(
        """
        create table specialist (
            id text primary key,
            number text not null unique,
            field text not null,
            provincial boolean not null,
            member text not null unique,
            create_time timestamptz not null
        )
        """
    )
    op.execute("create index specialist_provincial on specialist (provincial, id)")
    op.execute(
        """
        create table specialist_term (
            specialist text not null references specialist (id),
            first_day date not null,
            last_day date not null check (last_day > first_day),
            create_time timestamptz not null,
            primary key (specialist, first_day)
        )
        """
    )


def _create_appraisals() -> None:
    op.execute(
        """
        create table appraisal (
            id text primary key,
            claim text not null,
            number integer not null check (number > 0),
            applicant text not null,
            application_date date not null,
            documents_date date,
            level text not null,
            state text not null,
            due_date date not null,
            rest_days integer not null check (rest_days >= 0),
            create_time timestamptz not null,
            previous text not null,
            not_before date,
            extended boolean not null,
            absence_count integer not null check (absence_count >= 0),
            draw integer not null check (draw >= 0),
            grade integer not null check (grade between 0 and 10),
            care_dependence text,
            findings bytea not null,
            conclude_date date,
            correct_date date,
            serve_due_date date,
            conclusion_number integer not null check (conclusion_number >= 0),
            cause text,
            revision bigint not null check (revision > 0),
            unique (claim, number),
            check ((state in ('CONCLUDED', 'REVOKED')) = (conclude_date is not null)),
            check ((conclude_date is null) = (care_dependence is null)),
            check ((conclude_date is null) = (conclusion_number = 0)),
            check ((conclude_date is null) = (serve_due_date is null)),
            check ((correct_date is null) = (conclusion_number < 2)),
            check (grade = 0 or conclude_date is not null),
            check ((state = 'ENDED') = (cause is not null)),
            check ((level = 'FIRST') = (previous = '')),
            check (applicant <> 'AGENCY' or level = 'REVIEW'),
            check (application_date <= conclude_date)
        )
        """
    )
    # A claim has one open appraisal at a time.
    op.execute(
        "create unique index appraisal_open on appraisal (claim)"
        " where state in ('OPENED', 'PANEL_DRAWN', 'DOCUMENTS_REQUESTED')"
    )
    op.execute("create index appraisal_previous on appraisal (previous)")
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


def _create_draws() -> None:
    op.execute(
        """
        create table draw_seed (
            appraisal text not null references appraisal (id),
            draw integer not null check (draw > 0),
            seed bytea not null,
            commitment bytea not null check (length(commitment) = 32),
            create_time timestamptz not null,
            primary key (appraisal, draw)
        )
        """
    )
    op.execute(
        """
        create table panel_draw (
            appraisal text not null,
            draw integer not null,
            pool text[] not null,
            panel_size integer not null
                check (panel_size between 1 and cardinality(pool) + cardinality(kept)),
            kept text[] not null check (not kept && pool),
            create_time timestamptz not null,
            primary key (appraisal, draw),
            foreign key (appraisal, draw) references draw_seed
        )
        """
    )
    op.execute(
        """
        create table exclusion (
            appraisal text not null references appraisal (id),
            specialist text not null references specialist (id),
            code text not null,
            since_draw integer not null check (since_draw > 0),
            create_time timestamptz not null,
            primary key (appraisal, specialist)
        )
        """
    )


def _create_conclusions() -> None:
    op.execute(
        """
        create table conclusion_service (
            appraisal text not null references appraisal (id),
            conclusion_number integer not null check (conclusion_number > 0),
            recipient text not null,
            entry integer not null check (entry > 0),
            means text not null,
            serve_date date not null,
            create_time timestamptz not null,
            primary key (appraisal, conclusion_number, recipient, entry)
        )
        """
    )
    op.execute(
        """
        create table correction (
            appraisal text not null references appraisal (id),
            conclusion_number integer not null check (conclusion_number > 1),
            code text not null,
            content bytea not null,
            create_time timestamptz not null,
            primary key (appraisal, conclusion_number)
        )
        """
    )


def _isolate() -> None:
    """A specialist sees the appraisals on whose newest panel one sits, others those of the injury.

    The functions see all rows, because the tables' policies would ask each other.
    """
    for name, column in (("own_panels", "id"), ("own_claims", "claim")):
        op.execute(
            f"""
            create function {name}() returns text[] language sql stable security definer
            set search_path = grading, pg_temp set oip.everything = 'on'
            as $$
                select array_agg(appraisal.{column}) from appraisal
                join panel_member on panel_member.appraisal = appraisal.id
                    and panel_member.draw = appraisal.draw
                join specialist on specialist.id = panel_member.specialist
                where appraisal.state in ('PANEL_DRAWN', 'CONCLUDED', 'REVOKED')
                    and specialist.member = {MEMBER}
            $$
            """
        )
    own_claims = f"{MEMBER} is not null and claim = any((select own_claims())::text[])"
    isolate("injury", of_platform(), of_person(), of_area(), own_claims)
    of_injury = "exists (select from injury where injury.claim = appraisal.claim)"
    isolate(
        "appraisal",
        f"{MEMBER} is null and {of_injury}",
        f"{MEMBER} is not null and id = any((select own_panels())::text[])",
    )
    for table in (
        "panel_member",
        "opinion",
        "note",
        "draw_seed",
        "panel_draw",
        "exclusion",
        "conclusion_service",
        "correction",
    ):
        isolate(table, f"exists (select from appraisal where appraisal.id = {table}.appraisal)")
