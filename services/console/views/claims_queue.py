"""The adjudicator's queue: tabs with counts, filters, search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import grpc
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.backend import refusal_of
from services.console.forms import Ask
from services.console.listings import Column, Listing, show
from services.console.pages import ADJUDICATOR, FUND_READERS, PLATFORM, Page
from services.console.steps import done_text
from services.console.texts import Text
from services.console.values import EMPTY, Cell, Formatter, moment_text, text_cell
from services.console.views.reports import FILE, REPORT
from services.console.visit import Visit, together
from services.kernel.identifiers import is_credit_code
from services.runtime.rpc.wire import date_to_wire

State = claims_pb2.Claim.State
READERS = ADJUDICATOR | PLATFORM | FUND_READERS
RUNNING = (State.FILED, State.EVIDENCE_REQUESTED, State.ACCEPTED)
COLOURS = {
    State.FILED: "yellow",
    State.EVIDENCE_REQUESTED: "purple",
    State.ACCEPTED: "blue",
    State.STAYED: "grey",
    State.DETERMINED: "green",
    State.PENDING: "orange",
    State.MERGED: "grey",
}
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_ORDER = re.compile(r"platforms/[0-9A-Z]{18}/orders/\S{1,120}", re.ASCII)


@dataclass(frozen=True)
class Tab:
    """A part of the queue: its states, or what is due by today."""

    key: str
    title: Text
    states: tuple[int, ...]
    newest_first: bool = False
    by_today: bool = False


TABS = (
    Tab("documents", ("To check", "待审核材料"), (State.FILED,)),
    Tab("waiting", ("Waiting for documents", "待补正"), (State.EVIDENCE_REQUESTED,)),
    Tab("determine", ("To determine", "待作出结论"), (State.ACCEPTED,)),
    Tab("due", ("Due or overdue", "到期或超期"), RUNNING, by_today=True),
    Tab("stayed", ("Stayed", "时限中止"), (State.STAYED,)),
    Tab("pending", ("Same accident?", "待判断同一事故"), (State.PENDING,)),
    Tab("determined", ("Determined", "已作出结论"), (State.DETERMINED,), newest_first=True),
    Tab("all", ("All", "全部"), (), newest_first=True),
)


def name_of(_: Visit, claim: Any) -> Cell:
    """The number of a claim."""
    number = claim.name.rpartition("/")[2]
    return Cell(number, claim.name, href=f"/claims/{number}")


def state_of(visit: Visit, claim: Any) -> Cell:
    """The state as a tag."""
    cell = Formatter(visit.language).of(claim, "state")
    return text_cell(cell.text, tag=COLOURS.get(claim.state, "grey"))


def days_left(visit: Visit, claim: Any) -> Cell:
    """Working days left, or how many it is over."""
    if not claim.step:
        return EMPTY
    days = claim.remaining_days
    if days < 0:
        return text_cell(visit.say(f"{-days} over", f"超期 {-days} 天"), tag="red")
    if days <= 2:
        return text_cell(visit.say(f"{days} left", f"剩 {days} 天"), tag="orange")
    return Cell(visit.say(f"{days} left", f"剩 {days} 天"), days)


def marks_of(visit: Visit, claim: Any) -> Cell:
    """What an adjudicator should see before opening it."""
    marks = []
    if claim.HasField("death_date"):
        marks.append(visit.say("death", "死亡"))
    if claim.filed_late:
        marks.append(visit.say("filed late", "逾期申请"))
    if len({order.order.split("/")[1] for order in claim.orders if order.under_way}) > 1:
        marks.append(visit.say("several platforms", "多平台"))
    if any(order.late or order.later_revisions for order in claim.orders):
        marks.append(visit.say("late records", "事后记录"))
    if claim.due_date_provisional:
        marks.append(visit.say("due date provisional", "期限暂定"))
    return text_cell("、".join(marks) if visit.language.value == "zh" else ", ".join(marks))


def _accident_time(_: Visit, claim: Any) -> Cell:
    return text_cell(moment_text(claim.accident_time))


COLUMNS = (
    Column("name", ("Claim", "申请编号"), name_of),
    Column("state", None, state_of),
    Column("due_date", ("Due", "办理期限")),
    Column("remaining_days", None, days_left),
    Column("worker"),
    Column("accident_time", None, _accident_time),
    Column("situation"),
    Column("marks", ("Marks", "提示"), marks_of),
)
FILTERS = (
    Ask("pooling_area", hint=("A division code such as 440100.", "行政区划代码，如 440100。")),
    Ask("worker", hint=("As `workers/{number}`.", "格式：`workers/{编号}`。")),
    Ask("due_by_date", ("Due by", "期限截止")),
)
LISTING = Listing(
    "oip.claims.v1.ClaimService.ListClaims",
    "claims",
    ("Claims", "案件办理"),
    COLUMNS,
    FILTERS,
    nothing=("No claim is here.", "此处没有案件。"),
)


async def queue(visit: Visit) -> Response:
    """The queue, one tab at a time."""
    tab = next((each for each in TABS if each.key == visit.query("tab")), None)
    if tab is None:
        tab = TABS[0] if visit.has_role("adjudicator") else TABS[-1]
    fixed: dict[str, Any] = {"states": tab.states, "newest_first": tab.newest_first}
    if tab.by_today:
        fixed["due_by_date"] = date_to_wire(visit.today)
    listing = Listing(
        LISTING.method,
        LISTING.rows,
        LISTING.title,
        COLUMNS,
        FILTERS if not tab.by_today else FILTERS[:2],
        nothing=LISTING.nothing,
        fixed=fixed,
    )
    if visit.query("as"):
        return await show(visit, listing)
    counts = await together(*(_count(visit, each) for each in TABS))
    tabs = [
        (each, visit.address(tab=each.key, page_token=None, done=None), count)
        for each, count in zip(TABS, counts, strict=True)
    ]
    return await show(
        visit, listing, "claims.html", tabs=tabs, chosen=tab, back="", done=_done(visit)
    )


def _done(visit: Visit) -> str:
    """What a platform has just reported or filed."""
    return done_text(visit, (REPORT, FILE))


async def _count(visit: Visit, tab: Tab) -> int | None:
    """How much work waits in a tab; nothing for what is done, which only grows."""
    if not tab.states or tab.newest_first:
        return None
    stub = visit.stub(claims_pb2_grpc.ClaimServiceStub, "claims")
    request = claims_pb2.ListClaimsRequest(
        states=list(tab.states),  # type: ignore[arg-type]
        page_size=1,
        count_all=True,
        pooling_area=visit.query("pooling_area"),
        worker=visit.query("worker"),
    )
    if tab.by_today:
        request.due_by_date.CopyFrom(date_to_wire(visit.today))
    return int((await stub.ListClaims(request)).total_count)


async def search(visit: Visit) -> Response:
    """Find claims by number, by the worker's document, by an order, or by a worker.

    A form, not a link: a document number does not belong into an address.
    """
    query = visit.entry("q").strip()
    if not query:
        return visit.see("/claims")
    if _ID.fullmatch(query.removeprefix("claims/")):
        return visit.see(f"/claims/{query.removeprefix('claims/')}")
    worker, sentence = "", ""
    try:
        worker = await _worker(visit, query)
    except grpc.RpcError as error:
        problem = refusal_of(error)
        if problem.is_unreachable or problem.code is grpc.StatusCode.UNAUTHENTICATED:
            raise
        sentence = failures.sentence_of(visit, problem)
    if not worker:
        return visit.page("claims_not_found.html", status=404, query=query, sentence=sentence)
    return visit.see(f"/claims?tab=all&worker={quote(worker, safe='')}")


async def _worker(visit: Visit, query: str) -> str:
    """The worker that a search names; empty if it names none. Raises RpcError."""
    if re.fullmatch(r"workers/\d{1,18}", query, re.ASCII):
        return query
    if _ORDER.fullmatch(query):
        orders = visit.stub(orders_pb2_grpc.OrderServiceStub, "orders")
        order = await orders.GetOrder(orders_pb2.GetOrderRequest(name=query))
        return next((leg.worker for leg in order.legs if leg.worker), "")
    if is_credit_code(query):
        return ""
    enrolment = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    found = await enrolment.FindWorker(
        enrolment_pb2.FindWorkerRequest(
            document_kind=enrolment_pb2.CITIZEN_NUMBER, document_number=query
        )
    )
    return str(found.name)


FILINGS = Listing(
    "oip.claims.v1.AccidentService.ListFilings",
    "filings",
    ("Filings that wait for an answer", "待判断的申请件"),
    (
        Column("name", ("Filing", "申请件")),
        Column("state"),
        Column("claimant_kind"),
        Column("worker"),
        Column("accident_time"),
        Column("place_of_injury"),
        Column("near_claims", ("Near claims", "相近申请")),
    ),
    lead=(
        "Each may be about the same accident as another claim. Open it to answer.",
        "以下申请件可能与其他申请属于同一事故。请打开后作出判断。",
    ),
    nothing=("No filing waits for an answer.", "没有待判断的申请件。"),
    fixed={"open_only": True},
)


async def filings(visit: Visit) -> Response:
    """Filings about which a person has to say whether it is the same accident."""
    return await show(visit, FILINGS, back="/claims", done="")


PAGES = (
    Page("/claims", queue, READERS),
    Page("/search", search, ADJUDICATOR, takes_form=True),
    Page("/filings", filings, ADJUDICATOR),
)
