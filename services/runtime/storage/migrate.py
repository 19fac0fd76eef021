"""Brings the schemas of the services up to date; forward only.

Each service has one schema, one role `oip_<service>` without login, and one branch of migrations in
`services/<service>/migrations/versions`. All migrations of a service run in one transaction under
a lock, so that several processes may start at once and a failed run changes nothing.

Tables belong to the user who migrates; the service's role has only what a migration grants:
`allow("orders", "SELECT", "INSERT")`. Never grant a partition: reading a partition directly would
bypass row-level security.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from services.kernel.scope import (
    AREAS,
    CALLER,
    NUMBER_OF_PERSON,
    PERSON,
    PLATFORM,
    SEES_EVERYTHING,
)
from services.runtime.base.settings import Settings
from services.runtime.storage.sessions import NETWORK, as_psycopg
from services.runtime.storage.tables import APPEND_ONLY, GRANTS, TABLES

SERVICES = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(__file__).resolve().parent / "alembic"
LOCK_WAIT = "120s"

log = structlog.get_logger(part="migrate")


def services_with_migrations(root: Path = SERVICES) -> list[str]:
    """The services that have migrations, by name."""
    return sorted(
        folder.parent.name
        for folder in root.glob("*/migrations")
        if any((folder / "versions").glob("*.py"))
    )


async def migrate(url: str, services: Iterable[str], root: Path = SERVICES) -> None:
    """Bring the services' schemas in one database up to date, in a thread."""
    await asyncio.to_thread(migrate_now, url, list(services), root)


async def migrate_all(settings: Settings) -> None:
    """Bring every service's schema up to date, each in the database of its settings."""
    for service in services_with_migrations():
        await migrate(settings.database_of(service), [service])


def migrate_now(url: str, services: Iterable[str], root: Path = SERVICES) -> None:
    """Bring the services' schemas in one database up to date; blocks."""
    engine = sa.create_engine(
        as_psycopg(url),
        poolclass=sa.NullPool,
        connect_args={**NETWORK, "application_name": "oip_migrate"},
    )
    for service in services:
        with engine.begin() as connection:
            _migrate_one(connection, service, root / service / "migrations" / "versions")
    engine.dispose()


@dataclass(frozen=True)
class Revisions:
    """The revisions of a service's schema that this program knows, and the newest ones."""

    known: frozenset[str]
    heads: frozenset[str]


def revisions_of(service: str, root: Path = SERVICES) -> Revisions:
    """The revisions in a service's folder; none if it has no migrations."""
    versions = root / service / "migrations" / "versions"
    if not versions.is_dir():
        return Revisions(frozenset(), frozenset())
    scripts = ScriptDirectory.from_config(_config(versions))
    known = frozenset(script.revision for script in scripts.walk_revisions())
    return Revisions(known, frozenset(scripts.get_heads()))


def _migrate_one(connection: Connection, service: str, versions: Path) -> None:
    if not service.isidentifier():
        raise ValueError(f"{service!r} is not the name of a service")
    connection.execute(sa.text(f"set local lock_timeout = '{LOCK_WAIT}'"))
    connection.execute(
        sa.text("select pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"oip migrate {service}"},
    )
    connection.execute(sa.text(_SCHEMA_AND_ROLE.format(service=service)))
    connection.execute(sa.text(f"set local search_path to {service}"))
    config = _config(versions)
    config.attributes["connection"] = connection
    config.attributes["service"] = service
    command.upgrade(config, "heads")
    # A service is ready only on the schema that its code was written for.
    connection.execute(sa.text(f"grant select on {service}.alembic_version to oip_{service}"))
    log.info("migrated", service=service)


def _config(versions: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions).replace("%", "%%"))
    return config


# Roles belong to the whole server: two databases may be migrated at once, so the role may exist.
_SCHEMA_AND_ROLE = """
do $$
begin
    if not exists (select from pg_roles where rolname = 'oip_{service}') then
        begin
            create role oip_{service} nologin noinherit;
        exception when duplicate_object or unique_violation then null;
        end;
    end if;
    if not pg_has_role(current_user, 'oip_{service}', 'member') then
        grant oip_{service} to current_user;
    end if;
    create schema if not exists {service};
    grant usage on schema {service} to oip_{service};
    alter default privileges in schema {service}
        grant usage, select on sequences to oip_{service};
end
$$
"""


def create_runtime_tables() -> None:
    """Create the tables of delivery, idempotence and audit; first migrations call this."""
    for statement in TABLES:
        op.execute(statement)
    for table in APPEND_ONLY:
        forbid_change(table)
    for table, privileges in GRANTS.items():
        allow(table, *privileges)
    isolate("command", f"caller = {CALLER}")


def isolate(table: str, *conditions: str) -> None:
    """Show a transaction only the rows of its scope (row-level security).

    A row is visible where one of the conditions holds, and to a transaction that sees everything.
    """
    condition = " or ".join((SEES_EVERYTHING, *conditions))
    op.execute(f"alter table {table} enable row level security")
    op.execute(f"alter table {table} force row level security")
    op.execute(f"create policy scope on {table} using ({condition}) with check ({condition})")


def of_platform(column: str = "platform") -> str:
    """The condition of rows that belong to a platform."""
    return f"{column} = {PLATFORM}"


def of_person(column: str = "worker", *, is_number: bool = False) -> str:
    """The condition of rows that belong to a worker: a resource name, or the number in it."""
    return f"{column} = {NUMBER_OF_PERSON if is_number else PERSON}"


def of_area(column: str = "pooling_area") -> str:
    """The condition of rows that belong to a pooling area; unassigned ones belong to each."""
    return f"{column} = any({AREAS}) or {column} = '' and {AREAS} is not null"


def allow(table: str, *privileges: str, role: str | None = None) -> None:
    """Grant privileges on a table to the service's role: `allow("claims", "SELECT", "INSERT")`."""
    op.execute(f"grant {', '.join(privileges)} on {table} to {role or _role()}")


def append_only(table: str) -> None:
    """Let the service read and insert rows of a table; no role may change or remove them."""
    forbid_change(table)
    allow(table, "SELECT", "INSERT")


def forbid_change(table: str) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE of a table, even to its owner."""
    op.execute(f"revoke update, delete, truncate on {table} from {_role()}")
    op.execute(
        f"create trigger append_only before update or delete or truncate on {table}"
        " for each statement execute function refuse_change()"
    )


def _role() -> str:
    schema = op.get_bind().execute(sa.text("select current_schema()")).scalar_one()
    return f"oip_{schema}"
