"""Changes of persons: registration, accounts, grants, absences, sessions.

Each change stores the next revision and publishes the whole entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from services.kernel.names import id_from
from services.runtime.events import outbox
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext
from services.runtime.service.staff_copy import on_staff_changed
from services.runtime.storage.database import Transaction
from services.staff import events
from services.staff.domain.members import (
    Absence,
    Account,
    NewMember,
    Revocation,
    StaffMember,
    member_name,
    require_administrators,
)
from services.staff.domain.problems import (
    AccountLinked,
    NotInvitable,
    OwnGrant,
    PersonRegistered,
)
from services.staff.domain.roles import NewGrant, Role
from services.staff.store import members as store


async def register_member(
    tx: Transaction, request_id: str, person: NewMember, context: CommandContext
) -> StaffMember:
    """Register a person. Raises PersonRegistered or AccountLinked."""
    index = _identity_index(person, context)
    member = StaffMember(
        id=id_from(request_id, "staffMembers", index.hex()),
        display_name=person.display_name,
        accounts=(),
        grants=(),
        absences=(),
        create_time=context.now,
        revision=1,
    )
    if not await store.insert(tx, context.cipher, member, index):
        known = await store.find_id(tx, index) or ""
        raise PersonRegistered(field="identity_number", name=member_name(known))
    for account in person.accounts:
        await _link(tx, member.id, account, context.now)
    return await _publish(tx, replace(member, accounts=person.accounts), context)


async def invite_colleague(
    tx: Transaction, request_id: str, person: NewMember, grant: NewGrant, context: CommandContext
) -> StaffMember:
    """Register a colleague of a platform with a grant there. Raises NotInvitable.

    A person known already gets the grant alone, if the account is one of the person's and the
    person acts for platforms only. A refusal does not say who is in the register.
    """
    known = await store.find_id(tx, _identity_index(person, context))
    if known is None:
        member = await register_member(tx, request_id, person, context)
        return await grant_role(tx, member.id, grant, context)
    member = await store.get(tx, context.cipher, known)
    if not set(person.accounts) <= set(member.accounts) or member.acts_for(""):
        raise NotInvitable(field="identity_number")
    return await grant_role(tx, known, grant, context)


async def link_account(
    tx: Transaction, member_id: str, account: Account, context: CommandContext
) -> StaffMember:
    """Link one more account to a person. Raises AccountLinked or OwnGrant."""
    member = (await store.lock(tx, context.cipher, member_id)).linked(account)
    _require_other(member, context)
    await _link(tx, member_id, account, context.now)
    return await _save(tx, member, context)


async def unlink_account(
    tx: Transaction, member_id: str, account: Account, context: CommandContext
) -> StaffMember:
    """Take an account away. Raises AccountNotLinked, LastAccount or OwnGrant."""
    member = (await store.lock(tx, context.cipher, member_id)).unlinked(account)
    _require_other(member, context)
    await store.update_account(tx, account, context.now)
    return await _save(tx, member, context)


async def grant_role(
    tx: Transaction, member_id: str, grant: NewGrant, context: CommandContext
) -> StaffMember:
    """Grant a role to a person. Raises OwnGrant."""
    member = await store.lock(tx, context.cipher, member_id)
    _require_other(member, context)
    member = member.granted(grant, context.member)
    await store.insert_grant(tx, member_id, member.grants[-1], context.now)
    return await _save(tx, member, context)


async def revoke_role(
    tx: Transaction,
    grant_id: tuple[str, int],
    revocation: Revocation,
    context: CommandContext,
    *,
    may_revoke: Callable[[StaffMember], None] = lambda _member: None,
) -> StaffMember:
    """Revoke a grant. Raises GrantRevoked, OwnGrant or TooFewAdministrators.

    `may_revoke` raises for a stranger's.
    """
    member_id, number = grant_id
    await store.lock_administrators(tx)
    member = await store.lock(tx, context.cipher, member_id)
    may_revoke(member)
    _require_other(member, context)
    member = member.revoked(number, revocation)
    await store.insert_revocation(tx, context.cipher, member, number, revocation)
    if member.grant_of(number).grant.role is Role.ADMINISTRATOR:
        require_administrators(await store.count_with_role(tx, Role.ADMINISTRATOR, context.today))
    return await _save(tx, member, context)


async def record_absence(
    tx: Transaction, member_id: str, absence: Absence, context: CommandContext
) -> StaffMember:
    """Record days on which a person does not act; a repeat changes nothing."""
    before = await store.lock(tx, context.cipher, member_id)
    member = before.absent(absence)
    if member == before:
        return before
    await store.insert_absence(tx, member_id, absence, context.now)
    return await _save(tx, member, context)


async def withdraw_absence(
    tx: Transaction, member_id: str, absence: Absence, context: CommandContext
) -> StaffMember:
    """Withdraw an absence: the roles of the person count again. Raises AbsenceNotRecorded."""
    member = (await store.lock(tx, context.cipher, member_id)).without_absence(absence)
    await store.update_absence(tx, member_id, absence, context.now)
    return await _save(tx, member, context)


async def end_sessions(
    tx: Transaction,
    member_id: str,
    context: CommandContext,
    *,
    may_end: Callable[[StaffMember], None] = lambda _member: None,
) -> StaffMember:
    """Void all tokens of a person that were issued before now."""
    member = await store.lock(tx, context.cipher, member_id)
    may_end(member)
    return await _save(tx, member.without_sessions(context.now), context)


def _identity_index(person: NewMember, context: CommandContext) -> bytes:
    return context.cipher.blind_index(f"staff:{person.identity}")


async def _link(tx: Transaction, member_id: str, account: Account, now: datetime) -> None:
    holder = await store.insert_account(tx, member_id, account, now)
    if holder is not None:
        raise AccountLinked(field="account", subject=account.subject, name=member_name(holder))


async def _save(tx: Transaction, member: StaffMember, context: CommandContext) -> StaffMember:
    member = replace(member, revision=member.revision + 1)
    await store.update(tx, member)
    return await _publish(tx, member, context)


async def _publish(tx: Transaction, member: StaffMember, context: CommandContext) -> StaffMember:
    """Publish the entry, and keep it in this service's own local copy."""
    event = events.staff_changed(member)
    await outbox.add(tx, event, context.now)
    await on_staff_changed(tx, event, context)
    return member


def _require_other(member: StaffMember, context: CommandContext) -> None:
    """Raise OwnGrant if the caller or the signer is this person, under any account."""
    if member.name in {context.member, signatures.signer()}:
        raise OwnGrant(field="name")
