"""Order records that came after the report stand beside the one that a claim rests on."""

from alembic import op

revision = "claims_0004"
down_revision = "claims_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the table of store/tables.py; what is held was found, and names the worker."""
    op.execute(
        "alter table claim_order add column receive_time timestamptz,"
        " add column beside boolean not null default false,"
        " add column other_worker boolean not null default false"
    )
