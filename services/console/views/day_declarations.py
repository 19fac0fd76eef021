"""A platform declares the orders of a day, by pooling area and industry."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import grpc
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from starlette.responses import Response

from services.console import failures
from services.console.backend import refusal_of
from services.console.pages import PLATFORM, Page
from services.console.steps import request_id_of
from services.console.values import Formatter
from services.console.views.declarations import COUNT, Line
from services.console.visit import Visit
from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, enum_number, month_to_wire

_AREA = re.compile(r"[1-9][0-9]{5}", re.ASCII)
_INDUSTRY: Any = orders_pb2.OrderTally.DESCRIPTOR.fields_by_name["industry"].enum_type
# Lines for areas of which no order is held yet.
NEW_LINES = 3


async def declare_day(visit: Visit) -> Response:
    """The form for a day, and its answer."""
    day = _day(visit)
    industries = await _industries(visit)
    lines = await _lines(visit, day, industries)
    refusal = ""
    if visit.is_post and visit.entry("stage") == "send" and not any(e.is_wrong for e in lines):
        try:
            await _declare(visit, day, lines)
        except grpc.RpcError as error:
            problem = refusal_of(error)
            if problem.is_unreachable or problem.code is grpc.StatusCode.UNAUTHENTICATED:
                raise
            refusal = failures.sentence_of(visit, problem)
        else:
            return visit.see(f"/platform?month={day:%Y-%m}&done=declared")
    wrong = visit.is_post and visit.entry("stage") == "send"
    return visit.page(
        "day_declaration.html",
        status=400 if wrong else 200,
        day_chosen=day.isoformat(),
        lines=lines,
        industries=[(each.number, each.text) for each in industries],
        refusal=refusal,
        request_id=request_id_of(visit),
    )


def _day(visit: Visit) -> date:
    try:
        return date.fromisoformat(visit.entry("day") or visit.query("day"))
    except ValueError:
        return visit.today - timedelta(days=1)


class Industry:
    """An industry of the company: its number and its text."""

    def __init__(self, visit: Visit, number: int) -> None:
        self.number = number
        self.text = Formatter(visit.language).enum(_INDUSTRY, number).text


async def _industries(visit: Visit) -> list[Industry]:
    stub = visit.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
    name = f"platforms/{visit.person.platform}"
    company = await stub.GetPlatform(enrolment_pb2.GetPlatformRequest(name=name))
    return [Industry(visit, number) for number in company.industries]


async def _lines(visit: Visit, day: date, industries: list[Industry]) -> list[Line]:
    """The areas of the month's orders in each industry, and empty lines for others."""
    stub = visit.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    request = orders_pb2.ListOrderTalliesRequest(
        platform=f"platforms/{visit.person.platform}",
        month=month_to_wire(Month(day.year, day.month)),
        page_size=1000,
    )
    order_counts: dict[tuple[str, int], int] = {}
    while True:
        answer = await stub.ListOrderTallies(request)
        for tally in answer.tallies:
            place = (tally.pooling_area, int(tally.industry))
            is_of_day = tally.service_date == date_to_wire(day)
            order_counts[place] = order_counts.get(place, 0) + (
                tally.order_count if is_of_day else 0
            )
        request.page_token = answer.next_page_token
        if not request.page_token:
            break
    texts = {each.number: each.text for each in industries}
    return [
        *(_line(visit, place, texts, count) for place, count in sorted(order_counts.items())),
        *(_new_line(visit, f"new.{number}", texts) for number in range(NEW_LINES)),
    ]


def _line(visit: Visit, place: tuple[str, int], texts: dict[int, str], order_count: int) -> Line:
    area, industry = place
    key = f"count.{area}.{industry}"
    declared = visit.entry(key, str(order_count)).strip()
    is_wrong = visit.is_post and not COUNT.fullmatch(declared)
    return Line(key, area, industry, texts.get(industry, ""), order_count, declared, is_wrong)


def _new_line(visit: Visit, key: str, texts: dict[int, str]) -> Line:
    area, count = visit.entry(f"{key}.area").strip(), visit.entry(key).strip()
    industry = visit.entry(f"{key}.industry")
    chosen = int(industry) if industry.isascii() and industry.isdecimal() else 0
    is_empty = not (area or count)
    is_right = bool(_AREA.fullmatch(area) and COUNT.fullmatch(count) and chosen in texts)
    return Line(key, area, chosen, "", 0, count, visit.is_post and not is_empty and not is_right)


async def _declare(visit: Visit, day: date, lines: list[Line]) -> None:
    counted = [(line, int(line.declared.replace(",", ""))) for line in lines if line.declared]
    request = orders_pb2.DeclareOrderTotalsRequest(
        request_id=request_id_of(visit),
        platform=f"platforms/{visit.person.platform}",
        service_date=date_to_wire(day),
        order_count=sum(count for _, count in counted),
    )
    for line, count in counted:
        request.tallies.add(
            platform=f"platforms/{visit.person.platform}",
            pooling_area=line.pooling_area,
            industry=enum_number(line.industry),
            service_date=date_to_wire(day),
            order_count=count,
        )
    stub = visit.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    await stub.DeclareOrderTotals(request)


PAGES = (Page("/platform/declare", declare_day, PLATFORM, takes_form=True),)
