"""What a person has moved on a day, by acts that the person made or signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from services.kernel.money import Fen
from services.runtime.storage.database import Transaction

# The total of a day over every act.
EVERY_ACT = ""
NO_CAP = Fen(2**63 - 1)


@dataclass(frozen=True)
class PersonDay:
    """A person of the staff register, and a civil day."""

    member: str
    day: date


async def add(
    tx: Transaction, person: PersonDay, act: str, amount: Fen, cap: Fen | None
) -> Fen | None:
    """Add a sum to a total; None, or the total before it if it would pass the cap."""
    most = NO_CAP if cap is None else cap
    key = {"member": person.member, "day": person.day, "act": act}
    if amount <= most:
        added = await tx.execute(
            sa.text(
                "insert into act_total (member, day, act, fen, cap_fen)"
                " values (:member, :day, :act, :fen, :cap)"
                " on conflict (member, day, act) do update set"
                " fen = act_total.fen + excluded.fen, cap_fen = excluded.cap_fen"
                " where act_total.fen + excluded.fen <= excluded.cap_fen returning fen"
            ),
            {**key, "fen": amount.count, "cap": most.count},
        )
        if added.one_or_none() is not None:
            return None
    before = await tx.execute(
        sa.text(
            "select coalesce(sum(fen), 0) from act_total"
            " where member = :member and day = :day and act = :act"
        ),
        key,
    )
    return Fen(int(before.scalar_one()))
