"""What a person of the staff register holds on a day, without a token."""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from services.runtime.rpc.access import OUTSIDE_REGISTER, Caller
from services.runtime.rpc.staff import StaffEntry, as_held
from services.runtime.storage.database import Transaction

_ENTRY = sa.text("select content from staff_member where member = :member for share")


async def held_by(tx: Transaction, who: Caller, opening: frozenset[int], day: date) -> Caller:
    """A caller with those of its roles that the person still holds on a day.

    Areas and limit are those of the grants of the `opening` roles. The entry stays locked, so that
    no revocation takes effect before this transaction ends.
    """
    if who.roles <= OUTSIDE_REGISTER:
        # A worker's agent has its role from the token alone.
        return who
    row = (await tx.execute(_ENTRY, {"member": who.member})).one_or_none()
    entry = None if row is None else StaffEntry.parse(bytes(row.content))
    return as_held(who, entry, opening, day)
