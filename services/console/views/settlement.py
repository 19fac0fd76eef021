"""The settlement of a month: figures, transfers, hash; proposed, approved by another, closed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import FUND, FUND_OFFICER, FUND_READERS, Page
from services.console.pictures import flows
from services.console.steps import Step, Target, done_text, take
from services.console.texts import Text, title_of
from services.console.values import Cell, Formatter, text_cell
from services.console.visit import Visit, or_none, together
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

State = fund_pb2.SettlementPeriod.State
FUND_SERVICE = "oip.fund.v1.FundService"
_COLOURS = {
    State.OPEN: "yellow",
    State.PROPOSED: "blue",
    State.APPROVED: "purple",
    State.CLOSED: "green",
}
AMOUNTS = (
    "opening_fen",
    "income_fen",
    "spending_fen",
    "risk_adjustment_fen",
    "deficit_compensation_fen",
    "equalisation_fen",
    "closing_fen",
)
PROPOSE = Step(
    "propose",
    f"{FUND_SERVICE}.ProposeSettlement",
    ("Propose the settlement?", "是否提交结算？"),
    (
        "The figures are frozen with their hash. Another person approves them.",
        "数据连同哈希值一并固定，由另一人审批。",
    ),
    done=("The settlement is proposed.", "结算已提交。"),
)
APPROVE = Step(
    "approve",
    f"{FUND_SERVICE}.ApproveSettlement",
    ("Approve these figures?", "是否审批通过？"),
    ("You sign the hash of what you have read.", "您签批的是已阅数据的哈希值。"),
    done=("The settlement is approved.", "结算已审批。"),
    effect=("Proposer and approver are two persons.", "提交人与审批人不得为同一人。"),
)
CLOSE = Step(
    "close",
    f"{FUND_SERVICE}.CloseSettlement",
    ("Close the month?", "是否结账？"),
    (
        "The transfers are posted. Nothing more can be posted into the month.",
        "调剂划转记账，此后该月不再接受记账。",
    ),
    done=("The month is closed.", "已结账。"),
)
WITHDRAW = Step(
    "withdraw",
    f"{FUND_SERVICE}.WithdrawSettlement",
    ("Why is the proposal withdrawn?", "撤回提交的理由是什么？"),
    ("The month is open again.", "该月恢复为未提交状态。"),
    (Ask("reason", ("Reason", "理由")),),
    done=("The proposal is withdrawn.", "已撤回。"),
)
STEPS: dict[str, Step] = {step.name: step for step in (PROPOSE, APPROVE, CLOSE, WITHDRAW)}
# By state: the steps that are offered, with the roles that take them.
_OFFERS: dict[int, tuple[tuple[str, Text, str], ...]] = {
    State.OPEN: (("propose", ("Propose", "提交结算"), "fund_officer"),),
    State.PROPOSED: (
        ("approve", ("Approve", "审批"), "fund_approver"),
        ("withdraw", ("Withdraw", "撤回"), "fund_officer"),
    ),
    State.APPROVED: (
        ("close", ("Close the month", "结账"), "fund_officer"),
        ("withdraw", ("Withdraw", "撤回"), "fund_officer"),
    ),
}


def _name(_: Visit, period: Any) -> Cell:
    month = period.name.rpartition("/")[2]
    return text_cell(month, href=f"/fund/settlement/{month}")


def _state(visit: Visit, period: Any) -> Cell:
    text = Formatter(visit.language).of(period, "state").text
    return text_cell(text, tag=_COLOURS.get(period.state, "grey"))


PERIODS = Listing(
    f"{FUND_SERVICE}.ListSettlementPeriods",
    "settlement_periods",
    ("Settlement", "结算结账"),
    (
        Column("name", ("Month", "月份"), _name),
        Column("state", None, _state),
        Column("proposer"),
        Column("approver"),
        Column("close_time"),
    ),
    nothing=("No month was settled yet.", "尚无结算。"),
)


@dataclass(frozen=True)
class Area:
    """A pooling area's line, with last month's next to it."""

    code: str
    amounts: tuple[int, ...]
    earlier: tuple[int, ...]
    order_count: int


async def periods(visit: Visit) -> Response:
    """The months."""
    return await show(visit, PERIODS, back="/fund", done="")


def _month(visit: Visit) -> Month | None:
    try:
        return Month.parse(visit.path("month"))
    except ValueError:
        return None


async def _period(visit: Visit, month: Month) -> tuple[Any, Any]:
    """What stands of a month, and its trial; nothing where there is none."""
    stub = visit.stub(fund_pb2_grpc.FundServiceStub, "fund")
    name = f"settlementPeriods/{month}"
    period, trial = await together(
        stub.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name)),
        stub.TrialSettlement(fund_pb2.TrialSettlementRequest(month=month_to_wire(month))),
    )
    return period, trial


async def period_page(visit: Visit) -> Response:
    """A month: trial or frozen figures beside last month, transfers, obstacles, hash, steps."""
    month = _month(visit)
    if month is None:
        return failures.failure(visit, 404)
    period, trial = await _period(visit, month)
    stands = period is not None and period.state not in {0, State.OPEN}
    shown = period if stands else trial or period
    if shown is None:
        return failures.failure(visit, 404)
    stub = visit.stub(fund_pb2_grpc.FundServiceStub, "fund")
    earlier = await or_none(
        stub.GetSettlementPeriod(
            fund_pb2.GetSettlementPeriodRequest(name=f"settlementPeriods/{month.plus(-1)}")
        )
    )
    areas = _areas(shown, earlier)
    state = period.state if stands else State.OPEN
    return visit.page(
        "settlement.html",
        month=month,
        shown=shown,
        is_trial=not stands,
        state=_state(visit, period) if stands else trial_tag(visit),
        names=AMOUNTS,
        areas=areas,
        totals=[sum(area.amounts[place] for area in areas) for place in range(len(AMOUNTS))],
        has_earlier=earlier is not None,
        flows=flows([(area.code, area.amounts[5]) for area in areas]),
        offers=[
            (f"/fund/settlement/{month}/{name}", visit.say(*label))
            for name, label, role in _OFFERS.get(state, ())
            if visit.has_role(role)
        ],
        done=done_text(visit, tuple(STEPS.values())),
    )


def trial_tag(visit: Visit) -> Cell:
    """The tag of figures that are not frozen."""
    return text_cell(visit.say("trial", "试算"), tag="yellow")


def _areas(period: Any, earlier: Any) -> list[Area]:
    before = {pool.pooling_area: pool for pool in earlier.pools} if earlier else {}
    return [
        Area(
            pool.pooling_area,
            tuple(getattr(pool, name) for name in AMOUNTS),
            tuple(getattr(before.get(pool.pooling_area), name, 0) for name in AMOUNTS),
            pool.order_count,
        )
        for pool in sorted(period.pools, key=lambda each: each.pooling_area)
    ]


async def period_step(visit: Visit) -> Response:
    """Propose, approve, close or withdraw a month."""
    chosen = STEPS[visit.request.url.path.rpartition("/")[2]]
    month = _month(visit)
    if month is None:
        return failures.failure(visit, 404)
    period, trial = await _period(visit, month)
    formatter = Formatter(visit.language)
    details = []
    shown = trial if chosen is PROPOSE else period
    if shown is not None:
        sums = {name: sum(getattr(pool, name) for pool in shown.pools) for name in AMOUNTS}
        totals = fund_pb2.SettlementPeriod.Pool(**sums)
        details = [(title_of(name, visit.language), formatter.of(totals, name)) for name in AMOUNTS]
    fixed: dict[str, Any] = {"month": month_to_wire(month)}
    target = Target(str(month), f"/fund/settlement/{month}", fixed, details=details)
    if chosen is APPROVE:
        # The hash of what the page showed: figures that changed meanwhile are not signed.
        shown_hash = visit.entry("hash") or (period.hash.hex() if period is not None else "")
        target = replace(
            target,
            fixed=fixed | {"hash": _bytes(shown_hash)},
            details=[*details, (visit.say("Hash", "哈希值"), text_cell(shown_hash))],
            further={"hash": shown_hash},
        )
    return await take(visit, chosen, target)


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


async def replay(visit: Visit) -> Response:
    """Recompute a closed month from its events, and compare."""
    month = _month(visit)
    if month is None:
        return failures.failure(visit, 404)
    stub = visit.stub(fund_pb2_grpc.FundServiceStub, "fund")
    result = await stub.ReplaySettlement(
        fund_pb2.ReplaySettlementRequest(month=month_to_wire(month))
    )
    return visit.page("settlement_replay.html", month=month, result=result)


PAGES = (
    Page("/fund/settlement", periods, FUND_READERS),
    Page("/fund/settlement/{month}", period_page, FUND_READERS),
    Page("/fund/settlement/{month}/replay", replay, FUND_READERS),
    *(
        Page(
            f"/fund/settlement/{{month}}/{name}",
            period_step,
            FUND_OFFICER if name in {"propose", "close"} else FUND,
            takes_form=True,
        )
        for name in STEPS
    ),
)
