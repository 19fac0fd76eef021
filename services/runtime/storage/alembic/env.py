"""Runs one service's migrations on the connection of `migrate`."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
service = context.config.attributes["service"]

context.configure(
    connection=connection,
    version_table="alembic_version",
    version_table_schema=service,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
