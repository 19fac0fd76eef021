"""Migrations: repeatable, at once from several processes, whole or not at all."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

from services.runtime.storage.migrate import migrate, services_with_migrations
from services.runtime.storage.tables import NAMES
from tests.support.databases import TOY_SERVICES, Databases

ROOT = Path(__file__).resolve().parents[3]
MIGRATION = '''
"""A test's migration."""

from alembic import op

revision = "{revision}"
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the schema."""
    {body}
'''


def write(folder: Path, revision: str, before: str | None, body: str) -> None:
    versions = folder / "shed" / "migrations" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    content = MIGRATION.format(revision=revision, before=before, body=body)
    (versions / f"{revision}.py").write_text(content, encoding="utf-8")


async def ask(url: str, question: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return list(await (await connection.execute(question.encode())).fetchall())


async def table_names(url: str, schema: str) -> set[str]:
    rows = await ask(url, f"select tablename from pg_tables where schemaname = '{schema}'")
    return {str(row[0]) for row in rows}


async def test_an_empty_database_gets_schemas_roles_and_runtime_tables(
    databases: Databases,
) -> None:
    url = await databases.empty()
    await migrate(url, ["toy", "echo"], TOY_SERVICES)

    assert await table_names(url, "toy") == {*NAMES, "alembic_version", "bell"}
    assert await table_names(url, "echo") == {*NAMES, "alembic_version", "echo"}
    roles = await ask(
        url, "select rolcanlogin, rolsuper, rolbypassrls from pg_roles where rolname = 'oip_toy'"
    )
    assert roles == [(False, False, False)]


async def test_migrating_again_changes_nothing(databases: Databases) -> None:
    url = await databases.empty()
    await migrate(url, ["toy"], TOY_SERVICES)
    epoch = await ask(url, "select epoch from toy.outbox_counter")
    await migrate(url, ["toy"], TOY_SERVICES)

    assert await ask(url, "select epoch from toy.outbox_counter") == epoch


async def test_several_runs_at_once_migrate_once(databases: Databases) -> None:
    url = await databases.empty()
    await asyncio.gather(*(run_alone(url) for _ in range(3)))

    assert await ask(url, "select version_num from toy.alembic_version") == [("toy_0001",)]


async def run_alone(url: str) -> None:
    """Migrate in a separate process, as replicas that start together do."""
    code = (
        "from pathlib import Path\n"
        "from services.runtime.storage.migrate import migrate_now\n"
        f"migrate_now({url!r}, ['toy'], Path({str(TOY_SERVICES)!r}))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def test_a_later_migration_is_added_to_what_is_there(
    databases: Databases, tmp_path: Path
) -> None:
    url = await databases.empty()
    write(tmp_path, "shed_0001", None, 'op.execute("create table tool (name text)")')
    await migrate(url, ["shed"], tmp_path)
    write(tmp_path, "shed_0002", "shed_0001", 'op.execute("alter table tool add size int")')
    await migrate(url, ["shed"], tmp_path)

    assert await ask(url, "select version_num from shed.alembic_version") == [("shed_0002",)]


async def test_a_failing_migration_leaves_nothing(databases: Databases, tmp_path: Path) -> None:
    url = await databases.empty()
    write(tmp_path, "shed_0001", None, 'op.execute("create table tool (name text)")')
    write(tmp_path, "shed_0002", "shed_0001", 'op.execute("alter table nothing add size int")')
    with pytest.raises(Exception, match="nothing"):
        await migrate(url, ["shed"], tmp_path)

    assert await table_names(url, "shed") == set()


async def test_append_only_tables_refuse_their_owner_too(databases: Databases) -> None:
    url = await databases.fresh("toy", root=TOY_SERVICES)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as owner:
        await owner.execute(
            "insert into toy.inbox values ('p', 'e', 1, 's', '', now());"
            "insert into toy.audit (time, actor, action, resource, request_hash)"
            " values (now(), 'a', 'b', 'c', '')"
        )
        for statement in (
            b"delete from toy.inbox",
            b"truncate toy.command",
            b"update toy.audit set actor = 'x'",
            b"delete from toy.audit",
        ):
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                await owner.execute(statement)


def test_every_service_of_the_toy_folder_is_found() -> None:
    assert services_with_migrations(TOY_SERVICES) == ["echo", "toy"]


def test_every_service_is_found() -> None:
    services = ["benefits", "claims", "enrolment", "fund", "grading", "orders", "premiums", "staff"]

    assert services_with_migrations() == sorted([*services, "console"])
