"""The look-up of a worker's orders around a moment finds the ends in its index."""

from alembic import op

revision = "orders_0002"
down_revision = "orders_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the index know when an order ended, if it did.

    A week of a busy worker is hundreds of orders; the few around the moment are found without
    reading the others. PostgreSQL holds `coalesce` for something that might tell of rows which a
    policy hides, and would read every order to ask the policy first; `case` it knows to be silent.
    """
    op.execute(
        "create index orders_by_worker_until_end on orders (worker, accept_time,"
        " (case when end_time is null then 'infinity' else end_time end))"
    )
    op.execute("drop index orders_by_worker")
