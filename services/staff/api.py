"""RPCs of the staff register: parse, call a command or a query in a transaction, format."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import date

from google.protobuf.message import Message
from oip.staff.v1 import staff_pb2, staff_pb2_grpc

from services.kernel import names
from services.kernel.phrases import label
from services.kernel.problems import Malformed, NotFound
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, date_from_wire, moment_to_wire
from services.runtime.service import signatures
from services.runtime.service.context import CommandContext, ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction
from services.staff.commands import members as commands
from services.staff.domain.members import (
    Absence,
    Account,
    NewMember,
    Revocation,
    RevocationCode,
    StaffMember,
    absence_of,
    account_of,
    accounts_of,
    display_name_of,
    identity_of,
)
from services.staff.domain.roles import NewGrant, Role, grant_of
from services.staff.events import absence_to_wire, grant_to_wire
from services.staff.store import members as member_store


class StaffApi(staff_pb2_grpc.StaffServiceServicer):
    """Keeps the register of persons who act."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def RegisterStaffMember(
        self, request: staff_pb2.RegisterStaffMemberRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Register a person with accounts."""
        accounts = [
            account_of(account.issuer, account.subject, f"accounts[{index}]")
            for index, account in enumerate(request.accounts)
        ]
        person = person_from_wire(request, accounts)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.register_member(
                tx, f"{caller().key}/{request.request_id}", person, command
            )

        return await self._change(request, work)

    async def InviteColleague(
        self, request: staff_pb2.InviteColleagueRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Register a colleague of the caller's platform."""
        platform = _own_platform(request.platform)
        person = person_from_wire(request, [account_from_wire(request.account)])
        until = (
            date_from_wire(request.until_date, "until_date")
            if request.HasField("until_date")
            else None
        )

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            grant = grant_of(Role.PLATFORM.value, (), platform, 0, (command.today, until))
            return await commands.invite_colleague(
                tx, f"{caller().key}/{request.request_id}", person, grant, command
            )

        return await self._change(request, work)

    async def LinkAccount(
        self, request: staff_pb2.LinkAccountRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Link one more account."""
        member_id = member_id_of(request.name)
        account = account_from_wire(request.account)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.link_account(tx, member_id, account, command)

        return await self._change(request, work)

    async def UnlinkAccount(
        self, request: staff_pb2.UnlinkAccountRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Take an account away."""
        member_id = member_id_of(request.name)
        account = account_from_wire(request.account)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.unlink_account(tx, member_id, account, command)

        return await self._change(request, work)

    async def GrantRole(
        self, request: staff_pb2.GrantRoleRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Grant a role."""
        member_id = member_id_of(request.name)
        grant = grant_from_wire(request.grant, self._context.command().today)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.grant_role(tx, member_id, grant, command)

        return await self._change(request, work)

    async def RevokeRole(
        self, request: staff_pb2.RevokeRoleRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Revoke a grant; a platform administrator those of its own platform."""
        member_id, number = grant_id_of(request.name)
        code = revocation_code_of(request.code)
        note = request.note.strip()

        def may_revoke(member: StaffMember) -> None:
            who = caller()
            if who.is_platform and member.grant_of(number).grant.platform != who.platform:
                raise NotFound(name=request.name)
            if who.is_platform:
                # The platform alone decides who acts for it.
                signatures.note_act("")

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            revocation = Revocation(command.now, code, note)
            return await commands.revoke_role(
                tx, (member_id, number), revocation, command, may_revoke=may_revoke
            )

        return await self._change(request, work)

    async def RecordStaffAbsence(
        self, request: staff_pb2.RecordStaffAbsenceRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Record days on which a person does not act."""
        member_id, absence = member_id_of(request.name), absence_from_wire(request.absence)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.record_absence(tx, member_id, absence, command)

        return await self._change(request, work)

    async def WithdrawStaffAbsence(
        self, request: staff_pb2.WithdrawStaffAbsenceRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Withdraw an absence."""
        member_id, absence = member_id_of(request.name), absence_from_wire(request.absence)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.withdraw_absence(tx, member_id, absence, command)

        return await self._change(request, work)

    async def EndSessions(
        self, request: staff_pb2.EndSessionsRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """Void the tokens of a person."""
        member_id = member_id_of(request.name)

        async def work(tx: Transaction, command: CommandContext) -> StaffMember:
            return await commands.end_sessions(tx, member_id, command, may_end=_require_own)

        return await self._change(request, work)

    async def GetStaffMember(
        self, request: staff_pb2.GetStaffMemberRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """One person."""
        member_id = member_id_of(request.name)

        async def work(tx: Transaction) -> staff_pb2.StaffMember:
            member = await member_store.get(tx, self._context.cipher, member_id)
            _require_visible(member)
            return member_to_wire(member)

        return await read(self._context, work)

    async def GetOwnStaffMember(
        self, request: staff_pb2.GetOwnStaffMemberRequest, context: Context
    ) -> staff_pb2.StaffMember:
        """The person who calls."""
        member_id = member_id_of(caller().member)

        async def work(tx: Transaction) -> staff_pb2.StaffMember:
            return member_to_wire(await member_store.get(tx, self._context.cipher, member_id))

        return await read(self._context, work)

    async def ListStaffMembers(
        self, request: staff_pb2.ListStaffMembersRequest, context: Context
    ) -> staff_pb2.ListStaffMembersResponse:
        """The persons of the register; a platform administrator sees those of its own platform."""
        page = page_of(request, int)
        (after,) = page.after or (0,)
        role = role_of(request.role) if request.role else None
        command = self._context.command()
        platform = caller().platform if caller().is_platform else ""

        async def work(tx: Transaction) -> staff_pb2.ListStaffMembersResponse:
            rows = await member_store.list_by_position(
                tx,
                command.cipher,
                after,
                page.size,
                platform=platform,
                role=role,
                today=command.today,
            )
            return staff_pb2.ListStaffMembersResponse(
                staff_members=[member_to_wire(member) for _, member in rows],
                next_page_token=page.next_token(rows, lambda row: (row[0],)),
            )

        return await read(self._context, work)

    async def _change(
        self,
        request: Message,
        work: Callable[[Transaction, CommandContext], Awaitable[StaffMember]],
    ) -> staff_pb2.StaffMember:
        command = self._context.command()

        async def work_to_wire(tx: Transaction) -> staff_pb2.StaffMember:
            return member_to_wire(await work(tx, command))

        answer = await change(
            self._context,
            request,
            staff_pb2.StaffMember,
            work_to_wire,
            resource=lambda member: member.name,
        )
        self._context.forget_staff()
        return answer


# Parse


def member_id_of(name: str) -> str:
    """The id in `staffMembers/{id}`; raises Malformed."""
    (member_id,) = names.parse(name, "staffMembers")
    return member_id


def grant_id_of(name: str) -> tuple[str, int]:
    """The person's id and the number in `staffMembers/{id}/grants/{number}`."""
    member_id, number = names.parse(name, "staffMembers", "grants")
    if not number.isascii() or not number.isdigit() or len(number) > 6:
        raise NotFound(name=name)
    return member_id, int(number)


def person_from_wire(
    request: staff_pb2.RegisterStaffMemberRequest | staff_pb2.InviteColleagueRequest,
    accounts: Sequence[Account],
) -> NewMember:
    """The person to register; raises Malformed."""
    return NewMember(
        display_name_of(request.display_name),
        identity_of(request.identity_number),
        accounts_of(accounts),
    )


def account_from_wire(account: staff_pb2.Account) -> Account:
    """The account in a request; raises Malformed."""
    return account_of(account.issuer, account.subject)


def absence_from_wire(absence: staff_pb2.Absence) -> Absence:
    """The days in a request; raises Malformed."""
    return absence_of(
        date_from_wire(absence.from_date, "absence.from_date"),
        date_from_wire(absence.until_date, "absence.until_date"),
    )


def grant_from_wire(grant: staff_pb2.NewGrant, today: date) -> NewGrant:
    """The grant in a request; without a first day it begins today."""
    platform = ""
    if grant.platform:
        (platform,) = names.parse(grant.platform, "platforms", field="grant.platform")
    from_date = (
        date_from_wire(grant.from_date, "grant.from_date") if grant.HasField("from_date") else today
    )
    until_date = (
        date_from_wire(grant.until_date, "grant.until_date")
        if grant.HasField("until_date")
        else None
    )
    return grant_of(grant.role, grant.areas, platform, grant.day_limit_fen, (from_date, until_date))


def role_of(number: int) -> Role:
    """A role of the register; raises Malformed."""
    try:
        return Role(number)
    except ValueError:
        raise Malformed.choice(
            "role", (label("oip.type.v1.Access.Role", role.name) for role in Role)
        ) from None


def revocation_code_of(number: int) -> RevocationCode:
    """Why a grant is revoked; raises Malformed."""
    try:
        return RevocationCode(number)
    except ValueError:
        raise Malformed.choice("code", RevocationCode) from None


def _own_platform(name: str) -> str:
    (code,) = names.parse(name, "platforms", field="platform")
    caller().require_platform(code)
    return code


def _require_visible(member: StaffMember) -> None:
    """Raise NotFound for a platform administrator and a person of others."""
    who = caller()
    if who.is_platform and not member.acts_for(who.platform):
        raise NotFound(name=member.name)


def _require_own(member: StaffMember) -> None:
    """Raise NotFound for a platform administrator and a person who also acts for others."""
    who = caller()
    if who.is_platform and not member.acts_only_for(who.platform):
        raise NotFound(name=member.name)


# Format


def member_to_wire(member: StaffMember) -> staff_pb2.StaffMember:
    """A person; a platform administrator sees the grants of its own platform alone."""
    who = caller()
    grants = [
        grant
        for grant in member.grants
        if not who.is_platform or grant.grant.platform == who.platform
    ]
    ended = member.tokens_not_before
    return staff_pb2.StaffMember(
        name=member.name,
        display_name=member.display_name,
        accounts=[
            staff_pb2.Account(issuer=account.issuer, subject=account.subject)
            for account in member.accounts
        ],
        grants=[grant_to_wire(member.name, grant) for grant in grants],
        absences=[absence_to_wire(absence) for absence in member.absences],
        tokens_not_before=moment_to_wire(ended) if ended else None,
        create_time=moment_to_wire(member.create_time),
        revision=member.revision,
    )
