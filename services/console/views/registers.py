"""Registers of the operator: platforms, and the staff with their roles."""

from __future__ import annotations

from typing import Any

from oip.staff.v1 import staff_pb2, staff_pb2_grpc
from starlette.responses import Response

from services.console.facts import parts_of
from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import ADMINISTRATOR, Page
from services.console.steps import Step, Target, done_text, take
from services.console.values import Cell, Formatter, day_text, text_cell
from services.console.visit import Visit
from services.kernel.phrases import label

STAFF = "oip.staff.v1.StaffService"
ROLES = "oip.type.v1.Access.Role"
# The roles of the register; others are of agents and of services.
_OFFICES = (
    "ADJUDICATOR",
    "APPRAISER",
    "FUND_OFFICER",
    "FUND_APPROVER",
    "ADMINISTRATOR",
    "SPECIALIST",
    "PLATFORM",
    "PLATFORM_ADMINISTRATOR",
)
REGISTER = Step(
    "registered",
    "oip.enrolment.v1.EnrolmentService.RegisterPlatform",
    ("Which company is registered?", "登记哪家平台企业？"),
    asks=(
        Ask("credit_code", required=True),
        Ask("display_name", ("Name", "企业名称"), required=True),
        Ask("industries", required=True),
    ),
    done=("The platform is registered.", "平台企业已登记。"),
)
GRANT = Step(
    "grant",
    f"{STAFF}.GrantRole",
    ("Which role does the person get?", "授予哪项角色？"),
    (
        "The grant is an act of two administrators: another one signs it.",
        "授权须经另一名管理员复核签批。",
    ),
    (
        Ask("grant.role", ("Role", "角色"), required=True, choices=_OFFICES),
        Ask(
            "grant.areas",
            ("Pooling areas, one a line", "统筹地区，每行一个"),
            ("Empty for all.", "不填为全省。"),
        ),
        Ask("grant.platform", ("Platform, for its own people", "平台企业（企业人员）")),
        Ask("grant.day_limit_fen", ("Most in a day (yuan)", "每日限额（元）")),
        Ask("grant.from_date", ("From", "起始日期")),
        Ask("grant.until_date", ("Until", "截止日期")),
    ),
    done=("The role is granted.", "已授权。"),
)
REVOKE = Step(
    "revoke",
    f"{STAFF}.RevokeRole",
    ("Why is the role revoked?", "撤销角色的原因是什么？"),
    asks=(Ask("code", ("Reason", "原因"), required=True), Ask("note", ("Note", "说明"))),
    done=("The role is revoked.", "角色已撤销。"),
)
END_SESSIONS = Step(
    "sessions",
    f"{STAFF}.EndSessions",
    ("End all sessions of the person?", "是否终止该人员的全部会话？"),
    ("Every token that was issued before now is void.", "此前签发的令牌全部失效。"),
    done=("The sessions are ended.", "会话已终止。"),
)
STEPS = {step.name: step for step in (GRANT, END_SESSIONS)}


async def register_platform(visit: Visit) -> Response:
    """Register a company."""
    target = Target(visit.say("Platforms", "平台企业"), "/records/platforms")
    return await take(visit, REGISTER, target)


def _name(_: Visit, member: Any) -> Cell:
    return text_cell(member.display_name, href=f"/staff/{member.name.rpartition('/')[2]}")


def _roles(visit: Visit, member: Any) -> Cell:
    standing = [grant for grant in member.grants if not grant.HasField("revoke_time")]
    formatter = Formatter(visit.language)
    names = dict.fromkeys(formatter.of(grant, "role").text for grant in standing)
    return text_cell(("、" if visit.language.value == "zh" else ", ").join(names))


def _accounts(_: Visit, member: Any) -> Cell:
    return text_cell("、".join(account.subject for account in member.accounts))


LISTING = Listing(
    f"{STAFF}.ListStaffMembers",
    "staff_members",
    ("Staff register", "人员名册"),
    (
        Column("display_name", ("Person", "姓名"), _name),
        Column("roles", ("Roles", "角色"), _roles),
        Column("accounts", None, _accounts),
        Column("create_time"),
    ),
    nothing=("Nobody is registered.", "尚无人员。"),
)


async def staff(visit: Visit) -> Response:
    """The persons of the register."""
    return await show(visit, LISTING, back="/operations", done="")


async def _load(visit: Visit) -> Any:
    stub = visit.stub(staff_pb2_grpc.StaffServiceStub, "staff")
    name = f"staffMembers/{visit.path('id')}"
    return await stub.GetStaffMember(staff_pb2.GetStaffMemberRequest(name=name))


async def member_page(visit: Visit) -> Response:
    """One person: accounts, roles, absences."""
    member = await _load(visit)
    return visit.page(
        "member.html",
        member=member,
        number=visit.path("id"),
        grants=[
            (
                grant.name.rpartition("/")[2],
                label(ROLES, _role(grant)).text(visit.language),
                grant,
                day_text(grant.from_date),
                day_text(grant.until_date),
            )
            for grant in member.grants
        ],
        parts_shown=parts_of(member, visit.language, without={"grants", "name", "display_name"}),
        done=done_text(visit, (GRANT, REVOKE, END_SESSIONS)),
    )


def _role(grant: Any) -> str:
    return str(grant.DESCRIPTOR.fields_by_name["role"].enum_type.values_by_number[grant.role].name)


def _target(visit: Visit, member: Any, name: str) -> Target:
    return Target(
        member.display_name,
        f"/staff/{visit.path('id')}",
        {"name": name},
        member.revision,
        [(visit.say("Roles", "角色"), _roles(visit, member))],
    )


async def step(visit: Visit) -> Response:
    """Grant a role, or end sessions."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    member = await _load(visit)
    return await take(visit, chosen, _target(visit, member, member.name))


async def revoke(visit: Visit) -> Response:
    """Revoke a role."""
    member = await _load(visit)
    name = f"{member.name}/grants/{visit.path('grant')}"
    return await take(visit, REVOKE, _target(visit, member, name))


PAGES = (
    Page("/platforms/register", register_platform, ADMINISTRATOR, takes_form=True),
    Page("/staff", staff, ADMINISTRATOR),
    Page("/staff/{id}", member_page, ADMINISTRATOR),
    Page("/staff/{id}/grants/{grant}/revoke", revoke, ADMINISTRATOR, takes_form=True),
    *(Page(f"/staff/{{id}}/{name}", step, ADMINISTRATOR, takes_form=True) for name in STEPS),
)
