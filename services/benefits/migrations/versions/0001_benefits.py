"""Cases, awards and payment instructions."""

from alembic import op

from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    isolate,
    of_area,
    of_person,
)

revision = "benefits_0001"
down_revision = None
branch_labels = ("benefits",)
depends_on = None

# The states of a life event.
DEAD, MISSING = 1, 2
_EXPENSES = "1, 2, 3, 4, 5"
_PER_PERSON = "11, 12"
CASES = (
    """
    create table case_facts (
        claim text primary key,
        revision bigint not null,
        state smallint not null,
        worker text not null,
        accident text not null,
        pooling_area text not null,
        industry smallint not null,
        accident_date date,
        determine_date date,
        death_date date,
        survivors bytea not null,
        is_relapse boolean not null,
        law_version text not null default '',
        update_time timestamptz not null
    )
    """,
    "create index ix_benefits_case_facts_worker on case_facts (worker)",
    """
    create table merger (
        merged_claim text primary key,
        revision bigint not null,
        claim text not null check (claim <> merged_claim),
        accident text not null,
        merge_time timestamptz not null,
        reason text not null,
        create_time timestamptz not null
    )
    """,
    "create index ix_benefits_merger_claim on merger (claim)",
    # Facts about a worker's life: the latest counts, none is changed.
    f"""
    create table life_event (
        number bigint generated always as identity primary key,
        id text not null unique,
        claim text not null,
        worker text not null check (worker <> ''),
        state smallint not null,
        day date,
        cause smallint,
        hardship boolean not null,
        details bytea not null,
        document_hash bytea not null check (length(document_hash) = 32),
        record_date date not null,
        member text not null,
        create_time timestamptz not null,
        check ((day is null) = (state = {MISSING})),
        check (cause is null or state = {DEAD}),
        check (not hardship or state = {MISSING}),
        check (day <= record_date)
    )
    """,
    "create index ix_benefits_life_event_claim on life_event (claim)",
    "create index ix_benefits_life_event_worker on life_event (worker)",
    """
    create table conclusion (
        appraisal text primary key,
        revision bigint not null,
        claim text not null,
        level smallint not null,
        grade smallint not null,
        care smallint not null,
        conclude_date date,
        revoked boolean not null,
        update_time timestamptz not null,
        check (revoked or conclude_date is not null)
    )
    """,
    "create index ix_benefits_conclusion_claim on conclusion (claim)",
    """
    create table appraisal_end (
        appraisal text primary key,
        revision bigint not null,
        claim text not null,
        cause smallint,
        applicant smallint,
        end_date date,
        update_time timestamptz not null,
        check ((cause is null) = (applicant is null) and (cause is null) = (end_date is null))
    )
    """,
    "create index ix_benefits_appraisal_end_claim on appraisal_end (claim)",
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
        findings bytea not null,
        awaits text[] not null,
        adjusts text not null,
        create_time timestamptz not null,
        revision bigint not null,
        worker text not null,
        accident text not null,
        merged_into text not null check (merged_into <> id),
        reversed boolean not null
    )
    """,
    "create index ix_benefits_award_claim on award (claim)",
    "create index ix_benefits_award_worker on award (worker, accident)",
    # One accident is paid once: one set of awards per worker and accident.
    f"""
    create unique index award_of_accident on award (worker, accident, kind, beneficiary)
        where adjusts = '' and merged_into = '' and kind not in ({_EXPENSES})
    """,
    # A person dies once.
    f"""
    create unique index award_of_person on award (worker, kind)
        where adjusts = '' and merged_into = '' and kind in ({_PER_PERSON})
    """,
    # The assumed values of the law on which an award rests, each set once; 0 is the empty set.
    """
    create table law_basis (
        id integer generated always as identity primary key,
        digest bytea not null unique check (length(digest) = 32)
    )
    """,
    """
    insert into law_basis (id, digest) overriding system value values (0, sha256(''))
    """,
    """
    create table law_basis_value (
        basis integer not null references law_basis (id),
        digest bytea not null check (length(digest) = 32),
        parameter text not null,
        since date not null,
        jurisdiction text not null,
        value text not null,
        source text not null,
        primary key (basis, digest)
    )
    """,
    "create index award_provisional on award (id) where cardinality(awaits) > 0",
    """
    create table true_up (
        number bigint generated always as identity primary key,
        id text not null unique,
        award text not null references award (id),
        claim text not null,
        kind smallint not null,
        pooling_area text not null,
        month integer not null,
        before_fen bigint not null,
        after_fen bigint not null,
        difference_fen bigint not null,
        figures jsonb not null check (figures <> '[]'),
        final boolean not null,
        member text not null,
        create_time timestamptz not null
    )
    """,
    "create index ix_benefits_true_up_award on true_up (award)",
    "create index ix_benefits_true_up_claim on true_up (claim)",
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
        basis integer not null references law_basis (id),
        create_time timestamptz not null,
        primary key (number, sequence)
    )
    """,
    """
    create table suspension (
        number bigint not null,
        first_month integer not null,
        resume_month integer,
        reason bytea not null,
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
        reason bytea not null,
        findings bytea not null,
        create_time timestamptz not null
    )
    """,
    "create index ix_benefits_recovery_award on recovery (award)",
)
BILLS = (
    # Equality of texts in an exclusion constraint; the extension is trusted and part of PostgreSQL.
    "create extension if not exists btree_gist schema public",
    """
    create table bill (
        award text primary key,
        institution bytea not null,
        bill_number bytea not null,
        -- A keyed hash of institution and number in their common spelling.
        bill_key bytea check (length(bill_key) = 32),
        document_hash bytea check (length(document_hash) = 32),
        reversed boolean not null default false,
        check (bill_key is not null or document_hash is not null)
    )
    """,
    # A bill whose award was reversed can be granted again.
    "create unique index bill_of_key on bill (bill_key) where not reversed",
    "create unique index bill_of_document on bill (document_hash) where not reversed",
    """
    create table hospital_stay (
        award text not null,
        worker text not null,
        days daterange not null check (not isempty(days)),
        reversed boolean not null default false,
        constraint one_day_once exclude using gist (worker with =, days with &&)
            where (not reversed)
    )
    """,
    "create index ix_benefits_hospital_stay_award on hospital_stay (award)",
    # An expense that was granted by mistake, reversed once by two persons.
    """
    create table expense_reversal (
        award text primary key references award (id),
        code smallint not null check (code > 0),
        reason bytea not null,
        member text not null,
        create_time timestamptz not null
    )
    """,
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
        basis integer not null,
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
        digest bigint not null,
        bases integer[] not null,
        create_time timestamptz not null,
        primary key (run_month, revision, pooling_area, industry, kind)
    )
    """,
    """
    create table last_run (
        single boolean primary key default true check (single),
        month integer not null,
        law_version text not null default '',
        law_day date
    )
    """,
    "insert into last_run (month) values (0)",
)


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    for statement in (*CASES, *AWARDS, *BILLS, *PAYMENTS):
        op.execute(statement)
    for table in ("case_facts", "conclusion", "appraisal_end", "basic_pension"):
        allow(table, "SELECT", "INSERT", "UPDATE")
    allow(
        "award",
        "SELECT",
        "INSERT",
        "UPDATE (state, first_month, last_month, stop_month, pooling_area, industry, event_date,"
        " findings, awaits, revision, worker, accident, merged_into,"
        " reversed)",
    )
    allow("award_rate", "SELECT", "INSERT", "UPDATE (until_month, basis)")
    allow("suspension", "SELECT", "INSERT", "UPDATE (resume_month, reason)")
    allow("award_to_backfill", "SELECT", "INSERT", "DELETE")
    allow("last_run", "SELECT", "UPDATE (month, law_version, law_day)")
    # A merger is undone by a later determination of the claim that ended.
    allow("merger", "SELECT", "INSERT", "UPDATE", "DELETE")
    for table in ("bill", "hospital_stay"):
        allow(table, "SELECT", "INSERT", "UPDATE (reversed)")
    for table in (
        "expense_reversal",
        "recovery",
        "life_event",
        "true_up",
        "law_basis",
        "law_basis_value",
    ):
        append_only(table)
    append_only("payment_part")
    # The trigger fires once per statement, so a run of a million rows does not pay for it.
    append_only("payment")
    for table in ("case_facts", "award"):
        isolate(table, of_person(), of_area())
    isolate(
        "life_event",
        of_person(),
        "exists (select from case_facts where case_facts.claim = life_event.claim)",
    )
    for table in ("merger", "conclusion", "appraisal_end", "basic_pension"):
        isolate(table, f"exists (select from case_facts where case_facts.claim = {table}.claim)")
    for table in ("award_rate", "suspension", "award_to_backfill", "payment"):
        isolate(table, f"exists (select from award where award.number = {table}.number)")
    for table in ("recovery", "bill", "hospital_stay", "true_up"):
        isolate(table, f"exists (select from award where award.id = {table}.award)")
