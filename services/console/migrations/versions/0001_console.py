"""Sessions of browsers, and the entries of forms that wait for a sign-in."""

from alembic import op

from services.runtime.storage.migrate import allow

revision = "console_0001"
down_revision = None
branch_labels = ("console",)
depends_on = None


def upgrade() -> None:
    """Create the table of sessions; the console has no other data."""
    op.execute(
        """
        create table session (
            -- SHA-256 of the secret in the browser's cookie, which encrypts the content.
            secret_hash bytea primary key check (length(secret_hash) = 32),
            content bytea not null,
            create_time timestamptz not null,
            use_time timestamptz not null,
            expire_time timestamptz not null
        )
        """
    )
    op.execute("create index ix_console_session_expire_time on session (expire_time)")
    allow("session", "SELECT", "INSERT", "UPDATE (content, use_time)", "DELETE")
