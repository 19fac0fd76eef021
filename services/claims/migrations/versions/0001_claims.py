"""Accident reports, accidents, claims, their evidence, determinations, services and stays."""

from alembic import op

from services.claims.domain.claim import ClaimState
from services.claims.domain.confirmation import Result
from services.kernel.scope import AREAS, PLATFORM, SEES_EVERYTHING
from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    isolate,
    of_area,
    of_person,
    of_platform,
)

revision = "claims_0001"
down_revision = None
branch_labels = ("claims",)
depends_on = None

STATES = ", ".join(str(state.value) for state in ClaimState)
PENDING, MERGED = ClaimState.PENDING.value, ClaimState.MERGED.value
RESULTS = ", ".join(str(result.value) for result in Result)

TABLES = (
    """
    create table accident_report (
        report_id text primary key,
        worker bigint not null,
        accident_time timestamptz not null,
        place_of_injury text not null,
        description bytea not null,
        platforms text[] not null,
        reported_late boolean not null,
        create_time timestamptz not null
    )
    """,
    f"""
    create table claim (
        claim_id text primary key,
        revision bigint not null check (revision > 0),
        state smallint not null check (state in ({STATES})),
        claimant_kind smallint not null,
        worker bigint not null,
        accident_time timestamptz not null,
        place_of_injury text not null,
        situation smallint not null,
        death_date date,
        survivors bytea not null,
        accident_report text not null,
        description bytea not null,
        filed_by text not null,
        platforms text[] not null,
        enrolments jsonb not null,
        pooling_area text not null,
        industry smallint,
        filed_late boolean not null,
        requested_evidence bytea not null,
        clock jsonb,
        reply jsonb,
        due_date date not null,
        create_time timestamptz not null,
        accident_id text not null,
        merged_into text not null,
        -- The person who filed it, and those who accepted or decided it or signed the decision.
        filer text not null,
        filer_account text not null,
        officials text[] not null default '{{}}',
        check (filer = '' or filer <> all(officials)),
        check ((accident_id = '') = (state in ({PENDING}, {MERGED}))),
        check ((merged_into = '') = (state <> {MERGED}))
    )
    """,
    "create index claim_queue on claim (due_date, claim_id)",
    "create index claim_worker on claim (worker)",
    "create index claim_part on claim (merged_into) where merged_into <> ''",
    "create unique index claim_accident on claim (accident_id) where accident_id <> ''",
    """
    create table accident (
        accident_id text primary key,
        worker bigint not null,
        claim_id text not null unique references claim,
        accident_time timestamptz not null,
        place_of_injury text not null,
        time_window tstzrange not null check (time_window @> accident_time),
        number integer not null check (number >= 0),
        create_time timestamptz not null,
        merged_into text not null,
        exclude using gist (worker with =, number with =, time_window with &&)
            where (merged_into = '')
    )
    """,
    "create index accident_worker on accident (worker)",
    "create index accident_part on accident (merged_into) where merged_into <> ''",
    "create index accident_by_time on accident (accident_time, accident_id)",
    """
    create table filing_answer (
        claim_id text not null references claim,
        number integer not null check (number > 0),
        answer smallint not null,
        other_claim text not null,
        code smallint not null,
        reason bytea not null,
        answered_by text not null,
        create_time timestamptz not null,
        primary key (claim_id, number)
    )
    """,
    """
    create table contest (
        claim_id text not null references claim,
        number integer not null check (number > 0),
        answer_count integer not null check (answer_count >= 0),
        reason bytea not null,
        contested_by text not null,
        create_time timestamptz not null,
        primary key (claim_id, number)
    )
    """,
    """
    create table claim_order (
        claim_id text not null references claim,
        platform text not null,
        order_no text not null,
        revision integer not null,
        state smallint not null,
        accept_time timestamptz not null,
        pick_up_time timestamptz,
        end_time timestamptz,
        pooling_area text not null,
        industry smallint not null,
        late boolean not null,
        take_in_time timestamptz not null,
        receive_time timestamptz not null,
        is_supplementary boolean not null,
        other_worker boolean not null,
        primary key (claim_id, platform, order_no, revision)
    )
    """,
    """
    create table evidence (
        claim_id text not null references claim,
        document_id text not null,
        kind smallint not null,
        title bytea not null,
        content_hash bytea not null check (length(content_hash) = 32),
        added_by text not null,
        platform text not null,
        create_time timestamptz not null,
        primary key (claim_id, document_id)
    )
    """,
    f"""
    create table determination (
        claim_id text not null references claim,
        number integer not null check (number > 0),
        claim_revision bigint not null,
        result smallint not null check (result in ({RESULTS})),
        findings bytea not null,
        judgements bytea not null,
        platform text not null,
        order_no text not null,
        adjudicator text not null,
        create_time timestamptz not null,
        primary key (claim_id, number),
        check ((result = {Result.CONFIRMED.value}) = (platform <> '')),
        check (platform <> '' or order_no = '')
    )
    """,
    """
    create table revocation (
        claim_id text not null,
        number integer not null,
        reason bytea not null,
        revoked_by text not null,
        revoke_time timestamptz not null,
        primary key (claim_id, number),
        foreign key (claim_id, number) references determination
    )
    """,
    """
    create table service (
        claim_id text not null,
        number integer not null,
        service_date date not null,
        recorded_by text not null,
        create_time timestamptz not null,
        primary key (claim_id, number),
        foreign key (claim_id, number) references determination
    )
    """,
    """
    create table stay (
        claim_id text not null references claim,
        claim_revision bigint not null,
        reason bytea not null,
        stayed_by text not null,
        create_time timestamptz not null,
        primary key (claim_id, claim_revision)
    )
    """,
)

OF_A_CLAIM = (
    "accident",
    "claim_order",
    "evidence",
    "determination",
    "revocation",
    "service",
    "stay",
    "filing_answer",
    "contest",
)
CHANGING = (
    "platforms",
    "revision",
    "state",
    "death_date",
    "survivors",
    "pooling_area",
    "industry",
    "requested_evidence",
    "clock",
    "reply",
    "due_date",
    "accident_id",
    "merged_into",
    "officials",
)


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    # Trusted since PostgreSQL 13: the owner of the database may create it.
    op.execute("create extension if not exists btree_gist")
    for statement in TABLES:
        op.execute(statement)
    for table in (
        "accident_report",
        "claim_order",
        "evidence",
        "determination",
        "revocation",
        "service",
        "stay",
        "filing_answer",
        "contest",
    ):
        append_only(table)
    allow("accident", "SELECT", "INSERT", "UPDATE (number, merged_into)")
    allow("claim", "SELECT", "INSERT", f"UPDATE ({', '.join(CHANGING)})")
    # A platform sees the claims that it filed and those whose evidence has an order of it.
    own = f"{PLATFORM} = any(platforms)"
    isolate("claim", own, of_person(is_number=True), of_area())
    isolate("accident_report", own, of_person(is_number=True), f"{AREAS} is not null")
    for table in OF_A_CLAIM:
        isolate(table, f"exists (select from claim where claim.claim_id = {table}.claim_id)")
    # Of a claim that it sees, a platform sees its own orders and documents alone. The claim takes
    # in the orders of the others too.
    own_alone = f"{SEES_EVERYTHING} or {PLATFORM} is null or {of_platform()}"
    for table in ("claim_order", "evidence"):
        op.execute(
            f"create policy own_alone on {table} as restrictive"
            f" using ({own_alone}) with check (true)"
        )
