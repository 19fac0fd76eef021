"""A death may become known after the claim was filed."""

from services.runtime.storage.migrate import allow

revision = "claims_0002"
down_revision = "claims_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let the service record who survives the worker."""
    allow("claim", "UPDATE (survivors)")
