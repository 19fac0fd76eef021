"""On which day a conclusion was served on the claimant."""

from alembic import op

from services.runtime.storage.migrate import append_only

revision = "claims_0003"
down_revision = "claims_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of store/tables.py."""
    op.execute(
        """
        create table service (
            claim_id text not null,
            number integer not null,
            service_date date not null,
            recorded_by text not null,
            create_time timestamptz not null,
            primary key (claim_id, number),
            foreign key (claim_id, number) references determination
        )
        """
    )
    append_only("service")
    condition = "exists (select from claim where claim.claim_id = service.claim_id)"
    op.execute("alter table service enable row level security")
    op.execute("alter table service force row level security")
    op.execute(f"create policy platform on service using ({condition}) with check ({condition})")
