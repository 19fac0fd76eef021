"""Order records, their batches, the log over them, tallies, totals; two roles."""

import sqlalchemy as sa
from alembic import op

from services.kernel.scope import AREAS, PERSON
from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    forbid_change,
    isolate,
    of_area,
    of_person,
    of_platform,
)

revision = "orders_0001"
down_revision = None
branch_labels = ("orders",)
depends_on = None

INTAKE = "oip_orders_intake"
PARTITION_COUNT = 8

# COPY and row-level security exclude each other: the role that loads bypasses it, and may do little
# else.
INTAKE_ROLE = f"""
do $$
begin
    if not exists (select from pg_roles where rolname = '{INTAKE}') then
        begin
            create role {INTAKE} nologin noinherit bypassrls;
        exception when duplicate_object or unique_violation then null;
        end;
    end if;
    if not pg_has_role(current_user, '{INTAKE}', 'member') then
        grant {INTAKE} to current_user;
    end if;
    grant usage on schema orders to {INTAKE};
end
$$
"""

TABLES = (
    # Fixed-width columns first: no padding. The key holds no date, so that an order sent again
    # with another day is found.
    """
    create table orders (
        batch_no bigint not null,
        worker bigint not null,
        accept_time timestamptz not null,
        pick_up_time timestamptz,
        end_time timestamptz,
        leaf_index integer not null,
        revision integer not null,
        place_of_acceptance integer not null,
        pooling_area integer not null,
        industry smallint not null,
        state smallint not null,
        platform text collate "C" not null,
        order_no text collate "C" not null,
        reason text,
        primary key (platform, order_no, revision)
    ) partition by hash (order_no)
    """,
    # FindOrders: a worker's orders around a moment. With the end in the index, the few of hundreds
    # of orders in a week are found without reading the others. PostgreSQL takes `coalesce` for a
    # function that may reveal rows which a policy hides, and would read every order to check the
    # policy first; it knows that `case` cannot.
    """
    create index orders_by_worker_until_end on orders (worker, accept_time,
        (case when end_time is null then 'infinity' else end_time end))
    """,
    # A batch's rows lie together in each partition, so page ranges are index enough.
    """
    create index orders_by_batch on orders using brin (batch_no)
        with (pages_per_range = 16, autosummarize = on)
    """,
    """
    create table order_batch (
        batch_no bigint primary key,
        platform text collate "C" not null,
        batch_id text not null,
        log_index bigint not null,
        received_count integer not null,
        created_count integer not null,
        exists_count integer not null,
        conflict_count integer not null,
        rejected_count integer not null,
        rejected_by_reason jsonb not null,
        root bytea not null check (length(root) = 32),
        content_hash bytea not null check (length(content_hash) = 32),
        create_time timestamptz not null,
        unique (platform, batch_id),
        unique (platform, log_index),
        check (received_count = created_count + exists_count + conflict_count + rejected_count)
    )
    """,
    """
    create table order_rejection (
        batch_no bigint not null,
        row_index integer not null,
        platform text collate "C" not null,
        order_no text not null,
        status smallint not null,
        field text not null,
        content jsonb,
        primary key (batch_no, row_index)
    )
    """,
    # Signed: a revision takes back what the one before it added.
    """
    create table order_tally (
        batch_no bigint not null,
        platform text collate "C" not null,
        pooling_area integer not null,
        industry smallint not null,
        service_date date not null,
        order_count bigint not null check (order_count <> 0),
        primary key (batch_no, pooling_area, industry, service_date)
    )
    """,
    "create index order_tally_by_day on order_tally (service_date, platform)",
    # One row per platform; its lock puts the platform's batches in one order.
    """
    create table order_log (
        platform text collate "C" primary key,
        log_size bigint not null,
        frontier bytea not null,
        misses_first_revisions boolean not null default false
    )
    """,
    # Orders whose first known revision is not the first: only for these can an older one arrive.
    """
    create table order_missing_first_revision (
        platform text collate "C" not null,
        order_no text collate "C" not null,
        primary key (platform, order_no)
    )
    """,
    """
    create table log_node (
        platform text collate "C" not null,
        level smallint not null,
        position bigint not null,
        hash bytea not null,
        primary key (platform, level, position)
    )
    """,
    """
    create table checkpoint (
        platform text collate "C" not null,
        log_size bigint not null,
        root bytea not null,
        note text not null,
        create_time timestamptz not null,
        primary key (platform, log_size)
    )
    """,
    """
    create table order_freeze (
        worker bigint not null,
        moment timestamptz not null,
        holder text not null,
        create_time timestamptz not null,
        primary key (worker, moment, holder)
    )
    """,
    # Local copy of the registered platforms, fed by PlatformRegistered.
    """
    create table registered_platform (platform text collate "C" primary key)
    """,
    # Local copy of enrolments, fed by WorkersEnrolled.
    """
    create table platform_worker (
        platform text collate "C" not null,
        worker bigint not null,
        primary key (platform, worker)
    )
    """,
    """
    create table order_totals (
        platform text collate "C" not null,
        service_date date not null,
        revision bigint not null,
        order_count bigint not null,
        tallies jsonb not null,
        create_time timestamptz not null,
        primary key (platform, service_date, revision)
    )
    """,
    # The result of a comparison of declared and stored orders; published as OrderGapFound.
    """
    create table order_gap (
        platform text collate "C" not null,
        service_date date not null,
        revision bigint not null,
        gaps jsonb not null,
        create_time timestamptz not null,
        primary key (platform, service_date, revision)
    )
    """,
    "create sequence batch_no",
)

ADDED_ONLY = (
    "orders",
    "order_batch",
    "order_rejection",
    "order_tally",
    "order_missing_first_revision",
    "log_node",
    "checkpoint",
    "order_freeze",
    "order_totals",
    "order_gap",
)
# Tables that the service itself adds to; intake writes the others.
ADDED_BY_SERVICE = ("order_freeze", "order_totals", "order_gap")
OF_A_PLATFORM = (
    "order_rejection",
    "order_tally",
    "order_log",
    "order_missing_first_revision",
    "log_node",
    "checkpoint",
    "registered_platform",
    "platform_worker",
    "order_totals",
    "order_gap",
)
WRITTEN_BY_INTAKE = (
    "orders",
    "order_batch",
    "order_rejection",
    "order_tally",
    "order_missing_first_revision",
    "log_node",
    "checkpoint",
    "order_gap",
    "outbox",
    "audit",
)


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    op.execute(INTAKE_ROLE)
    for statement in TABLES:
        op.execute(statement)
    for number in range(PARTITION_COUNT):
        op.execute(
            f"create table orders_{number} partition of orders"
            f" for values with (modulus {PARTITION_COUNT}, remainder {number})"
        )
        forbid_change(f"orders_{number}")
    for table in ADDED_ONLY:
        if table in ADDED_BY_SERVICE:
            append_only(table)
        else:
            forbid_change(table)
            allow(table, "SELECT")
    for table in OF_A_PLATFORM:
        isolate(table, of_platform())
    isolate("orders", of_platform(), of_person(is_number=True), of_area("(pooling_area::text)"))
    # Persons and staff read the orders that are theirs with the receipts of the batches, which name
    # nobody. A subquery here would change the plans of all look-ups.
    isolate("order_batch", of_platform(), f"{PERSON} is not null", f"{AREAS} is not null")
    allow("order_log", "SELECT")
    allow("registered_platform", "SELECT", "INSERT")
    allow("platform_worker", "SELECT", "INSERT")
    for table in WRITTEN_BY_INTAKE:
        allow(table, "SELECT", "INSERT", role=INTAKE)
    allow("order_log", "SELECT", "INSERT", "UPDATE", role=INTAKE)
    for table in ("order_totals", "ended_month"):
        allow(table, "SELECT", role=INTAKE)
    # A batch that a restore lost gets its old number back when it is sent again.
    lost_event_columns = "UPDATE (resolve_time, resolution, reason)"
    allow("lost_event", "SELECT", lost_event_columns, role=INTAKE)
    op.execute(f"grant usage on sequence batch_no to {INTAKE}")
    op.execute(f"grant usage on all sequences in schema orders to {INTAKE}")
    database = op.get_bind().execute(sa.text("select current_database()")).scalar_one()
    op.execute(f'grant temporary on database "{database}" to {INTAKE}')
