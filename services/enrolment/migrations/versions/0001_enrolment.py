"""Platforms, workers and who is enrolled with whom."""

from alembic import op

from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    enable_platform_isolation,
)

revision = "enrolment_0001"
down_revision = None
branch_labels = ("enrolment",)
depends_on = None


def upgrade() -> None:
    """Create the tables of store.py."""
    create_runtime_tables()
    op.execute(
        """
        create table platform (
            platform text primary key,
            display_name text not null,
            industries smallint[] not null,
            create_time timestamptz not null,
            revision bigint not null
        )
        """
    )
    op.execute(
        """
        create table worker (
            worker bigint primary key,
            identity_index bytea not null unique,
            document_number bytea not null,
            create_time timestamptz not null
        )
        """
    )
    op.execute(
        """
        create table platform_worker (
            platform text not null,
            worker_number text not null,
            worker bigint not null,
            phone bytea not null,
            enrol_date date not null,
            create_time timestamptz not null,
            primary key (platform, worker_number),
            unique (platform, worker)
        )
        """
    )
    op.execute("create index ix_enrolment_platform_worker_worker on platform_worker (worker)")
    # UPDATE is what SELECT … FOR UPDATE needs; one column that never changes is enough for it.
    allow("platform", "SELECT", "INSERT", "UPDATE (revision)")
    append_only("worker")
    append_only("platform_worker")
    enable_platform_isolation("platform")
    enable_platform_isolation("platform_worker")
