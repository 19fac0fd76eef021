"""`python -m services.staff.bootstrap FILE.toml`: registers the first members of the register.

The operator of the database runs it once, while nobody is in the register and so nobody could
register anybody. The file names at least two administrators; see deploy/README.md.
"""

from __future__ import annotations

import asyncio
import sys
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from services.kernel.problems import Malformed, Problem
from services.runtime.base.clock import SystemClock
from services.runtime.base.refusals import StartRefusedError
from services.runtime.base.settings import Settings
from services.runtime.rpc.client import Channels
from services.runtime.rpc.roles import role_of
from services.runtime.service.context import ServiceContext
from services.runtime.storage import data_keys
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Database
from services.runtime.storage.key_file import KeyFile
from services.runtime.storage.key_wrapping import wrapper_of
from services.staff.commands.first_members import register_first_members
from services.staff.domain.members import (
    FirstMember,
    NewMember,
    account_of,
    accounts_of,
    display_name_of,
    identity_of,
)
from services.staff.domain.roles import NewGrant, grant_of


async def register_from(context: ServiceContext, content: bytes) -> int:
    """Register the members that a TOML file names; how many were registered, 0 for a repeat."""
    command = context.command(actor="operator")
    people = first_members_of(content, command.today)
    async with context.database.begin() as tx:
        count = await register_first_members(tx, content, people, command)
    context.forget_staff()
    context.wake.set()
    return count


def first_members_of(content: bytes, today: date) -> list[FirstMember]:
    """The members in a TOML file; raises Malformed with what to correct."""
    try:
        tables = tomllib.loads(content.decode("utf-8"))["member"]
    except (ValueError, KeyError):
        raise Malformed.of(
            "member",
            "NO_TABLE",
            "write a table {form} for each person",
            "请为每人填写 {form} 表",
            form="[[member]]",
        ) from None
    return [_member_of(table, f"member[{index}]", today) for index, table in enumerate(tables)]


def _member_of(table: Mapping[str, Any], field: str, today: date) -> FirstMember:
    try:
        accounts = [
            account_of(account["issuer"], account["subject"], f"{field}.accounts")
            for account in table["accounts"]
        ]
        person = NewMember(
            display_name_of(table["display_name"]),
            identity_of(table["identity_number"]),
            accounts_of(accounts),
        )
        return FirstMember(person, tuple(_grant_of(grant, today) for grant in table["grants"]))
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Malformed.of(
            field,
            "WRONG_TABLE",
            "write each of {fields} in its form",
            "请按格式填写: {fields}",
            fields=("display_name", "identity_number", "accounts", "grants"),
        ) from None


def _grant_of(table: Mapping[str, Any], today: date) -> NewGrant:
    days = table.get("from_date", today), table.get("until_date")
    if not all(day is None or type(day) is date for day in days):
        raise TypeError("from_date and until_date are days")
    return grant_of(
        role_of(table["role"]),
        table.get("areas", ()),
        table.get("platform", ""),
        table.get("day_limit_fen", 0),
        days,
    )


async def _run(settings: Settings, content: bytes) -> int:
    database = Database(settings.database_of("staff"), "staff", pool_size=1)
    context = ServiceContext(
        service="staff",
        database=database,
        clock=SystemClock(),
        cipher=ColumnCipher(KeyFile(settings.keys_path, wrapper_of(settings.key_wrap_command))),
        channels=Channels({}, str),
    )
    try:
        await data_keys.open_service_key(database, context.cipher)
        return await register_from(context, content)
    finally:
        await database.close()


def main() -> None:
    """Register the members of the file; a reason not to is printed as one sentence."""
    settings = Settings()
    if len(sys.argv) != 2 or not settings.database_of("staff"):
        sys.exit(
            "Set OIP_DATABASE_URL or OIP_STAFF_DATABASE_URL, and name the file of first members."
        )
    try:
        count = asyncio.run(_run(settings, Path(sys.argv[1]).read_bytes()))
    except Problem as problem:
        sys.exit(problem.sentence)
    except (OSError, StartRefusedError) as error:
        sys.exit(str(error))
    sys.stdout.write(f"{count} members registered\n" if count else "registered before\n")


if __name__ == "__main__":
    main()
