"""The look-up of a worker's orders around a moment finds the ends in its index."""

from alembic import op

revision = "orders_0002"
down_revision = "orders_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the index know when an order ended, if it did.

    A week of a busy worker is hundreds of orders; the few around the moment are found without
    reading the others.
    """
    op.execute(
        "create index orders_by_worker_and_end on orders"
        " (worker, accept_time, (coalesce(end_time, 'infinity')))"
    )
    op.execute("drop index orders_by_worker")
