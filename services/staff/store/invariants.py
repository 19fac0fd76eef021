"""Counts of rows that break an invariant of the staff register; all are 0."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.storage.database import Transaction


async def count_orphans(tx: Transaction) -> int:
    """Accounts, grants, revocations and absences without their person or grant."""
    statement = sa.text(
        "select (select count(*) from account a"
        "  where not exists (select from member m where m.id = a.member))"
        " + (select count(*) from role_grant g"
        "  where not exists (select from member m where m.id = g.member))"
        " + (select count(*) from absence b"
        "  where not exists (select from member m where m.id = b.member))"
        " + (select count(*) from revocation r where not exists"
        "  (select from role_grant g where g.member = r.member and g.number = r.number))"
    )
    return int((await tx.execute(statement)).scalar_one())


async def count_self_grants(tx: Transaction) -> int:
    """Grants that a person gave to themselves, or of which nobody knows who gave them."""
    statement = sa.text(
        "select count(*) from role_grant where granted_by in ('', 'staffMembers/' || member)"
    )
    return int((await tx.execute(statement)).scalar_one())


async def count_stale_copies(tx: Transaction) -> int:
    """Persons whose entry in this service's own local copy is missing or of another revision."""
    statement = sa.text(
        "select count(*) from member m"
        " left join staff_member c on c.member = 'staffMembers/' || m.id"
        " where c.revision is distinct from m.revision or (select count(*) from staff_account a"
        "  where a.member = c.member) <> (select count(*) from account o"
        "  where o.member = m.id and o.unlink_time is null)"
    )
    return int((await tx.execute(statement)).scalar_one())
