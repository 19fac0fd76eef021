"""Cases, awards and payment instructions."""

from alembic import op

from services.runtime.storage.migrate import allow, append_only, create_runtime_tables

revision = "benefits_0001"
down_revision = None
branch_labels = ("benefits",)
depends_on = None

CASES = (
    """
    create table case_facts (
        claim text primary key,
        revision bigint not null,
        state smallint not null,
        worker text not null,
        pooling_area text not null,
        industry smallint not null,
        accident_date date,
        determine_date date,
        death_date date,
        survivors jsonb not null,
        law_version text not null default '',
        update_time timestamptz not null
    )
    """,
    """
    create table conclusion (
        appraisal text primary key,
        revision bigint not null,
        claim text not null,
        level smallint not null,
        grade smallint not null,
        care smallint not null,
        conclude_date date not null,
        update_time timestamptz not null
    )
    """,
    "create index ix_benefits_conclusion_claim on conclusion (claim)",
    """
    create table basic_pension (
        claim text not null,
        since_month integer not null,
        amount_fen bigint not null check (amount_fen >= 0),
        create_time timestamptz not null,
        primary key (claim, since_month)
    )
    """,
)
AWARDS = (
    """
    create table award (
        number bigint generated always as identity primary key,
        id text not null unique,
        claim text not null,
        kind smallint not null,
        beneficiary text not null,
        state smallint not null,
        amount_fen bigint not null check (amount_fen >= 0),
        first_month integer not null,
        last_month integer,
        stop_month integer,
        pooling_area text not null,
        industry smallint not null,
        event_date date not null,
        findings jsonb not null,
        provisional boolean not null,
        adjusts text not null,
        create_time timestamptz not null,
        revision bigint not null
    )
    """,
    "create index ix_benefits_award_claim on award (claim)",
    "create index award_provisional on award (claim) where provisional",
    """
    create table award_rate (
        number bigint not null,
        sequence integer not null,
        since_month integer not null,
        until_month integer check (until_month >= since_month),
        amount_fen bigint not null check (amount_fen >= 0),
        kind smallint not null,
        industry smallint not null,
        pooling_area text not null,
        reason text not null,
        create_time timestamptz not null,
        primary key (number, sequence)
    )
    """,
    """
    create table suspension (
        number bigint not null,
        first_month integer not null,
        resume_month integer,
        reason text not null,
        create_time timestamptz not null,
        primary key (number, first_month)
    )
    """,
    "create table award_to_backfill (number bigint primary key)",
    """
    create table recovery (
        id text primary key,
        award text not null,
        claim text not null,
        beneficiary text not null,
        amount_fen bigint not null check (amount_fen <> 0),
        reason text not null,
        findings jsonb not null,
        create_time timestamptz not null
    )
    """,
    "create index ix_benefits_recovery_award on recovery (award)",
)
PAYMENTS = (
    # The key makes paying twice impossible; it contains no state.
    """
    create table payment (
        number bigint not null,
        kind smallint not null,
        month integer not null,
        run_month integer not null check (run_month >= month),
        amount_fen bigint not null check (amount_fen >= 0),
        withheld_fen bigint not null check (withheld_fen >= 0),
        pooling_area text not null,
        industry smallint not null,
        primary key (number, kind, month)
    )
    """,
    """
    create table payment_part (
        run_month integer not null,
        revision integer not null,
        pooling_area text not null,
        industry smallint not null,
        kind smallint not null,
        payment_count bigint not null check (payment_count > 0),
        sum_fen bigint not null,
        create_time timestamptz not null,
        primary key (run_month, revision, pooling_area, industry, kind)
    )
    """,
    """
    create table last_run (
        single boolean primary key default true check (single),
        month integer not null
    )
    """,
    "insert into last_run (month) values (0)",
)


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    for statement in (*CASES, *AWARDS, *PAYMENTS):
        op.execute(statement)
    for table in ("case_facts", "conclusion", "basic_pension"):
        allow(table, "SELECT", "INSERT", "UPDATE")
    allow(
        "award",
        "SELECT",
        "INSERT",
        "UPDATE (state, first_month, last_month, stop_month, pooling_area, industry, event_date,"
        " findings, provisional, revision)",
    )
    allow("award_rate", "SELECT", "INSERT", "UPDATE (until_month)")
    allow("suspension", "SELECT", "INSERT", "UPDATE (resume_month, reason)")
    allow("award_to_backfill", "SELECT", "INSERT", "DELETE")
    allow("last_run", "SELECT", "UPDATE (month)")
    append_only("recovery")
    append_only("payment_part")
    # The trigger fires once per statement, so a run of a million rows does not pay for it.
    append_only("payment")
