"""Accident reports, claims, their evidence, determinations, services and stays."""

from alembic import op

from services.claims.domain.claim import ClaimState
from services.claims.domain.confirmation import Result
from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    enable_platform_isolation,
)

revision = "claims_0001"
down_revision = None
branch_labels = ("claims",)
depends_on = None

PLATFORM = "current_setting('oip.platform', true)"
STATES = ", ".join(str(state.value) for state in ClaimState)
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
        unique (worker, accident_time)
    )
    """,
    "create index claim_queue on claim (due_date, claim_id)",
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
        findings jsonb not null,
        judgements bytea not null,
        charges jsonb not null,
        adjudicator text not null,
        create_time timestamptz not null,
        primary key (claim_id, number)
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

CHANGING = (
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
)


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
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
    ):
        append_only(table)
    allow("claim", "SELECT", "INSERT", f"UPDATE ({', '.join(CHANGING)})")
    for table in ("accident_report", "claim"):
        _isolate_shared(table)
    for table in ("evidence", "determination", "revocation", "service", "stay"):
        _isolate_by_claim(table)
    _isolate_orders()


def _isolate_shared(table: str) -> None:
    """Each platform that a row names sees it."""
    condition = f"{PLATFORM} = '*' or {PLATFORM} = any(platforms)"
    _policy(table, f"using ({condition}) with check ({condition})")


def _isolate_by_claim(table: str) -> None:
    """Platforms that see a claim see what belongs to it."""
    condition = f"exists (select from claim where claim.claim_id = {table}.claim_id)"
    _policy(table, f"using ({condition}) with check ({condition})")


def _isolate_orders() -> None:
    """A platform reads its own orders only, but its claim takes in those of others too."""
    enable_platform_isolation("claim_order")
    op.execute("create policy evidence on claim_order for insert with check (true)")


def _policy(table: str, rule: str) -> None:
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy platform on {table} {rule}")
