"""Bells, and how often each was rung."""

from alembic import op

from services.runtime.storage.migrate import allow, create_runtime_tables, isolate, of_platform

revision = "toy_0001"
down_revision = None
branch_labels = ("toy",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    create_runtime_tables()
    op.execute(
        "create table bell (name text primary key, platform text not null, rings bigint not null)"
    )
    allow("bell", "SELECT", "INSERT", "UPDATE (rings)")
    isolate("bell", of_platform())
