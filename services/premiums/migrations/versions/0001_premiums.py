"""Tallies, terms, bills with their lines, receipts with their parts, declarations."""

from alembic import op

from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    isolate,
    of_platform,
)

revision = "premiums_0001"
down_revision = None
branch_labels = ("premiums",)
depends_on = None

TABLES = (
    """
    create table platform (
        platform text primary key,
        revision bigint not null,
        industries smallint[] not null
    )
    """,
    """
    create table accrual (
        order_batch text not null,
        pooling_area text not null,
        industry smallint not null,
        service_date date not null,
        platform text not null,
        order_count bigint not null,
        bill_month date not null,
        create_time timestamptz not null,
        primary key (order_batch, pooling_area, industry, service_date)
    )
    """,
    """
    create index ix_premiums_accrual_bill_month on accrual
        (bill_month, platform, pooling_area, industry, service_date) include (order_count)
    """,
    "create index ix_premiums_accrual_platform on accrual (platform, service_date)",
    """
    create table order_gap (
        platform text not null,
        service_date date not null,
        revision bigint not null,
        gaps jsonb not null,
        primary key (platform, service_date)
    )
    """,
    """
    create table term (
        seq bigint generated always as identity primary key,
        id text not null unique,
        platform text not null,
        kind smallint not null,
        since_date date not null,
        industry smallint,
        value numeric not null check (value > 0),
        reason text not null,
        findings jsonb not null,
        create_time timestamptz not null
    )
    """,
    "create index ix_premiums_term_platform on term (platform, since_date, seq)",
    # The newest assessed month; its row lock keeps accruals and assessments apart.
    """
    create table assessment_head (
        single_row boolean primary key default true check (single_row),
        latest_month date
    )
    """,
    "insert into assessment_head (latest_month) values (null)",
    """
    create table assessment (
        month date primary key,
        bill_count integer not null,
        line_count integer not null,
        order_count bigint not null,
        premium_fen bigint not null,
        due_date date not null,
        gap_day_count integer not null,
        create_time timestamptz not null
    )
    """,
    """
    create table bill (
        platform text not null,
        month date not null,
        premium_fen bigint not null,
        due_date date not null,
        state smallint not null,
        revision bigint not null check (revision > 0),
        create_time timestamptz not null,
        primary key (platform, month)
    )
    """,
    "create index ix_premiums_bill_month on bill (month, platform)",
    """
    create table line (
        id bigint generated always as identity primary key,
        platform text not null,
        month date not null,
        pooling_area text not null,
        industry smallint not null,
        service_month date not null,
        kind smallint not null,
        order_count bigint not null,
        base numeric not null,
        band numeric not null,
        markup numeric not null,
        premium_fen bigint not null,
        due_date date not null,
        findings jsonb not null,
        unique (platform, month, pooling_area, industry, service_month, kind, base, band, markup)
    )
    """,
    "create index ix_premiums_line_month on line (month)",
    """
    create table receipt (
        id text primary key,
        platform text not null,
        month date not null,
        receipt_date date not null,
        amount_fen bigint not null,
        premium_fen bigint not null,
        surcharge_fen bigint not null,
        credit_fen bigint not null,
        account text,
        account_key text check (account_key <> ''),
        bank_reference text,
        number_key text check (number_key <> ''),
        occurrence integer check (occurrence > 0),
        findings jsonb not null,
        create_time timestamptz not null,
        -- How many receipts of this payment were reversed before.
        attempt integer not null default 0 check (attempt >= 0),
        -- The receipt that this one reverses, its mirror; each is reversed once.
        reverses text unique references receipt,
        reversal_code smallint check (reversal_code > 0),
        reversal_reason text check (reversal_reason <> ''),
        seq bigint generated always as identity,
        check (amount_fen = premium_fen + surcharge_fen + credit_fen),
        check (num_nulls(account, account_key, bank_reference, number_key, occurrence)
            = case when amount_fen <= 0 then 5 else 0 end),
        check (num_nulls(reverses, reversal_code, reversal_reason) in (0, 3)),
        check (amount_fen = 0 or (amount_fen < 0) = (reverses is not null)),
        check (surcharge_fen = 0 or (surcharge_fen < 0) = (reverses is not null))
    )
    """,
    # One payment at the bank is one receipt, in whatever spelling.
    """
    create unique index receipt_of_bank on receipt
        (account_key, receipt_date, number_key, amount_fen, occurrence, attempt)
    """,
    "create index ix_premiums_receipt_platform on receipt (platform, month)",
    "create index ix_premiums_receipt_receipt_date on receipt (receipt_date, id)",
    """
    create table receipt_part (
        receipt text not null,
        pooling_area text not null,
        platform text not null,
        month date not null,
        premium_fen bigint not null,
        surcharge_fen bigint not null,
        credit_fen bigint not null,
        primary key (receipt, pooling_area)
    )
    """,
    "create index ix_premiums_receipt_part_platform on receipt_part (platform, month)",
    """
    create table declaration (
        platform text not null,
        month date not null,
        revision bigint not null check (revision > 0),
        create_time timestamptz not null,
        primary key (platform, month, revision)
    )
    """,
    """
    create table declaration_row (
        platform text not null,
        month date not null,
        revision bigint not null,
        pooling_area text not null,
        industry smallint not null,
        order_count bigint not null check (order_count >= 0),
        primary key (platform, month, revision, pooling_area, industry)
    )
    """,
)
APPEND_ONLY = (
    "accrual",
    "term",
    "assessment",
    "line",
    "receipt",
    "receipt_part",
    "declaration",
    "declaration_row",
)
OF_A_PLATFORM = (
    "platform",
    "accrual",
    "order_gap",
    "term",
    "bill",
    "line",
    "receipt",
    "receipt_part",
    "declaration",
    "declaration_row",
)


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    for statement in TABLES:
        op.execute(statement)
    for table in APPEND_ONLY:
        append_only(table)
    allow("platform", "SELECT", "INSERT", "UPDATE (revision, industries)")
    allow("order_gap", "SELECT", "INSERT", "UPDATE (revision, gaps)")
    allow("assessment_head", "SELECT", "UPDATE (latest_month)")
    # The premium of a bill never changes; only its state does.
    allow("bill", "SELECT", "INSERT", "UPDATE (state, revision)")
    for table in OF_A_PLATFORM:
        isolate(table, of_platform())
