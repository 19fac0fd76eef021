"""The first members, whom the operator of the database registers while the register is empty."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from services.kernel.names import id_from
from services.runtime.service.context import CommandContext
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction
from services.staff.commands import members as commands
from services.staff.domain.members import (
    OPERATOR,
    FirstMember,
    StaffMember,
    require_administrators,
)
from services.staff.domain.problems import RegisterNotEmpty
from services.staff.domain.roles import Role
from services.staff.store import members as store

ACTION = "oip.staff.v1.FirstMembers"


async def register_first_members(
    tx: Transaction, content: bytes, people: Sequence[FirstMember], context: CommandContext
) -> int:
    """Register the first members; the number of persons registered, 0 for a repeat.

    `content` is the file that names them. Raises RegisterNotEmpty or TooFewAdministrators.
    """
    content_hash = hashlib.sha256(content).digest()
    await store.lock_administrators(tx)
    if await store.count(tx):
        if await store.count_audited(tx, ACTION, content_hash):
            return 0
        raise RegisterNotEmpty
    operator = replace(context, actor=OPERATOR, member=OPERATOR)
    registered = [await _register(tx, each, content_hash, operator) for each in people]
    require_administrators(await store.count_with_role(tx, Role.ADMINISTRATOR, context.today))
    entries = [audit.Entry(OPERATOR, ACTION, each.name, content_hash) for each in registered]
    await audit.append_all(tx, context.now, entries)
    return len(registered)


async def _register(
    tx: Transaction, first: FirstMember, content_hash: bytes, operator: CommandContext
) -> StaffMember:
    request_id = id_from("first-members", content_hash.hex())
    member = await commands.register_member(tx, request_id, first.person, operator)
    for grant in first.grants:
        member = await commands.grant_role(tx, member.id, grant, operator)
    return member
