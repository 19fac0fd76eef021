"""Platforms, workers, and the enrolments of workers with platforms."""

from alembic import op

from services.runtime.storage.migrate import (
    allow,
    append_only,
    create_runtime_tables,
    isolate,
    of_person,
    of_platform,
)

revision = "enrolment_0001"
down_revision = None
branch_labels = ("enrolment",)
depends_on = None


def upgrade() -> None:
    """Create the tables of store/tables.py."""
    create_runtime_tables()
    op.execute(
        """
        create table platform (
            credit_code text primary key,
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
            id bigint primary key,
            identity_index bytea not null unique,
            document_number bytea not null,
            create_time timestamptz not null
        )
        """
    )
    op.execute(
        """
        create table enrolment (
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
    op.execute("create index ix_enrolment_enrolment_worker on enrolment (worker)")
    # SELECT … FOR UPDATE needs UPDATE; one column that never changes is enough for it.
    allow("platform", "SELECT", "INSERT", "UPDATE (revision)")
    # Only an erasure changes the keyed hash of an identity.
    allow("worker", "SELECT", "INSERT", "UPDATE (identity_index)")
    append_only("enrolment")
    isolate("platform", of_platform("credit_code"))
    isolate("enrolment", of_platform(), of_person(is_number=True))
    isolate("worker", "exists (select from enrolment where enrolment.worker = worker.id)")
