"""Persons of the register with their accounts, grants and absences; names are encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kernel import names
from services.kernel.problems import NotFound
from services.runtime.storage import data_keys, revisions
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction
from services.staff.domain.members import (
    Absence,
    Account,
    Revocation,
    RevocationCode,
    RoleGrant,
    StaffMember,
)
from services.staff.domain.roles import NewGrant, Role
from services.staff.store.tables import absences, accounts, grants, members, revocations


async def insert(
    tx: Transaction, cipher: ColumnCipher, member: StaffMember, identity_index: bytes
) -> bool:
    """Add a person without accounts; False if the identity is registered already."""
    cipher = await data_keys.of_person(tx, cipher, member.name)
    statement = (
        upsert(members)
        .values(
            id=member.id,
            identity_index=identity_index,
            display_name=cipher.encrypt(member.display_name, _context(member.id)),
            create_time=member.create_time,
            revision=member.revision,
        )
        .on_conflict_do_nothing(index_elements=[members.c.identity_index])
        .returning(members.c.id)
    )
    return (await tx.execute(statement)).first() is not None


async def find_id(tx: Transaction, identity_index: bytes) -> str | None:
    """The person with an identity."""
    statement = sa.select(members.c.id).where(members.c.identity_index == identity_index)
    member_id: str | None = (await tx.execute(statement)).scalar_one_or_none()
    return member_id


async def count(tx: Transaction) -> int:
    """The number of persons."""
    return int((await tx.execute(sa.select(sa.func.count()).select_from(members))).scalar_one())


async def count_audited(tx: Transaction, action: str, content_hash: bytes) -> int:
    """How often an action with this content was recorded."""
    statement = sa.text(
        "select count(*) from audit where action = :action and request_hash = :hash"
    )
    values = {"action": action, "hash": content_hash}
    return int((await tx.execute(statement, values)).scalar_one())


async def count_with_role(tx: Transaction, role: Role, today: date) -> int:
    """The number of persons with a grant of a role in force."""
    statement = sa.select(sa.func.count()).select_from(_in_force(role, today).subquery())
    return int((await tx.execute(statement)).scalar_one())


async def lock_administrators(tx: Transaction) -> None:
    """Let no other transaction change how many administrators there are."""
    await tx.execute(sa.text("select pg_advisory_xact_lock(hashtextextended('oip staff', 0))"))


async def lock(tx: Transaction, cipher: ColumnCipher, member_id: str) -> StaffMember:
    """A person, locked against other changes; raises NotFound."""
    await tx.execute(
        sa.select(members.c.id).where(members.c.id == member_id).with_for_update(key_share=False)
    )
    member = await get(tx, cipher, member_id)
    revisions.note(member.name, member.revision)
    return member


async def get(tx: Transaction, cipher: ColumnCipher, member_id: str) -> StaffMember:
    """A person; raises NotFound."""
    statement = sa.select(members).where(members.c.id == member_id)
    (member,) = await _load(tx, cipher, (await tx.execute(statement)).all()) or (None,)
    if member is None:
        raise NotFound(name=names.name("staffMembers", member_id))
    return member


async def list_by_position(
    tx: Transaction,
    cipher: ColumnCipher,
    after: int,
    size: int,
    *,
    platform: str = "",
    role: Role | None = None,
    today: date | None = None,
) -> list[tuple[int, StaffMember]]:
    """At most `size` persons registered after a position, with their positions.

    Only those with a grant for a platform, or with a role in force today, if these are given.
    """
    statement = sa.select(members).where(members.c.position > after)
    if platform:
        of_platform = sa.select(grants.c.member).where(grants.c.platform == platform)
        statement = statement.where(members.c.id.in_(of_platform))
    if role is not None and today is not None:
        statement = statement.where(members.c.id.in_(_in_force(role, today)))
    rows = (await tx.execute(statement.order_by(members.c.position).limit(size))).all()
    loaded = await _load(tx, cipher, rows)
    return [(row.position, member) for row, member in zip(rows, loaded, strict=True)]


async def insert_account(
    tx: Transaction, member_id: str, account: Account, now: datetime
) -> str | None:
    """Link an account; returns the person that has it already, None if it was free."""
    statement = (
        upsert(accounts)
        .values(issuer=account.issuer, subject=account.subject, member=member_id, create_time=now)
        .on_conflict_do_nothing(
            index_elements=[accounts.c.issuer, accounts.c.subject],
            index_where=accounts.c.unlink_time.is_(None),
        )
        .returning(accounts.c.member)
    )
    if (await tx.execute(statement)).first() is not None:
        return None
    holder = sa.select(accounts.c.member).where(
        accounts.c.issuer == account.issuer,
        accounts.c.subject == account.subject,
        accounts.c.unlink_time.is_(None),
    )
    member: str | None = (await tx.execute(holder)).scalar_one_or_none()
    return member


async def update_account(tx: Transaction, account: Account, now: datetime) -> None:
    """Take an account away; the row keeps who had it, and when."""
    await tx.execute(
        sa.update(accounts)
        .where(
            accounts.c.issuer == account.issuer,
            accounts.c.subject == account.subject,
            accounts.c.unlink_time.is_(None),
        )
        .values(unlink_time=now)
    )


async def insert_grant(tx: Transaction, member_id: str, grant: RoleGrant, now: datetime) -> None:
    """Add a grant."""
    await tx.execute(
        sa.insert(grants).values(
            member=member_id,
            number=grant.number,
            role=grant.grant.role.value,
            areas=list(grant.grant.areas),
            platform=grant.grant.platform,
            day_limit_fen=grant.grant.day_limit_fen,
            from_date=grant.grant.from_date,
            until_date=grant.grant.until_date,
            granted_by=grant.granted_by,
            create_time=now,
        )
    )


async def insert_revocation(
    tx: Transaction, cipher: ColumnCipher, member: StaffMember, number: int, revocation: Revocation
) -> None:
    """Add the revocation of a grant; its note is encrypted."""
    cipher = await data_keys.of_person(tx, cipher, member.name)
    await tx.execute(
        sa.insert(revocations).values(
            member=member.id,
            number=number,
            code=revocation.code.value,
            note=cipher.encrypt(revocation.note, _note_context(member.id, number)),
            create_time=revocation.time,
        )
    )


async def insert_absence(tx: Transaction, member_id: str, absence: Absence, now: datetime) -> None:
    """Add an absence."""
    await tx.execute(
        sa.insert(absences).values(
            member=member_id,
            from_date=absence.from_date,
            until_date=absence.until_date,
            create_time=now,
        )
    )


async def update_absence(tx: Transaction, member_id: str, absence: Absence, now: datetime) -> None:
    """Withdraw an absence; the row keeps when."""
    await tx.execute(
        sa.update(absences)
        .where(
            absences.c.member == member_id,
            absences.c.from_date == absence.from_date,
            absences.c.until_date == absence.until_date,
            absences.c.withdraw_time.is_(None),
        )
        .values(withdraw_time=now)
    )


async def update(tx: Transaction, member: StaffMember) -> None:
    """Store the end of sessions and the next revision."""
    await tx.execute(
        sa.update(members)
        .where(members.c.id == member.id)
        .values(tokens_not_before=member.tokens_not_before, revision=member.revision)
    )


def _in_force(role: Role, today: date) -> sa.Select[tuple[str]]:
    """The persons with a grant of a role on a day, each once."""
    return (
        sa.select(grants.c.member)
        .distinct()
        .outerjoin(
            revocations,
            sa.and_(
                revocations.c.member == grants.c.member,
                revocations.c.number == grants.c.number,
            ),
        )
        .where(
            grants.c.role == role.value,
            grants.c.from_date <= today,
            sa.or_(grants.c.until_date.is_(None), grants.c.until_date >= today),
            revocations.c.member.is_(None),
        )
    )


async def _load(
    tx: Transaction, cipher: ColumnCipher, rows: Sequence[sa.Row[tuple[object, ...]]]
) -> list[StaffMember]:
    """The persons of these rows, with a fixed number of queries for all of them."""
    ids = [row.id for row in rows]
    revocation_rows = await _rows_of(tx, revocations, ids, revocations.c.number)
    cipher = await data_keys.for_rows(tx, cipher, [*rows, *revocation_rows])
    account_rows = await _rows_of(tx, accounts, ids, accounts.c.create_time, accounts.c.subject)
    grant_rows = await _rows_of(tx, grants, ids, grants.c.number)
    absence_rows = await _rows_of(tx, absences, ids, absences.c.from_date)
    ended = {
        (row.member, row.number): Revocation(
            row.create_time,
            RevocationCode(row.code),
            cipher.decrypt(bytes(row.note), _note_context(row.member, row.number)),
        )
        for row in revocation_rows
    }
    return [
        StaffMember(
            id=row.id,
            display_name=cipher.decrypt(bytes(row.display_name), _context(row.id)),
            accounts=tuple(
                Account(a.issuer, a.subject)
                for a in account_rows
                if a.member == row.id and a.unlink_time is None
            ),
            grants=tuple(
                _grant(g, ended.get((row.id, g.number))) for g in grant_rows if g.member == row.id
            ),
            absences=tuple(
                Absence(a.from_date, a.until_date)
                for a in absence_rows
                if a.member == row.id and a.withdraw_time is None
            ),
            create_time=row.create_time,
            revision=row.revision,
            tokens_not_before=row.tokens_not_before,
        )
        for row in rows
    ]


async def _rows_of(
    tx: Transaction, table: sa.Table, ids: Sequence[str], *order: sa.ColumnElement[object]
) -> Sequence[sa.Row[tuple[object, ...]]]:
    statement = sa.select(table).where(table.c.member.in_(ids)).order_by(*order)
    return (await tx.execute(statement)).all()


def _grant(row: sa.Row[tuple[object, ...]], revocation: Revocation | None) -> RoleGrant:
    grant = NewGrant(
        Role(row.role),
        tuple(row.areas),
        row.platform,
        row.day_limit_fen,
        row.from_date,
        row.until_date,
    )
    return RoleGrant(row.number, grant, row.granted_by, revocation)


def _context(member_id: str) -> str:
    return f"staff:{member_id}:display_name"


def _note_context(member_id: str, number: int) -> str:
    return f"staff:{member_id}:{number}:note"
