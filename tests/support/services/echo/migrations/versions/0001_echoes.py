"""How many rings of each bell were counted."""

from alembic import op

from services.runtime.storage.migrate import allow, create_runtime_tables

revision = "echo_0001"
down_revision = None
branch_labels = ("echo",)
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    create_runtime_tables()
    op.execute(
        "create table echo"
        " (name text primary key, count bigint not null, newest_revision bigint not null)"
    )
    allow("echo", "SELECT", "INSERT", "UPDATE")
