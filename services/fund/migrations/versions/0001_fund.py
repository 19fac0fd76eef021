"""The ledger, its totals, the months and their settlement, disbursements."""

from alembic import op

from services.runtime.storage.migrate import allow, append_only, create_runtime_tables

revision = "fund_0001"
down_revision = None
branch_labels = ("fund",)
depends_on = None

# The states of a month.
OPEN, PROPOSED, APPROVED, CLOSED = 1, 2, 3, 4
ACCOUNTS = (1, 9)
INDUSTRIES = (0, 3)  # 0 is none

TABLES = (
    # One row. Adding a month changes it and every step of a settlement locks it, so that no month
    # appears before one that is being closed.
    """
    create table books (
        only_row boolean primary key default true check (only_row),
        closed_through date,
        opened_count bigint not null default 0
    )
    """,
    "insert into books default values",
    f"""
    create table settlement_period (
        month date primary key check (extract(day from month) = 1),
        state smallint not null default {OPEN} check (state between {OPEN} and {CLOSED}),
        figures text collate "C",
        hash bytea,
        findings jsonb,
        proposer text collate "C",
        proposer_member text,
        propose_time timestamptz,
        approver text collate "C",
        approver_member text,
        approved_hash bytea,
        approve_time timestamptz,
        close_time timestamptz,
        transaction_count bigint not null default 0,
        revision bigint not null default 1,
        constraint maker_is_not_checker check (
            approver <> proposer and approver_member <> proposer_member
        ),
        constraint persons_of_steps check (
            (proposer_member is null) = (proposer is null)
            and (approver_member is null) = (approver is null)
        ),
        constraint approved_as_proposed check (approved_hash = hash),
        constraint figures_are_frozen check (
            (state = {OPEN}) = (figures is null)
            and (figures is null) = (hash is null)
            and (figures is null) = (findings is null)
            and (figures is null) = (proposer is null)
            and (figures is null) = (propose_time is null)
        ),
        constraint approved_before_closed check (
            (state in ({APPROVED}, {CLOSED})) = (approver is not null)
            and (approver is null) = (approved_hash is null)
            and (approver is null) = (approve_time is null)
            and (state = {CLOSED}) = (close_time is not null)
        ),
        constraint hash_of_figures check (hash = sha256(convert_to(figures, 'UTF8')))
    )
    """,
    # Every step with its actor, withdrawn ones included.
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
    f"""
    create table posting (
        transaction_id text collate "C" not null,
        line smallint not null check (line > 0),
        pooling_area text collate "C" not null,
        month date not null,
        account smallint not null check (account between {ACCOUNTS[0]} and {ACCOUNTS[1]}),
        industry smallint not null check (industry between {INDUSTRIES[0]} and {INDUSTRIES[1]}),
        amount_fen bigint not null,
        quantity bigint not null,
        primary key (transaction_id, line),
        foreign key (transaction_id, pooling_area, month)
            references ledger_transaction (transaction_id, pooling_area, month)
    )
    """,
    # Sums of postings, maintained by a trigger alone. A close reads these.
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
    # The months that producers have ended. The fingerprint is set when the month is proposed.
    """
    create table producer_month (
        producer text collate "C" not null,
        month date not null check (extract(day from month) = 1),
        epoch text collate "C" not null,
        pub_seq bigint not null check (pub_seq > 0),
        totals jsonb not null,
        fingerprint bytea,
        create_time timestamptz not null,
        primary key (producer, month),
        unique (producer, epoch, pub_seq)
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
        bank_reference text collate "C" not null,
        -- How many disbursements with this reference were reversed before.
        attempt integer not null check (attempt >= 0),
        create_time timestamptz not null,
        unique (bank_reference, attempt)
    )
    """,
    # A disbursement that was recorded by mistake, reversed once by two persons.
    """
    create table disbursement_reversal (
        disbursement_id text collate "C" primary key references disbursement,
        code smallint not null check (code > 0),
        reason text not null check (reason <> ''),
        member text not null,
        create_time timestamptz not null
    )
    """,
)

# A posting's part of the digest: the first 60 bits of its SHA-256, so that sums stay exact. The
# digest of a month is a sum and so does not depend on the order of arrival.
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

# Changing the month's row, rather than only locking it, makes PostgreSQL refuse a settlement that
# took its snapshot before this transaction: with a lock alone it would continue with old totals.
REFUSE_CLOSED = f"""
    create function refuse_closed_month() returns trigger language plpgsql as $$
    declare
        month_count bigint;
        open_count bigint;
    begin
        select count(distinct month) into month_count from added;
        with per_month as (
            select month, count(*) as number, bool_and(kind = 'equalised') as by_close
            from added group by month
        )
        update settlement_period as period
            set transaction_count = period.transaction_count + per_month.number
            from per_month
            where period.month = per_month.month
            and period.state = case when per_month.by_close then {APPROVED} else {OPEN} end;
        get diagnostics open_count = row_count;
        if open_count <> month_count then
            raise exception 'the month takes no postings' using errcode = 'check_violation';
        end if;
        return null;
    end
    $$
"""

# Runs as the owner: the service itself may not write totals.
ADD_TOTALS = f"""
    create function add_totals() returns trigger language plpgsql
        security definer set search_path = {{schema}}, pg_temp as $$
    begin
        if exists (
            select from settlement_period as period join added using (month)
            where period.state not in ({OPEN}, {APPROVED})
        ) then
            raise exception 'the month takes no postings' using errcode = 'check_violation';
        end if;
        insert into period_total as stored
            select month, pooling_area, account, industry, sum(amount_fen), sum(quantity),
                count(*), sum(digest_of(
                    transaction_id, line, account, industry, amount_fen, quantity))
            from added
            group by month, pooling_area, account, industry
            order by month, pooling_area, account, industry
        on conflict (month, pooling_area, account, industry) do update set
            amount_fen = stored.amount_fen + excluded.amount_fen,
            quantity = stored.quantity + excluded.quantity,
            posting_count = stored.posting_count + excluded.posting_count,
            digest = stored.digest + excluded.digest;
        return null;
    end
    $$
"""

# At commit the postings sum to zero and their number is that of the transaction, so that none can
# be added later.
REFUSE_UNBALANCED = """
    create function refuse_unbalanced() returns trigger language plpgsql as $$
    declare
        line_count bigint;
        line_sum numeric;
        expected_count bigint;
    begin
        select count(*), coalesce(sum(amount_fen), 0) into line_count, line_sum
            from posting where transaction_id = new.transaction_id;
        select posting_count into expected_count
            from ledger_transaction where transaction_id = new.transaction_id;
        if line_sum <> 0 or line_count <> expected_count then
            raise exception 'transaction % has % of % postings with sum %',
                new.transaction_id, line_count, expected_count, line_sum
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
        f" for each row when (old.state = {CLOSED}) execute function refuse_reopening()"
    ),
    (
        "create trigger refuse_deletion before delete or truncate on settlement_period"
        " for each statement execute function refuse_reopening()"
    ),
)

STEP_COLUMNS = (
    "state, figures, hash, findings, proposer, proposer_member, propose_time, approver,"
    " approver_member, approved_hash,"
    " approve_time, close_time, transaction_count, revision"
)


def upgrade() -> None:
    """Create the tables of store/tables.py, and the triggers that guard them."""
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
    for table in (
        "settlement_step",
        "ledger_transaction",
        "posting",
        "disbursement",
        "disbursement_reversal",
    ):
        append_only(table)
    allow("books", "SELECT", "UPDATE (closed_through, opened_count)")
    allow("settlement_period", "SELECT", "INSERT", f"UPDATE ({STEP_COLUMNS})")
    allow("period_total", "SELECT")
    allow("producer_month", "SELECT", "INSERT", "UPDATE (fingerprint)")
    allow("payable", "SELECT", "INSERT", "UPDATE (open_fen)")
