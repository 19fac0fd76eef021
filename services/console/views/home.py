"""The home page: what waits for the person, by role; and entries that waited for a sign-in."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2, claims_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.grading.v1 import grading_pb2, grading_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from starlette.responses import Response

from services.console.acts import waiting_acts
from services.console.pages import Page
from services.console.values import day_text, moment_text
from services.console.visit import Visit, or_none, together
from services.kernel.periods import Month
from services.runtime.rpc.message_fields import month_text
from services.runtime.rpc.wire import date_to_wire, month_to_wire

State = claims_pb2.Claim.State


@dataclass(frozen=True)
class Card:
    """Something that waits: its number, what it is, and where to go."""

    title: str
    number: str
    href: str
    hint: str = ""
    alerts: bool = False


async def home(visit: Visit) -> Response:
    """What waits for me."""
    parts: list[Awaitable[list[Card]]] = []
    if visit.has_role("adjudicator"):
        parts.append(_adjudicator(visit))
    if visit.has_role("platform"):
        parts.append(_platform(visit))
    if visit.has_role("appraiser", "specialist"):
        parts.append(_committee(visit))
    if visit.has_role("fund_officer", "fund_approver", "administrator"):
        parts.append(_fund(visit))
    cards = [card for part in await together(*parts) for card in part or ()]
    acts = await waiting_acts(visit) if not visit.person.platform else []
    return visit.page("home.html", cards=cards, acts=acts)


async def _adjudicator(visit: Visit) -> list[Card]:
    claims = visit.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    accidents = visit.stub(accidents_pb2_grpc.AccidentServiceStub, "claims")

    async def count(*states: int, **more: Any) -> int:
        request = claims_pb2.ListClaimsRequest(
            states=list(states),  # type: ignore[arg-type]
            page_size=1,
            count_all=True,
            **more,
        )
        return int((await claims.ListClaims(request)).total_count)

    running = (State.FILED, State.EVIDENCE_REQUESTED, State.ACCEPTED)
    filed, accepted, late, filings = await together(
        count(State.FILED),
        count(State.ACCEPTED),
        count(*running, due_by_date=date_to_wire(visit.today)),
        accidents.ListFilings(accidents_pb2.ListFilingsRequest(open_only=True, page_size=100)),
    )
    open_count = len(filings.filings) if filings else 0
    return [
        Card(
            visit.say("To check documents", "待审核材料"),
            _number(filed),
            "/claims?tab=documents",
        ),
        Card(visit.say("To determine", "待作出结论"), _number(accepted), "/claims?tab=determine"),
        Card(
            visit.say("Due today or overdue", "今日到期或超期"),
            _number(late),
            "/claims?tab=due",
            alerts=bool(late),
        ),
        Card(
            visit.say("Filings to answer", "待判断申请件"),
            _number(open_count),
            "/filings",
            visit.say("same accident or another?", "是否同一事故"),
            alerts=bool(open_count),
        ),
    ]


async def _platform(visit: Visit) -> list[Card]:
    platform = f"platforms/{visit.person.platform}"
    orders = visit.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    premiums = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    batches, gaps, bills = await together(
        orders.ListOrderBatches(
            orders_pb2.ListOrderBatchesRequest(platform=platform, page_size=1, newest_first=True)
        ),
        orders.ListOrderGaps(
            orders_pb2.ListOrderGapsRequest(
                platform=platform,
                month=month_to_wire(Month(visit.today.year, visit.today.month)),
                page_size=100,
            )
        ),
        premiums.ListPremiumBills(
            premiums_pb2.ListPremiumBillsRequest(
                platform=platform,
                states=[premiums_pb2.PremiumBill.ASSESSED],
                page_size=100,
            )
        ),
    )
    last = batches.order_batches[0] if batches and batches.order_batches else None
    gap_count = len(gaps.gaps) if gaps else 0
    unpaid = list(bills.bills) if bills else []
    due = min((day_text(bill.due_date) for bill in unpaid), default="")
    return [
        Card(
            visit.say("Last batch of orders", "最近订单批次"),
            moment_text(last.create_time) if last else visit.say("none yet", "尚无"),
            "/uploads",
        ),
        Card(
            visit.say("Gaps in the orders", "订单缺口"),
            _number(gap_count),
            "/platform",
            visit.say("days declared, held or silent", "申报、留存与静默日"),
            alerts=bool(gap_count),
        ),
        Card(
            visit.say("Bills to pay", "待缴账单"),
            _number(len(unpaid)),
            "/bills?states=ASSESSED",
            visit.say(f"next due {due}", f"最近到期 {due}") if due else "",
            alerts=bool(due) and due <= visit.today.isoformat(),
        ),
    ]


async def _committee(visit: Visit) -> list[Card]:
    grading = visit.stub(grading_pb2_grpc.GradingServiceStub, "grading")
    state = grading_pb2.Appraisal.State

    async def count(number: int) -> int:
        request = grading_pb2.ListAppraisalsRequest(
            states=[number],  # type: ignore[list-item]
            page_size=1,
            count_all=True,
        )
        return int((await grading.ListAppraisals(request)).total_count)

    opened, drawn = await together(count(state.OPENED), count(state.PANEL_DRAWN))
    return [
        Card(
            visit.say("Panels to draw", "待抽取专家"),
            _number(opened),
            "/appraisals?states=OPENED",
        ),
        Card(
            visit.say("Opinions and conclusions", "待提交意见或作出结论"),
            _number(drawn),
            "/appraisals?states=PANEL_DRAWN",
        ),
    ]


async def _fund(visit: Visit) -> list[Card]:
    fund = visit.stub(fund_pb2_grpc.FundServiceStub, "fund")
    answer = await or_none(
        fund.ListSettlementPeriods(fund_pb2.ListSettlementPeriodsRequest(page_size=100))
    )
    if answer is None:
        return []
    closed = [
        month_text(each.month)
        for each in answer.settlement_periods
        if each.state == fund_pb2.SettlementPeriod.CLOSED
    ]
    proposed = [
        month_text(each.month)
        for each in answer.settlement_periods
        if each.state == fund_pb2.SettlementPeriod.PROPOSED
    ]
    return [
        Card(
            visit.say("Last closed month", "最近结账月份"),
            max(closed, default=visit.say("none", "无")),
            "/fund",
        ),
        Card(
            visit.say("Settlements to approve", "待审批结算"),
            _number(len(proposed)),
            "/fund/settlement",
            "、".join(proposed),
            alerts=bool(proposed),
        ),
    ]


def _number(count: int | None) -> str:
    return "—" if count is None else f"{count:,}"


async def entries(visit: Visit) -> Response:
    """Entries of a form that were kept while the person signed in."""
    kept = visit.session.entries if visit.session else None
    if kept is None:
        return visit.see("/")
    return visit.page(
        "failure.html",
        heading=visit.say("Your entries were kept", "您填写的内容已保留"),
        sentence=visit.say(
            "You are signed in again. Nothing was sent yet: check the entries, and send them.",
            "您已重新登录。内容尚未提交：请核对后发送。",
        ),
        advice="",
        entries=kept.fields,
        resend=kept.path,
        had_file=False,
    )


PAGES = (Page("/", home), Page("/entries", entries))
