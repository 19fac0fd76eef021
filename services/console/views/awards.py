"""Awards of benefits: list, one with its findings; suspend, resume, end; bills of treatment."""

from __future__ import annotations

from typing import Any

from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from starlette.responses import Response

from services.console.facts import parts_of
from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import FUND, FUND_OFFICER, Page
from services.console.steps import Step, Target, done_text, take
from services.console.texts import Text
from services.console.values import Cell, Formatter, text_cell
from services.console.visit import Visit, or_none

BENEFITS = "oip.benefits.v1.BenefitService"
READERS = FUND | {"adjudicator"}
State = benefits_pb2.Award.State
_COLOURS = {State.IN_PAYMENT: "green", State.SUSPENDED: "orange", State.TERMINATED: "grey"}
STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        Step(
            "suspend",
            f"{BENEFITS}.SuspendAward",
            ("From which month is it suspended?", "自哪个月起停发？"),
            asks=(Ask("first_month", required=True), Ask("reason", ("Reason", "理由"))),
            done=("The award is suspended.", "已停发。"),
        ),
        Step(
            "resume",
            f"{BENEFITS}.ResumeAward",
            ("From which month is it paid again?", "自哪个月起恢复发放？"),
            asks=(Ask("first_month", required=True),),
            done=("The award is paid again.", "已恢复发放。"),
        ),
        Step(
            "end",
            f"{BENEFITS}.TerminateAward",
            ("With which month does it end?", "发放至哪个月为止？"),
            asks=(Ask("last_month", required=True), Ask("reason", ("Reason", "理由"))),
            done=("The award ends.", "已终止。"),
        ),
        Step(
            "reverse",
            f"{BENEFITS}.ReverseExpense",
            ("Why is the bill reversed?", "冲销该票据的原因是什么？"),
            asks=(Ask("code", ("Reason", "原因")), Ask("reason", ("In words", "说明"))),
            done=("The bill is reversed.", "已冲销。"),
            effect=("A second person signs it.", "须经另一人复核签批。"),
        ),
    )
}
EXPENSE = Step(
    "granted",
    f"{BENEFITS}.GrantExpense",
    ("Which bill came in?", "收到哪张票据？"),
    ("What the catalogue allows of it is granted.", "按目录内费用核定。"),
    (
        Ask("kind", ("Kind", "待遇种类"), required=True),
        Ask("expense_date", ("Day of the bill", "费用日期"), required=True),
        Ask("allowed_cost_fen", ("Allowed cost (yuan)", "目录内费用（元）")),
        Ask("day_count", ("Days, for meals in hospital", "住院天数（伙食补助）")),
        Ask("paid_by_third_party_fen", ("Paid by a third party (yuan)", "第三方已付（元）")),
        Ask("device", ("Device", "辅助器具")),
        Ask("institution", ("Institution", "医疗机构")),
        Ask("bill_number", ("Number of the bill", "票据号码")),
        Ask("document_hash", ("The bill as a file", "票据文件")),
    ),
    done=("The bill is granted.", "票据已核定。"),
    effect=(
        "From a sum on a second person signs it before it is paid.",
        "达到规定金额的，须经另一人复核签批后支付。",
    ),
)
_OFFERS: tuple[tuple[tuple[int, ...], str, Text], ...] = (
    ((State.IN_PAYMENT,), "suspend", ("Suspend", "停发")),
    ((State.SUSPENDED,), "resume", ("Pay again", "恢复发放")),
    ((State.IN_PAYMENT, State.SUSPENDED), "end", ("End", "终止")),
)


def _name(_: Visit, award: Any) -> Cell:
    number = award.name.rpartition("/")[2]
    return text_cell(number, href=f"/awards/{number}")


def _state(visit: Visit, award: Any) -> Cell:
    text = Formatter(visit.language).of(award, "state").text
    return text_cell(text, tag=_COLOURS.get(award.state, "grey"))


LISTING = Listing(
    f"{BENEFITS}.ListAwards",
    "awards",
    ("Awards", "待遇核定"),
    (
        Column("name", ("Award", "待遇编号"), _name),
        Column("kind"),
        Column("state", None, _state),
        Column("amount_fen"),
        Column("first_month"),
        Column("last_month"),
        Column("claim"),
    ),
    (
        Ask("kinds"),
        Ask("states"),
        Ask("claim", hint=("As `claims/{number}`.", "格式：`claims/{编号}`。")),
        Ask("worker", hint=("As `workers/{number}`.", "格式：`workers/{编号}`。")),
    ),
    nothing=("No award is here.", "没有待遇。"),
)


async def awards(visit: Visit) -> Response:
    """The awards."""
    return await show(visit, LISTING, back="", done="")


async def _load(visit: Visit) -> Any:
    stub = visit.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    return await stub.GetAward(benefits_pb2.GetAwardRequest(name=f"awards/{visit.path('id')}"))


async def award_page(visit: Visit) -> Response:
    """One award: its rates, its findings, its payments, and what can be done with it."""
    award = await _load(visit)
    number = visit.path("id")
    stub = visit.stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    paid = await or_none(
        stub.ListPaymentInstructions(
            benefits_pb2.ListPaymentInstructionsRequest(award=award.name, page_size=100)
        )
    )
    offers = []
    if visit.has_role("fund_officer"):
        offers = [
            (f"/awards/{number}/{name}", visit.say(*label))
            for states, name, label in _OFFERS
            if award.periodic and award.state in states
        ]
        if award.HasField("bill") and not award.reversed:
            offers.append((f"/awards/{number}/reverse", visit.say("Reverse the bill", "冲销票据")))
    hidden = {"findings", "name", "kind", "state", "amount_fen"}
    return visit.page(
        "award.html",
        award=award,
        number=number,
        state=_state(visit, award),
        parts_shown=parts_of(award, visit.language, without=hidden),
        payments=list(paid.payment_instructions) if paid else [],
        offers=offers,
        done=done_text(visit, (*STEPS.values(), EXPENSE)),
    )


async def step(visit: Visit) -> Response:
    """Suspend, resume, end, or reverse."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    award = await _load(visit)
    formatter = Formatter(visit.language)
    number = visit.path("id")
    target = Target(
        visit.say(f"Award {number}", f"待遇 {number}"),
        f"/awards/{number}",
        {"name": award.name},
        award.revision,
        [
            (visit.say("Kind", "待遇种类"), formatter.of(award, "kind")),
            (visit.say("State", "状态"), _state(visit, award)),
            (visit.say("Amount (yuan)", "金额（元）"), formatter.of(award, "amount_fen")),
        ],
    )
    return await take(visit, chosen, target)


async def expense(visit: Visit) -> Response:
    """Grant a bill of treatment of a claim."""
    number = visit.path("id")
    target = Target(
        visit.say(f"Claim {number}", f"申请 {number}"),
        f"/awards?claim=claims%2F{number}",
        {"claim": f"claims/{number}"},
        initial={"expense_date": [visit.today.isoformat()]},
    )
    return await take(visit, EXPENSE, target)


PAGES = (
    Page("/awards", awards, READERS),
    Page("/awards/{id}", award_page, READERS),
    *(Page(f"/awards/{{id}}/{name}", step, FUND_OFFICER, takes_form=True) for name in STEPS),
    Page("/claims/{id}/expense", expense, FUND_OFFICER, takes_form=True, takes_file=True),
)
