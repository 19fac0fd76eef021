"""Pictures drawn on the server: places of lines and boxes, in a frame of fixed units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from services.kernel.periods import SHANGHAI

WIDTH = 900
LEFT = 230
ROW = 30
TOP = 26
# The picture shows at least this much around the moment.
MARGIN = timedelta(minutes=30)
OPEN_END = timedelta(minutes=30)
TICKS = 6


@dataclass(frozen=True)
class Span:
    """An order on the time line."""

    label: str
    x: float
    y: float
    width: float
    colour: str
    text: str


@dataclass(frozen=True)
class TimeLine:
    """Orders of all platforms around the moment of an accident."""

    height: int
    spans: Sequence[Span]
    ticks: Sequence[tuple[float, str]]
    moment_x: float
    moment_text: str


def order_time_line(orders: Sequence[Any], moment: datetime) -> TimeLine | None:
    """The time line of order evidence; nothing without orders."""
    if not orders:
        return None
    spans = [(each, *_times(each)) for each in orders]
    first = min([moment - MARGIN, *(begin for _, begin, _ in spans)])
    last = max([moment + MARGIN, *(end for _, _, end in spans)])

    def place(when: datetime) -> float:
        share = (when - first) / (last - first)
        return round(LEFT + share * (WIDTH - LEFT - 20), 1)

    drawn = [
        Span(
            _label(each.order),
            place(begin),
            TOP + row * ROW,
            max(3.0, round(place(end) - place(begin), 1)),
            _colour(each),
            f"{_clock(begin)}–{_clock(end) if each.HasField('end_time') else ''}",
        )
        for row, (each, begin, end) in enumerate(spans)
    ]
    step = (last - first) / TICKS
    ticks = [(place(first + step * part), _clock(first + step * part)) for part in range(TICKS + 1)]
    height = TOP + len(drawn) * ROW + 34
    return TimeLine(height, drawn, ticks, place(moment), _clock(moment))


def _times(order: Any) -> tuple[datetime, datetime]:
    begin = order.accept_time.ToDatetime(SHANGHAI)
    end = order.end_time.ToDatetime(SHANGHAI) if order.HasField("end_time") else begin + OPEN_END
    return begin, max(begin, end)


def _label(name: str) -> str:
    """`platforms/X/orders/Y`: the end of the company's code, and the order."""
    parts = name.split("/")
    return f"{parts[1][-4:]} · {parts[-1][-14:]}" if len(parts) == 4 else name


def _colour(order: Any) -> str:
    if order.reversed or order.cancelled:
        return "grey"
    if order.other_worker:
        return "dark"
    if order.charged:
        return "green"
    return "blue" if order.under_way else "grey"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(SHANGHAI):%H:%M}"


@dataclass(frozen=True)
class Bucket:
    """Bills that are equally old: how many, and how much is owed."""

    days: str
    count: int
    fen: int
    width: float
    colour: str


def ageing(bills: Sequence[Any], today: date) -> Sequence[Bucket]:
    """What is owed, by the days since it was due."""
    bounds = ((0, "0"), (30, "1–30"), (60, "31–60"), (90, "61–90"), (10**6, "> 90"))
    sums: dict[str, list[int]] = {name: [] for _, name in bounds}
    for bill in bills:
        owed = bill.premium_fen - bill.received_fen
        due = date(bill.due_date.year, bill.due_date.month, bill.due_date.day)
        late = max(0, (today - due).days)
        if owed > 0:
            sums[next(name for most, name in bounds if late <= most)].append(owed)
    largest = max((sum(owed) for owed in sums.values()), default=0)
    colours = ("grey", "blue", "orange", "orange", "red")
    return [
        Bucket(name, len(owed), sum(owed), round(sum(owed) / largest * 560, 1), colour)
        for (name, owed), colour in zip(sums.items(), colours, strict=True)
        if largest
    ]


@dataclass(frozen=True)
class Flow:
    """A transfer of a pooling area: up into the common pot, or down from it."""

    label: str
    y: int
    x: float
    width: float
    colour: str
    fen: int


def flows(amounts: Sequence[tuple[str, int]]) -> Sequence[Flow]:
    """Transfers as bars to the left (handed up) and to the right (received) of a middle line."""
    largest = max((abs(fen) for _, fen in amounts), default=0)
    if not largest:
        return []
    middle, reach = 480, 280
    drawn = []
    for row, (label, fen) in enumerate(amounts):
        width = round(abs(fen) / largest * reach, 1)
        x = middle if fen >= 0 else middle - width
        drawn.append(Flow(label, row * 28 + 8, x, width, "green" if fen >= 0 else "orange", fen))
    return drawn
