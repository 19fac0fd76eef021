"""A platform declares the orders of a month, next to those that are held."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.backend import refusal_of
from services.console.forms import Ask
from services.console.pages import PLATFORM, Page
from services.console.steps import Step, Target, request_id_of, take
from services.console.values import Formatter
from services.console.visit import Visit
from services.kernel.periods import Month
from services.runtime.rpc.wire import enum_number, month_to_wire

COUNT = re.compile(r"[0-9][0-9,]{0,12}", re.ASCII)
PLATFORM_ADMINISTRATOR = frozenset({"platform_administrator"})
INVITE = Step(
    "invited",
    "oip.staff.v1.StaffService.InviteColleague",
    ("Which colleague do you invite?", "邀请哪位同事？"),
    (
        "The colleague acts for your company, with an account of the identity provider.",
        "该同事以统一身份认证账号代表本企业办理业务。",
    ),
    (
        Ask("display_name", ("Name", "姓名"), required=True),
        Ask("identity_number", ("Identity number", "证件号码"), required=True),
        Ask("account.issuer", ("Provider of the account", "账号所属认证系统"), required=True),
        Ask("account.subject", ("Account", "账号"), required=True),
        Ask("until_date", ("Until", "截止日期")),
    ),
    done=("The colleague is invited.", "已邀请。"),
)


@dataclass(frozen=True)
class Line:
    """An area and an industry: what is held, and what is declared."""

    key: str
    pooling_area: str
    industry: int
    industry_text: str
    held_count: int
    declared: str
    is_wrong: bool


async def declare(visit: Visit) -> Response:
    """Declare a month by pooling area and industry."""
    try:
        month = Month.parse(visit.query("month") or visit.entry("month"))
    except ValueError:
        month = Month(visit.today.year, visit.today.month).plus(-1)
    lines = await _lines(visit, month)
    refusal, declaration = "", None
    if visit.is_post and not any(line.is_wrong for line in lines):
        try:
            declaration = await _declare(visit, month, lines)
        except grpc.RpcError as error:
            problem = refusal_of(error)
            if problem.is_unreachable or problem.code is grpc.StatusCode.UNAUTHENTICATED:
                raise
            refusal = failures.sentence_of(visit, problem)
    wrong = visit.is_post and declaration is None
    return visit.page(
        "declaration.html",
        status=400 if wrong else 200,
        month=month,
        lines=lines,
        refusal=refusal,
        declaration=declaration,
        request_id=request_id_of(visit),
    )


async def _lines(visit: Visit, month: Month) -> list[Line]:
    order_counts = await _held(visit, month)
    formatter = Formatter(visit.language)
    described = premiums_pb2.PremiumLine.DESCRIPTOR.fields_by_name["industry"].enum_type
    lines = []
    for (area, industry), count in sorted(order_counts.items()):
        key = f"count.{area}.{industry}"
        text = visit.entry(key, str(count)).strip()
        lines.append(
            Line(
                key,
                area,
                industry,
                formatter.enum(described, industry).text,
                count,
                text,
                visit.is_post and not COUNT.fullmatch(text),
            )
        )
    return lines


async def _held(visit: Visit, month: Month) -> dict[tuple[str, int], int]:
    """The orders of the month that are held, by pooling area and industry."""
    stub = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    request = premiums_pb2.ListAccrualsRequest(
        platform=f"platforms/{visit.person.platform}",
        month=month_to_wire(month),
        page_size=1000,
    )
    order_counts: dict[tuple[str, int], int] = {}
    while True:
        answer = await stub.ListAccruals(request)
        for row in answer.accruals:
            place = (row.pooling_area, int(row.industry))
            order_counts[place] = order_counts.get(place, 0) + row.order_count
        request.page_token = answer.next_page_token
        if not request.page_token:
            return order_counts


async def _declare(visit: Visit, month: Month, lines: list[Line]) -> Any:
    stub = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    request = premiums_pb2.DeclarePremiumRequest(
        request_id=request_id_of(visit),
        platform=f"platforms/{visit.person.platform}",
        month=month_to_wire(month),
    )
    for line in lines:
        request.rows.add(
            pooling_area=line.pooling_area,
            industry=enum_number(line.industry),
            order_count=int(line.declared.replace(",", "")),
        )
    return await stub.DeclarePremium(request)


async def invite(visit: Visit) -> Response:
    """Invite a colleague of the own company."""
    target = Target(
        visit.person.platform,
        "/records/staff-members",
        {"platform": f"platforms/{visit.person.platform}"},
    )
    return await take(visit, INVITE, target)


PAGES = (
    Page("/premiums/declare", declare, PLATFORM, takes_form=True),
    Page("/colleagues/invite", invite, PLATFORM_ADMINISTRATOR, takes_form=True),
)
