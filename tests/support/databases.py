"""New databases for tests, copied from templates that are migrated once."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from services.runtime.storage.migrate import SERVICES, migrate
from tests.support.staff import store_entries

TOY_SERVICES = Path(__file__).resolve().parent / "services"


class Databases:
    """Makes databases on one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._templates: dict[tuple[str, ...], str] = {}

    async def empty(self) -> str:
        """The URL of a database with nothing in it."""
        return await self._create("template0")

    async def fresh(self, *services: str, root: Path = SERVICES) -> str:
        """The URL of a database with the services' schemas and the usual staff, else empty."""
        key = (str(root), *sorted(services))
        if key not in self._templates:
            url = await self._create("template0")
            await migrate(url, services, root)
            await store_entries(url, services)
            self._templates[key] = make_url(url).database or ""
        url = await self._create(self._templates[key])
        await self._begin_epochs(url, services)
        return url

    async def login(self, url: str, *services: str) -> str:
        """The URL of a database for a new login with the roles of these services alone."""
        name, password = f"login_{secrets.token_hex(6)}", secrets.token_hex(8)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(
                sql.SQL("create role {} login noinherit password {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )
            for service in services:
                await connection.execute(
                    sql.SQL("grant {} to {}").format(
                        sql.Identifier(f"oip_{service}"), sql.Identifier(name)
                    )
                )
        changed = make_url(url).set(username=name, password=password)
        return changed.render_as_string(hide_password=False)

    async def copy(self, url: str) -> str:
        """The URL of a copy of a database that nobody is connected to, as a backup would be."""
        return await self._create(make_url(url).database or "")

    async def _create(self, template: str) -> str:
        name = f"test_{secrets.token_hex(6)}"
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return make_url(self._url).set(database=name).render_as_string(hide_password=False)

    async def _begin_epochs(self, url: str, services: Sequence[str]) -> None:
        """Give each copy its own epoch: copies must not publish under the same numbers."""
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for service in services:
                await connection.execute(
                    sql.SQL("update {}.outbox_counter set epoch = {}").format(
                        sql.Identifier(service), sql.Literal(secrets.token_hex(6))
                    )
                )
