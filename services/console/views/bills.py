"""Bills of premiums: list, one with lines and standing; receipts, for the fund office."""

from __future__ import annotations

from typing import Any

from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from starlette.responses import Response

from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import FUND_OFFICER, FUND_READERS, PLATFORM, Page
from services.console.pictures import ageing
from services.console.steps import Step, Target, done_text, take
from services.console.values import Cell, Formatter, fen_cell, name_cell, text_cell
from services.console.visit import Visit, or_none, together
from services.runtime.rpc.wire import date_to_wire

READERS = PLATFORM | FUND_READERS
State = premiums_pb2.PremiumBill.State
RECEIVE = Step(
    "received",
    "oip.premiums.v1.PremiumService.RecordPremiumReceipt",
    ("Which payment came in?", "收到哪笔缴款？"),
    (
        "As on the bank statement. What is more than owed becomes credit of the platform.",
        "按银行对账单登记。多缴部分转为平台余额。",
    ),
    (
        Ask("receipt_date", ("Day of receipt", "入账日期"), required=True),
        Ask("amount_fen", ("Amount (yuan)", "金额（元）")),
        Ask("bank_reference", ("Reference of the bank", "银行流水号"), required=True),
        Ask("receiving_account", ("Receiving account", "收款账户"), required=True),
    ),
    done=("The receipt is recorded.", "已登记入账。"),
    effect=(
        "From a sum on a second person signs it before it is posted.",
        "达到规定金额的，须经另一人复核签批后记账。",
    ),
)
REVERSE = Step(
    "reversed",
    "oip.premiums.v1.PremiumService.ReversePremiumReceipt",
    ("Why is the receipt reversed?", "冲销该笔入账的原因是什么？"),
    (
        "The mirror of it is posted; the newest receipt of a bill first.",
        "记入相反分录；先冲最近一笔。",
    ),
    (Ask("code", ("Reason", "原因"), required=True), Ask("reason", ("In words", "说明"))),
    done=("The receipt is reversed.", "已冲销。"),
    effect=("A second person signs it.", "须经另一人复核签批。"),
)


def _platform_of(_: Visit, bill: Any) -> Cell:
    return text_cell(bill.name.split("/")[1])


def _bill_cell(_: Visit, bill: Any) -> Cell:
    return Cell(bill.name.rpartition("/")[2], bill.name, href=f"/bills/{bill.name}")


def _owed(_: Visit, bill: Any) -> Cell:
    return fen_cell(max(0, bill.premium_fen - bill.received_fen))


def _state(visit: Visit, bill: Any) -> Cell:
    cell = Formatter(visit.language).of(bill, "state")
    overdue = (bill.due_date.year, bill.due_date.month, bill.due_date.day) < (
        visit.today.year,
        visit.today.month,
        visit.today.day,
    )
    if bill.state == State.PAID:
        return text_cell(cell.text, tag="green")
    if overdue:
        return text_cell(visit.say("overdue", "已逾期"), tag="red")
    return text_cell(cell.text, tag="yellow")


COLUMNS = (
    Column("name", ("Month", "月份"), _bill_cell),
    Column("platform", None, _platform_of),
    Column("state", None, _state),
    Column("premium_fen"),
    Column("received_fen"),
    Column("owed", ("Still owed (yuan)", "尚欠（元）"), _owed),
    Column("due_date", ("Due", "缴费期限")),
)


async def bills(visit: Visit) -> Response:
    """The bills of the platform, or of all."""
    fixed: dict[str, Any] = {"newest_first": True}
    filters: tuple[Ask, ...] = (Ask("month"), Ask("states"))
    if visit.person.platform:
        fixed["platform"] = f"platforms/{visit.person.platform}"
    else:
        filters = (Ask("platform"), *filters)
    listing = Listing(
        "oip.premiums.v1.PremiumService.ListPremiumBills",
        "bills",
        ("Bills", "缴费账单"),
        COLUMNS,
        filters,
        nothing=("No bill was made yet.", "尚无账单。"),
        fixed=fixed,
    )
    if visit.query("as") or visit.person.platform:
        return await show(visit, listing, back="", done="", buckets=())
    stub = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    unpaid = await or_none(
        stub.ListPremiumBills(
            premiums_pb2.ListPremiumBillsRequest(states=[State.ASSESSED], page_size=1000)
        )
    )
    buckets = ageing(list(unpaid.bills) if unpaid else [], visit.today)
    return await show(visit, listing, "bills.html", back="", done="", buckets=buckets)


async def bill_page(visit: Visit) -> Response:
    """A bill with its lines, its standing today, and the receipts of its month."""
    name = visit.path("name")
    stub = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    bill = await stub.GetPremiumBill(premiums_pb2.GetPremiumBillRequest(name=name))
    platform = "/".join(name.split("/")[:2])
    standing, receipts = await together(
        stub.GetPremiumStanding(
            premiums_pb2.GetPremiumStandingRequest(bill=name, on_date=date_to_wire(visit.today))
        ),
        stub.ListPremiumReceipts(
            premiums_pb2.ListPremiumReceiptsRequest(
                platform=platform, month=bill.month, page_size=1000
            )
        ),
    )
    return visit.page(
        "bill.html",
        bill=bill,
        state=_state(visit, bill),
        standing=standing,
        receipts=[each for each in receipts.receipts if each.bill == name] if receipts else [],
        may_receive=visit.has_role("fund_officer"),
        done=done_text(visit, (RECEIVE, REVERSE)),
    )


async def receive(visit: Visit) -> Response:
    """Record a payment of a bill."""
    name = visit.path("name")
    stub = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    bill = await stub.GetPremiumBill(premiums_pb2.GetPremiumBillRequest(name=name))
    today = date_to_wire(visit.today)
    standing = await or_none(
        stub.GetPremiumStanding(premiums_pb2.GetPremiumStandingRequest(bill=name, on_date=today))
    )
    owed = bill.premium_fen - bill.received_fen
    if standing is not None:
        owed = standing.assessed_fen - standing.received_fen + standing.surcharge_fen
    target = Target(
        name,
        f"/bills/{name}",
        {"bill": name},
        bill.revision,
        [
            (visit.say("Platform", "平台企业"), name_cell("/".join(name.split("/")[:2]))),
            (visit.say("Owed today (yuan)", "今日应缴（元）"), fen_cell(max(0, owed))),
        ],
        {"receipt_date": [visit.today.isoformat()]},
    )
    return await take(visit, RECEIVE, target)


async def reverse(visit: Visit) -> Response:
    """Reverse a receipt."""
    name = visit.query("receipt") or visit.entry("receipt")
    bill = visit.path("name")
    target = Target(
        name, f"/bills/{bill}", {"name": name}, further={"receipt": name} if name else {}
    )
    return await take(visit, REVERSE, target)


PAGES = (
    Page("/bills", bills, READERS),
    Page("/bills/{name:path}/receive", receive, FUND_OFFICER, takes_form=True),
    Page("/bills/{name:path}/reverse", reverse, FUND_OFFICER, takes_form=True),
    Page("/bills/{name:path}", bill_page, READERS),
)
