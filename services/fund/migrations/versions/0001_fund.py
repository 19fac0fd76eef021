"""The ledger, its totals, the months and their settlement, disbursements."""

from alembic import op

from services.runtime.storage.migrate import allow, append_only, create_runtime_tables

revision = "fund_0001"
down_revision = None
branch_labels = ("fund",)
depends_on = None

TABLES = (
    # One row. Opening a month changes it and every step of a settlement locks it, so that no month
    # appears before one that is being closed.
    """
    create table books (
        only_row boolean primary key default true check (only_row),
        closed_through date,
        opened_count bigint not null default 0
    )
    """,
    "insert into books default values",
    """
    create table settlement_period (
        month date primary key check (extract(day from month) = 1),
        state smallint not null default 1 check (state between 1 and 4),
        figures text collate "C",
        hash bytea,
        findings jsonb,
        proposer text collate "C",
        propose_time timestamptz,
        approver text collate "C",
        approved_hash bytea,
        approve_time timestamptz,
        close_time timestamptz,
        transaction_count bigint not null default 0,
        revision bigint not null default 1,
        constraint maker_is_not_checker check (approver <> proposer),
        constraint approved_as_proposed check (approved_hash = hash),
        constraint figures_are_frozen check (
            (state = 1) = (figures is null)
            and (figures is null) = (hash is null)
            and (figures is null) = (findings is null)
            and (figures is null) = (proposer is null)
            and (figures is null) = (propose_time is null)
        ),
        constraint approved_before_closed check (
            (state in (3, 4)) = (approver is not null)
            and (approver is null) = (approved_hash is null)
            and (approver is null) = (approve_time is null)
            and (state = 4) = (close_time is not null)
        ),
        constraint hash_of_figures check (hash = sha256(convert_to(figures, 'UTF8')))
    )
    """,
    # Who did what to a month, also what was withdrawn later.
    """
    create table settlement_step (
        month date not null references settlement_period,
        revision bigint not null,
        event text collate "C" not null,
        actor text collate "C" not null,
        hash bytea,
        reason text not null default '',
        create_time timestamptz not null,
        primary key (month, revision)
    )
    """,
    """
    create table ledger_transaction (
        transaction_id text collate "C" primary key,
        seq bigint generated always as identity unique,
        kind text collate "C" not null,
        source text collate "C" not null,
        subject text collate "C" not null,
        pooling_area text collate "C" not null,
        month date not null references settlement_period,
        accounting_date date not null,
        text text not null,
        posting_count smallint not null check (posting_count >= 2),
        create_time timestamptz not null,
        unique (source, pooling_area, kind),
        unique (transaction_id, pooling_area, month)
    )
    """,
    "create index ix_fund_ledger_transaction_month_seq on ledger_transaction (month, seq)",
    (
        "create index ix_fund_ledger_transaction_kind_accounting_date"
        " on ledger_transaction (kind, accounting_date)"
    ),
    """
    create table posting (
        transaction_id text collate "C" not null,
        line smallint not null check (line > 0),
        pooling_area text collate "C" not null,
        month date not null,
        account smallint not null check (account between 1 and 9),
        industry smallint not null check (industry between 0 and 3),
        amount_fen bigint not null,
        quantity bigint not null,
        primary key (transaction_id, line),
        foreign key (transaction_id, pooling_area, month)
            references ledger_transaction (transaction_id, pooling_area, month)
    )
    """,
    # Sums of postings, kept by a trigger and writable by nothing else. A close reads these.
    """
    create table period_total (
        month date not null,
        pooling_area text collate "C" not null,
        account smallint not null,
        industry smallint not null,
        amount_fen bigint not null,
        quantity bigint not null,
        posting_count bigint not null,
        digest numeric(40) not null,
        primary key (month, pooling_area, account, industry)
    )
    """,
    """
    create table payable (
        payment_run text collate "C" not null,
        pooling_area text collate "C" not null,
        open_fen bigint not null check (open_fen >= 0),
        primary key (payment_run, pooling_area)
    )
    """,
    """
    create table disbursement (
        disbursement_id text collate "C" primary key,
        payment_run text collate "C" not null,
        pooling_area text collate "C" not null,
        disburse_date date not null,
        amount_fen bigint not null check (amount_fen > 0),
        bank_reference text collate "C" not null unique,
        create_time timestamptz not null
    )
    """,
)

# A posting's part of the digest: the first 60 bits of its SHA-256, so that sums stay exact. The
# digest of a month is a sum, so that it does not depend on the order of arrival.
DIGEST = """
    create function digest_of(
        transaction_id text, line smallint, account smallint, industry smallint,
        amount_fen bigint, quantity bigint
    ) returns bigint language sql immutable parallel safe as $$
        select ('x' || substr(encode(sha256(convert_to(
            concat_ws('|', transaction_id, line, account, industry, amount_fen, quantity), 'UTF8'
        )), 'hex'), 1, 15))::bit(60)::bigint
    $$
"""

# Changing the month's row, rather than locking it only, makes PostgreSQL refuse a settlement that
# took its snapshot before this transaction: a lock alone would let it go on with old totals.
REFUSE_CLOSED = """
    create function refuse_closed_month() returns trigger language plpgsql as $$
    declare
        wanted bigint;
        counted bigint;
    begin
        select count(distinct month) into wanted from added;
        with per_month as (
            select month, count(*) as number, bool_and(kind = 'equalised') as by_close
            from added group by month
        )
        update settlement_period as period
            set transaction_count = period.transaction_count + per_month.number
            from per_month
            where period.month = per_month.month
            and period.state = case when per_month.by_close then 3 else 1 end;
        get diagnostics counted = row_count;
        if counted <> wanted then
            raise exception 'the month takes no postings' using errcode = 'check_violation';
        end if;
        return null;
    end
    $$
"""

# Runs as the owner: the service itself may not write totals.
ADD_TOTALS = """
    create function add_totals() returns trigger language plpgsql
        security definer set search_path = {schema}, pg_temp as $$
    begin
        if exists (
            select from settlement_period as period join added using (month)
            where period.state not in (1, 3)
        ) then
            raise exception 'the month takes no postings' using errcode = 'check_violation';
        end if;
        insert into period_total as held
            select month, pooling_area, account, industry, sum(amount_fen), sum(quantity),
                count(*), sum(digest_of(
                    transaction_id, line, account, industry, amount_fen, quantity))
            from added
            group by month, pooling_area, account, industry
            order by month, pooling_area, account, industry
        on conflict (month, pooling_area, account, industry) do update set
            amount_fen = held.amount_fen + excluded.amount_fen,
            quantity = held.quantity + excluded.quantity,
            posting_count = held.posting_count + excluded.posting_count,
            digest = held.digest + excluded.digest;
        return null;
    end
    $$
"""

# At commit: the postings sum to zero and are as many as the transaction says, so that none can be
# added to it later.
REFUSE_UNBALANCED = """
    create function refuse_unbalanced() returns trigger language plpgsql as $$
    declare
        found_count bigint;
        found_sum numeric;
        wanted bigint;
    begin
        select count(*), coalesce(sum(amount_fen), 0) into found_count, found_sum
            from posting where transaction_id = new.transaction_id;
        select posting_count into wanted
            from ledger_transaction where transaction_id = new.transaction_id;
        if found_sum <> 0 or found_count <> wanted then
            raise exception 'transaction % has % of % postings with sum %',
                new.transaction_id, found_count, wanted, found_sum
                using errcode = 'check_violation';
        end if;
        return null;
    end
    $$
"""

REFUSE_REOPENING = """
    create function refuse_reopening() returns trigger language plpgsql as $$
    begin
        raise exception 'a closed month does not change' using errcode = 'restrict_violation';
    end
    $$
"""

TRIGGERS = (
    (
        "create trigger refuse_closed_month after insert on ledger_transaction"
        " referencing new table as added for each statement execute function refuse_closed_month()"
    ),
    (
        "create trigger add_totals after insert on posting"
        " referencing new table as added for each statement execute function add_totals()"
    ),
    (
        "create constraint trigger refuse_unbalanced after insert on ledger_transaction"
        " deferrable initially deferred for each row execute function refuse_unbalanced()"
    ),
    (
        "create constraint trigger refuse_unbalanced after insert on posting"
        " deferrable initially deferred for each row execute function refuse_unbalanced()"
    ),
    (
        "create trigger refuse_reopening before update on settlement_period"
        " for each row when (old.state = 4) execute function refuse_reopening()"
    ),
    (
        "create trigger refuse_deletion before delete or truncate on settlement_period"
        " for each statement execute function refuse_reopening()"
    ),
)

STEP_COLUMNS = (
    "state, figures, hash, findings, proposer, propose_time, approver, approved_hash,"
    " approve_time, close_time, transaction_count, revision"
)


def upgrade() -> None:
    """Create the tables of store.py, and the triggers that guard them."""
    create_runtime_tables()
    schema = op.get_bind().exec_driver_sql("select current_schema()").scalar_one()
    for statement in (
        *TABLES,
        DIGEST,
        REFUSE_CLOSED,
        ADD_TOTALS.format(schema=schema),
        REFUSE_UNBALANCED,
        REFUSE_REOPENING,
        *TRIGGERS,
    ):
        op.execute(statement)
    for table in ("settlement_step", "ledger_transaction", "posting", "disbursement"):
        append_only(table)
    allow("books", "SELECT", "UPDATE (closed_through, opened_count)")
    allow("settlement_period", "SELECT", "INSERT", f"UPDATE ({STEP_COLUMNS})")
    allow("period_total", "SELECT")
    allow("payable", "SELECT", "INSERT", "UPDATE (open_fen)")
