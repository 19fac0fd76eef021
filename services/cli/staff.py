"""`oip staff`: the register of persons who act, their accounts, roles and absences."""

from __future__ import annotations

import getpass
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias, TypeVar

import typer
from google.type import date_pb2
from oip.staff.v1 import staff_pb2, staff_pb2_grpc
from rich.table import Table

from services.cli.connection import Refused, connection_of, day_of, fen_of, run
from services.cli.output import new_wide_console
from services.kernel.money import Fen
from services.runtime.rpc.access import role_name, role_names, role_of
from services.runtime.rpc.wire import date_to_wire, enum_number

app = typer.Typer(no_args_is_help=True, help="Keep the staff register (人员名册).")

R = TypeVar("R")

PAGE_SIZE = 1000
CODES = {
    "left": staff_pb2.LEFT,
    "other-duties": staff_pb2.OTHER_DUTIES,
    "mistake": staff_pb2.GRANTED_BY_MISTAKE,
    "misuse": staff_pb2.MISUSE,
}

Stub: TypeAlias = "staff_pb2_grpc.StaffServiceAsyncStub"
Member = Annotated[str, typer.Argument(help="Person, for example staffMembers/p1.")]
AccountText = Annotated[
    str, typer.Argument(help="Account: issuer and subject of its tokens, with a blank between.")
]
RequestId = Annotated[str, typer.Option(help="Id of an earlier attempt whose outcome is unknown.")]
Platform = Annotated[
    str, typer.Option(help="Act as the administrator of this platform (credit code).")
]


@app.command("list")
def list_members(
    context: typer.Context,
    role: Annotated[str, typer.Option(help="Only persons with this role today.")] = "",
    platform: Platform = "",
) -> None:
    """List the persons of the register; a platform administrator sees those of the platform."""

    async def call(stub: Stub) -> list[staff_pb2.StaffMember]:
        members: list[staff_pb2.StaffMember] = []
        request = staff_pb2.ListStaffMembersRequest(
            page_size=PAGE_SIZE, role=_role_of(role) if role else enum_number(0)
        )
        while True:
            page = await stub.ListStaffMembers(request)
            members += page.staff_members
            if not page.next_page_token:
                return members
            request.page_token = page.next_page_token

    table = Table("person", "name", "accounts", "roles")
    for member in _call(context, call, platform):
        roles = [role_name(g.role) for g in member.grants if not g.HasField("revoke_time")]
        subjects = [account.subject for account in member.accounts]
        table.add_row(member.name, member.display_name, ", ".join(subjects), ", ".join(roles))
    new_wide_console().print(table)


@app.command()
def show(context: typer.Context, name: Member, platform: Platform = "") -> None:
    """Show a person with accounts, grants and absences."""
    request = staff_pb2.GetStaffMemberRequest(name=name)
    _print(_call(context, lambda stub: stub.GetStaffMember(request), platform))


@app.command()
def me(context: typer.Context) -> None:
    """Show the person who calls."""
    request = staff_pb2.GetOwnStaffMemberRequest()
    _print(_call(context, lambda stub: stub.GetOwnStaffMember(request)))


@app.command()
def register(
    context: typer.Context,
    display_name: Annotated[str, typer.Argument(help="The person's name.")],
    account: Annotated[list[str], typer.Argument(help="Accounts, as `issuer subject`.")],
    request_id: RequestId = "",
) -> None:
    """Register a person. The identity number is read from the terminal or from standard input."""
    request = staff_pb2.RegisterStaffMemberRequest(
        request_id=request_id or _new_id(),
        display_name=display_name,
        identity_number=_identity_number(),
        accounts=[_account_of(text) for text in account],
    )
    _print(_call(context, lambda stub: stub.RegisterStaffMember(request)))


@app.command()
def invite(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    platform: Annotated[str, typer.Argument(help="Credit code of the own platform.")],
    display_name: Annotated[str, typer.Argument(help="The colleague's name.")],
    account: AccountText,
    until: Annotated[str, typer.Option(help="Last day of the role.")] = "",
    request_id: RequestId = "",
) -> None:
    """Register a colleague of the own platform with the role platform."""
    request = staff_pb2.InviteColleagueRequest(
        request_id=request_id or _new_id(),
        platform=f"platforms/{platform}",
        display_name=display_name,
        identity_number=_identity_number(),
        account=_account_of(account),
        until_date=_day(until),
    )
    _print(_call(context, lambda stub: stub.InviteColleague(request), platform))


@app.command()
def link(
    context: typer.Context, name: Member, account: AccountText, request_id: RequestId = ""
) -> None:
    """Link one more account to a person."""
    request = staff_pb2.LinkAccountRequest(
        request_id=request_id or _new_id(), name=name, account=_account_of(account)
    )
    _print(_call(context, lambda stub: stub.LinkAccount(request)))


@app.command()
def unlink(
    context: typer.Context, name: Member, account: AccountText, request_id: RequestId = ""
) -> None:
    """Take an account away from a person; its tokens are void at once."""
    request = staff_pb2.UnlinkAccountRequest(
        request_id=request_id or _new_id(), name=name, account=_account_of(account)
    )
    _print(_call(context, lambda stub: stub.UnlinkAccount(request)))


@app.command()
def grant(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Member,
    role: Annotated[str, typer.Argument(help=f"One of {', '.join(role_names())}.")],
    area: Annotated[
        list[str] | None, typer.Option(help="Division code of a pooling area; default: all.")
    ] = None,
    platform: Annotated[str, typer.Option(help="Credit code, for roles of platforms.")] = "",
    from_day: Annotated[str, typer.Option("--from", help="First day; default: today.")] = "",
    until: Annotated[str, typer.Option(help="Last day; default: no end.")] = "",
    day_limit: Annotated[
        str, typer.Option(help="The most to move in a day, in yuan; default: the general cap.")
    ] = "0",
    request_id: RequestId = "",
) -> None:
    """Grant a role to a person."""
    request = staff_pb2.GrantRoleRequest(
        request_id=request_id or _new_id(),
        name=name,
        grant=staff_pb2.NewGrant(
            role=_role_of(role),
            areas=area or [],
            platform=f"platforms/{platform}" if platform else "",
            day_limit_fen=fen_of(day_limit).count,
            from_date=_day(from_day),
            until_date=_day(until),
        ),
    )
    _print(_call(context, lambda stub: stub.GrantRole(request)))


@app.command()
def revoke(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Grant, for example staffMembers/p1/grants/2.")],
    code: Annotated[str, typer.Option(help=f"Why: one of {', '.join(CODES)}.")],
    note: Annotated[str, typer.Option(help="What happened.")] = "",
    platform: Platform = "",
    request_id: RequestId = "",
) -> None:
    """Revoke a grant at once."""
    if code not in CODES:
        raise Refused(f"{code} is no reason; choose one of {', '.join(CODES)}.")
    request = staff_pb2.RevokeRoleRequest(
        request_id=request_id or _new_id(), name=name, code=CODES[code], note=note
    )
    _print(_call(context, lambda stub: stub.RevokeRole(request), platform))


@app.command()
def absence(
    context: typer.Context,
    name: Member,
    first: Annotated[str, typer.Argument(help="First day.")],
    last: Annotated[str, typer.Argument(help="Last day.")],
    request_id: RequestId = "",
) -> None:
    """Record days on which a person does not act; the roles rest on them."""
    request = staff_pb2.RecordStaffAbsenceRequest(
        request_id=request_id or _new_id(),
        name=name,
        absence=staff_pb2.Absence(from_date=_day(first), until_date=_day(last)),
    )
    _print(_call(context, lambda stub: stub.RecordStaffAbsence(request)))


@app.command()
def withdraw_absence(
    context: typer.Context,
    name: Member,
    first: Annotated[str, typer.Argument(help="First day as recorded.")],
    last: Annotated[str, typer.Argument(help="Last day as recorded.")],
    request_id: RequestId = "",
) -> None:
    """Withdraw an absence that was recorded by mistake or has ended early."""
    request = staff_pb2.WithdrawStaffAbsenceRequest(
        request_id=request_id or _new_id(),
        name=name,
        absence=staff_pb2.Absence(from_date=_day(first), until_date=_day(last)),
    )
    _print(_call(context, lambda stub: stub.WithdrawStaffAbsence(request)))


@app.command()
def end_sessions(
    context: typer.Context, name: Member, platform: Platform = "", request_id: RequestId = ""
) -> None:
    """Void every token of a person that was issued before now."""
    request = staff_pb2.EndSessionsRequest(request_id=request_id or _new_id(), name=name)
    _print(_call(context, lambda stub: stub.EndSessions(request), platform))


def _call(context: typer.Context, work: Callable[[Stub], Awaitable[R]], platform: str = "") -> R:
    """Call the register as an administrator, or as that of a platform."""
    role = "platform_administrator" if platform else "administrator"
    connection = connection_of(context)

    async def call() -> R:
        async with connection.channels(role, platform=platform) as channels:
            return await work(channels.stub(staff_pb2_grpc.StaffServiceStub, "staff"))

    return run(call)


def _print(member: staff_pb2.StaffMember) -> None:
    typer.echo(f"{member.name}: {member.display_name}")
    for account in member.accounts:
        typer.echo(f"  account {account.issuer} {account.subject}")
    for grant in member.grants:
        typer.echo(f"  {grant.name}: {_grant_text(grant)}")
    for days in member.absences:
        typer.echo(f"  absent {_day_text(days.from_date)} to {_day_text(days.until_date)}")
    if member.HasField("tokens_not_before"):
        typer.echo(f"  sessions ended {member.tokens_not_before.ToJsonString()}")


def _grant_text(grant: staff_pb2.RoleGrant) -> str:
    parts = [role_name(grant.role), f"from {_day_text(grant.from_date)}"]
    if grant.HasField("until_date"):
        parts.append(f"until {_day_text(grant.until_date)}")
    if grant.platform:
        parts.append(f"for {grant.platform}")
    if grant.areas:
        parts.append(f"in {', '.join(grant.areas)}")
    if grant.day_limit_fen:
        parts.append(f"at most {Fen(grant.day_limit_fen).yuan} yuan a day")
    if grant.HasField("revoke_time"):
        code = staff_pb2.RevocationCode.Name(grant.revocation_code)
        parts.append(f"revoked {grant.revoke_time.ToJsonString()} ({code}) {grant.revocation_note}")
    return " ".join(parts).rstrip()


def _identity_number() -> str:
    """The number, without showing it; an argument would stay in the shell's history."""
    return getpass.getpass("Identity number: ") if _has_terminal() else input()


def _has_terminal() -> bool:
    return typer.get_text_stream("stdin").isatty()


def _account_of(text: str) -> staff_pb2.Account:
    issuer, blank, subject = text.partition(" ")
    if not blank:
        raise Refused(f"{text} is not an account; write issuer and subject with a blank between.")
    return staff_pb2.Account(issuer=issuer, subject=subject)


def _role_of(text: str) -> Any:
    try:
        return enum_number(role_of(text))
    except ValueError:
        raise Refused(f"{text} is not a role; the roles are {', '.join(role_names())}.") from None


def _day(text: str) -> date_pb2.Date | None:
    return date_to_wire(day_of(text)) if text else None


def _day_text(day: date_pb2.Date) -> str:
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def _new_id() -> str:
    return f"staff-{uuid.uuid4().hex}"
