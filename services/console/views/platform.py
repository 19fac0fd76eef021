"""A platform's overview: its month day by day, gaps, the last bills."""

from __future__ import annotations

import calendar
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc
from starlette.responses import Response

from services.console.pages import PLATFORM, Page
from services.console.values import day_text, moment_text
from services.console.visit import Visit, together
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire

Kind = orders_pb2.OrderGap.Kind
_COLOURS = {
    Kind.MISSING: "red",
    Kind.SILENCE: "red",
    Kind.UNDECLARED: "orange",
    Kind.SURPLUS: "orange",
    Kind.LATE_ARRIVALS: "orange",
}


@dataclass(frozen=True)
class Day:
    """A day of the calendar: what is held, declared, late."""

    number: int
    day: str
    held_count: int
    gaps: tuple[Any, ...]
    colour: str
    is_future: bool


async def overview(visit: Visit) -> Response:
    """The month of the platform."""
    month = _month(visit)
    platform = f"platforms/{visit.person.platform}"
    orders = visit.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    enrolment = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    premiums = visit.stub(premiums_pb2_grpc.PremiumServiceStub, "premiums")
    tallies, gaps, batches, company, workers, bills = await together(
        _tallies(orders, platform, month),
        orders.ListOrderGaps(
            orders_pb2.ListOrderGapsRequest(
                platform=platform, month=month_to_wire(month), page_size=1000
            )
        ),
        orders.ListOrderBatches(
            orders_pb2.ListOrderBatchesRequest(platform=platform, page_size=1, newest_first=True)
        ),
        enrolment.GetPlatform(enrolment_pb2.GetPlatformRequest(name=platform)),
        enrolment.ListWorkers(
            enrolment_pb2.ListWorkersRequest(platform=platform, page_size=1, count_all=True)
        ),
        premiums.ListPremiumBills(
            premiums_pb2.ListPremiumBillsRequest(platform=platform, page_size=5, newest_first=True)
        ),
    )
    month_gaps = list(gaps.gaps) if gaps else []
    last = batches.order_batches[0] if batches and batches.order_batches else None
    return visit.page(
        "platform.html",
        month=month,
        earlier=str(month.plus(-1)),
        later=str(month.plus(1)) if month < _this_month(visit) else "",
        weeks=_weeks(visit, month, tallies or {}, month_gaps),
        held_count=sum((tallies or {}).values()),
        gaps=month_gaps,
        last=moment_text(last.create_time) if last else "",
        company=company,
        worker_count=workers.total_count if workers else None,
        bills=list(bills.bills) if bills else [],
        done=visit.say("The day is declared.", "已申报。") if visit.query("done") else "",
    )


def _this_month(visit: Visit) -> Month:
    return Month(visit.today.year, visit.today.month)


def _month(visit: Visit) -> Month:
    try:
        return Month.parse(visit.query("month"))
    except ValueError:
        return _this_month(visit)


async def _tallies(stub: Any, platform: str, month: Month) -> dict[str, int]:
    """The orders held by day."""
    counts: dict[str, int] = defaultdict(int)
    request = orders_pb2.ListOrderTalliesRequest(
        platform=platform, month=month_to_wire(month), page_size=1000
    )
    while True:
        answer = await stub.ListOrderTallies(request)
        for tally in answer.tallies:
            counts[day_text(tally.service_date)] += tally.order_count
        request.page_token = answer.next_page_token
        if not request.page_token:
            return dict(counts)


def _weeks(
    visit: Visit, month: Month, order_counts: dict[str, int], gaps: list[Any]
) -> list[list[Day | None]]:
    """The weeks of a month, Monday first; nothing for days of other months."""
    by_day: dict[str, list[Any]] = defaultdict(list)
    for gap in gaps:
        by_day[day_text(gap.service_date)].append(gap)
    weeks = calendar.Calendar().monthdayscalendar(month.year, month.month)
    return [
        [
            _day(visit, date(month.year, month.month, number), order_counts, by_day)
            if number
            else None
            for number in week
        ]
        for week in weeks
    ]


def _day(visit: Visit, day: date, order_counts: dict[str, int], gaps: dict[str, list[Any]]) -> Day:
    name = day.isoformat()
    of_day = tuple(gaps.get(name, ()))
    count = order_counts.get(name, 0)
    colours = {_COLOURS.get(gap.kind, "orange") for gap in of_day}
    colour = "red" if "red" in colours else "orange" if colours else "green" if count else ""
    return Day(day.day, name, count, of_day, colour, day > visit.today)


PAGES = (Page("/platform", overview, PLATFORM),)
