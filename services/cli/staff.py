"""`oip staff`: the register of persons who act, their accounts, roles and absences."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

import typer
from google.type import date_pb2
from oip.staff.v1 import staff_pb2, staff_pb2_grpc

from services.cli.apis import STAFF
from services.cli.connection import (
    Refused,
    connection_of,
    day_of,
    fen_of,
    new_request_id,
)
from services.cli.fields import choice_in, choices_in
from services.cli.messages import show_message
from services.cli.refusals import not_a_choice
from services.cli.steps import REQUEST_ID
from services.cli.view import say
from services.runtime.rpc.roles import role_names, role_of
from services.runtime.rpc.wire import date_to_wire, enum_number

app = typer.Typer(no_args_is_help=True, help="Keep the staff register (人员名册).")

CODE = staff_pb2.RevocationCode.DESCRIPTOR

Stub: TypeAlias = "staff_pb2_grpc.StaffServiceAsyncStub"
Member = Annotated[str, typer.Argument(help="Person, for example staffMembers/p1.")]
AccountText = Annotated[
    str, typer.Argument(help="Account: issuer and subject of its tokens, with a blank between.")
]
RequestId = Annotated[str, typer.Option(help=REQUEST_ID)]
Platform = Annotated[
    str, typer.Option(help="Act as the administrator of this platform (credit code).")
]


@app.command()
def me(context: typer.Context) -> None:
    """Show the person who calls."""
    request = staff_pb2.GetOwnStaffMemberRequest()
    _show(context, lambda stub: stub.GetOwnStaffMember(request))


@app.command()
def register(
    context: typer.Context,
    display_name: Annotated[str, typer.Argument(help="The person's name.")],
    account: Annotated[list[str], typer.Argument(help="Accounts, as `issuer subject`.")],
    request_id: RequestId = "",
) -> None:
    """Register a person. The identity number is read from the terminal or from standard input."""
    request = staff_pb2.RegisterStaffMemberRequest(
        request_id=new_request_id("staff", request_id),
        display_name=display_name,
        accounts=[_account_of(text) for text in account],
        identity_number=_identity_number(),
    )
    _show(context, lambda stub: stub.RegisterStaffMember(request))


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
        request_id=new_request_id("staff", request_id),
        platform=f"platforms/{platform}",
        display_name=display_name,
        account=_account_of(account),
        until_date=_day(until),
        identity_number=_identity_number(),
    )
    _show(context, lambda stub: stub.InviteColleague(request), platform)


@app.command()
def link(
    context: typer.Context, name: Member, account: AccountText, request_id: RequestId = ""
) -> None:
    """Link one more account to a person."""
    request = staff_pb2.LinkAccountRequest(
        request_id=new_request_id("staff", request_id), name=name, account=_account_of(account)
    )
    _show(context, lambda stub: stub.LinkAccount(request))


@app.command()
def unlink(
    context: typer.Context, name: Member, account: AccountText, request_id: RequestId = ""
) -> None:
    """Take an account away from a person; its tokens are void at once."""
    request = staff_pb2.UnlinkAccountRequest(
        request_id=new_request_id("staff", request_id), name=name, account=_account_of(account)
    )
    _show(context, lambda stub: stub.UnlinkAccount(request))


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
        request_id=new_request_id("staff", request_id),
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
    _show(context, lambda stub: stub.GrantRole(request))


@app.command()
def revoke(  # noqa: PLR0917 - typer calls it by name
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Grant, for example staffMembers/p1/grants/2.")],
    code: Annotated[str, typer.Option(help=f"Why: one of {', '.join(choices_in(CODE))}.")],
    note: Annotated[str, typer.Option(help="What happened.")] = "",
    platform: Platform = "",
    request_id: RequestId = "",
) -> None:
    """Revoke a grant at once."""
    request = staff_pb2.RevokeRoleRequest(
        request_id=new_request_id("staff", request_id),
        name=name,
        code=choice_in(CODE, code),
        note=note,
    )
    _show(context, lambda stub: stub.RevokeRole(request), platform)


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
        request_id=new_request_id("staff", request_id),
        name=name,
        absence=staff_pb2.Absence(from_date=_day(first), until_date=_day(last)),
    )
    _show(context, lambda stub: stub.RecordStaffAbsence(request))


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
        request_id=new_request_id("staff", request_id),
        name=name,
        absence=staff_pb2.Absence(from_date=_day(first), until_date=_day(last)),
    )
    _show(context, lambda stub: stub.WithdrawStaffAbsence(request))


@app.command()
def end_sessions(
    context: typer.Context, name: Member, platform: Platform = "", request_id: RequestId = ""
) -> None:
    """Void every token of a person that was issued before now."""
    request = staff_pb2.EndSessionsRequest(
        request_id=new_request_id("staff", request_id), name=name
    )
    _show(context, lambda stub: stub.EndSessions(request), platform)


def _show(
    context: typer.Context,
    work: Callable[[Stub], Awaitable[staff_pb2.StaffMember]],
    platform: str = "",
) -> None:
    """Call the register as an administrator, or as that of a platform, and show the person."""
    role = "platform_administrator" if platform else "administrator"
    show_message(connection_of(context).call(STAFF, work, role, platform=platform))


def _identity_number() -> str:
    """The number, without showing it; an argument would stay in the shell's history."""
    try:
        if _has_terminal():
            return getpass.getpass(say("Identity number: ", "证件号码: "))
        return input()
    except EOFError:
        raise Refused(
            "There is no identity number on the standard input; write it there as one line.",
            "标准输入中没有证件号码; 请写入一行。",
        ) from None


def _has_terminal() -> bool:
    return typer.get_text_stream("stdin").isatty()


def _account_of(text: str) -> staff_pb2.Account:
    issuer, blank, subject = text.partition(" ")
    if not blank:
        raise Refused(
            "{text} is not an account; write issuer and subject with a blank between.",
            "{text} 不是账号; 请填写签发方和账号, 以空格分隔。",
            text=text,
        )
    return staff_pb2.Account(issuer=issuer, subject=subject)


def _role_of(text: str) -> Any:
    try:
        return enum_number(role_of(text))
    except ValueError:
        raise not_a_choice(text, role_names()) from None


def _day(text: str) -> date_pb2.Date | None:
    return date_to_wire(day_of(text)) if text else None
