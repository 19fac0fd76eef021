"""A fictional province: platforms, workers and a month of orders, determined by a seed.

It has valid orders and everything else that real platforms send: resends, corrections, orders
changed under the same revision, orders of a month that is already assessed, and rows with each
fault that the order service refuses.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from services.kernel.identifiers import citizen_check
from services.kernel.periods import Month, civil_day, first_moment

RIDE_HAILING, INSTANT_DELIVERY, SAME_CITY_FREIGHT = 1, 2, 3
ACCEPTED, COMPLETED, CANCELLED, REVERSED = 1, 2, 3, 4

MONTH = Month(2025, 7)
PLACES = ("440106", "440105", "440112", "440604", "440606", "441900", "442000")
PLACE_WEIGHTS = (25, 15, 10, 14, 8, 18, 10)
TWO_PLATFORMS_EVERY = 20
# Shorter than any order.
HANDED_OVER_AFTER = timedelta(minutes=3)


@dataclass(frozen=True)
class Company:
    """A platform company of the fictional province. Its credit code has a valid check character."""

    credit_code: str
    display_name: str
    industry: int
    base_yuan: str
    band: str
    weight: int
    minutes: tuple[int, int]

    @property
    def name(self) -> str:
        """The resource name."""
        return f"platforms/{self.credit_code}"


COMPANIES = (
    Company("91110108MA01ABCD2H", "Swift Meals", INSTANT_DELIVERY, "0.07", "1.20", 45, (12, 45)),
    Company("91350100M000100Y43", "Pearl Rides", RIDE_HAILING, "0.01", "1.00", 30, (8, 50)),
    Company(
        "91460100MA5T00003T", "Harbour Errands", INSTANT_DELIVERY, "0.25", "1.00", 15, (10, 40)
    ),
    Company(
        "91440101MA5PLT0043", "Delta Freight", SAME_CITY_FREIGHT, "0.18", "0.80", 10, (40, 180)
    ),
)


@dataclass(frozen=True)
class Person:
    """A fictional worker: a citizen number with a valid check character, and the companies."""

    worker_number: str
    citizen_number: str
    phone: str
    companies: tuple[int, ...]


@dataclass(frozen=True)
class Order:
    """One revision of an order, as a platform sends it on a day. Times are in UTC."""

    company: int
    order_no: str
    revision: int
    worker_number: str
    industry: int
    state: int
    accept_time: datetime
    end_time: datetime | None
    place: int
    reason: str = ""
    send_date: date = date.min
    # Sent once, without fault, and of an order that has ended.
    plain: bool = False


def person(index: int, seed: int) -> Person:
    """The person with this number; each index gives another person."""
    rng = random.Random(f"person {seed} {index}")
    born = date(1966, 1, 1) + timedelta(days=rng.randrange(14_000))
    body = (
        f"44{rng.choice(('0106', '0105', '0604', '1900', '2000'))}{born:%Y%m%d}{index % 1000:03d}"
    )
    first = rng.choices(range(len(COMPANIES)), [company.weight for company in COMPANIES])[0]
    second = (first + 2) % len(COMPANIES)
    companies = (first, second) if index % TWO_PLATFORMS_EVERY == 0 else (first,)
    phone = f"1{rng.randrange(10**9, 10**10)}"
    return Person(f"W{body[6:]}", body + citizen_check(body), phone, companies)


def people(count: int, seed: int) -> list[Person]:
    """This many persons with distinct worker numbers."""
    by_number: dict[str, Person] = {}
    index = 0
    while len(by_number) < count:
        candidate = person(index, seed)
        by_number.setdefault(candidate.worker_number, candidate)
        index += 1
    return list(by_number.values())


def orders(workers: list[Person], count: int, seed: int) -> Iterator[Order]:
    """The month's orders as platforms send them; `count` are valid and new, others are not.

    Rows are in no particular order; `send_date` is the day on which the platform sends each.
    """
    rng = random.Random(f"orders {seed}")
    order_count = 0
    numbers = [
        [worker.worker_number for worker in workers if company in worker.companies]
        for company in range(len(COMPANIES))
    ]
    shifts = _shifts(workers, rng)
    while order_count < count:
        worker, start = next(shifts)
        company = rng.choice(worker.companies)
        for order in _shift(worker, company, start, rng):
            if order_count == count:
                return
            number = f"{COMPANIES[company].credit_code[-4:]}{order_count:09d}"
            another = numbers[company][order_count % len(numbers[company])]
            yield from _as_sent(replace(order, order_no=number), another, rng)
            order_count += 1


def _shifts(workers: list[Person], rng: random.Random) -> Iterator[tuple[Person, datetime]]:
    """Shifts of all workers, again and again: the worker and the start."""
    while True:
        for worker in workers:
            day = MONTH.first_day + timedelta(days=rng.randrange(31))
            yield worker, first_moment(day) + timedelta(minutes=rng.randrange(5 * 60, 22 * 60))


def _shift(worker: Person, company: int, start: datetime, rng: random.Random) -> Iterator[Order]:
    """A few orders in a row; couriers often accept one before they deliver the previous one."""
    industry, duration = COMPANIES[company].industry, COMPANIES[company].minutes
    moment = start
    for _ in range(rng.randint(2, 8)):
        minutes = rng.randint(*duration)
        end = moment + timedelta(minutes=minutes, seconds=rng.randrange(60))
        state = CANCELLED if rng.random() < 0.02 else COMPLETED
        if end < MONTH.moments[1] + timedelta(days=1):
            place = int(rng.choices(PLACES, PLACE_WEIGHTS)[0])
            yield Order(company, "", 1, worker.worker_number, industry, state, moment, end, place)
        overlap = industry == INSTANT_DELIVERY and rng.random() < 0.25
        gap = -rng.randint(2, 8) if overlap else rng.randint(1, 35)
        moment = max(end + timedelta(minutes=gap), moment + timedelta(minutes=1))


def _as_sent(order: Order, another: str, rng: random.Random) -> Iterator[Order]:
    """The order as its platform sends it: usually once, sometimes in revisions or with faults.

    `another` is the number of a worker to whom the order may be handed over.
    """
    assert order.end_time is not None
    day = civil_day(order.end_time)
    sent = replace(order, send_date=day)
    dice = rng.random()
    if dice < 0.010:  # sent again a day later, unchanged
        yield sent
        yield replace(sent, send_date=day + timedelta(days=1))
    elif dice < 0.016:  # reported while under way, completed in a second revision
        yield replace(sent, state=ACCEPTED, end_time=None, send_date=civil_day(order.accept_time))
        yield replace(sent, revision=2)
    elif dice < 0.020:  # the place is corrected two days later
        yield sent
        moved = int(rng.choice(PLACES))
        later = day + timedelta(days=2)
        yield replace(sent, revision=2, place=moved, reason="place corrected", send_date=later)
    elif dice < 0.021:  # found to be a test order
        yield sent
        later = day + timedelta(days=3)
        yield replace(sent, revision=2, state=REVERSED, reason="test order", send_date=later)
    elif dice < 0.022:  # changed without a new revision: a conflict
        yield sent
        yield replace(
            sent,
            end_time=order.end_time + timedelta(minutes=7),
            send_date=day + timedelta(days=1),
        )
    elif dice < 0.024:  # reaches the agency only after July has been assessed
        yield replace(sent, send_date=date(2025, 8, 27))
    elif dice < 0.026 and another != order.worker_number:  # handed to another worker
        yield replace(sent, state=ACCEPTED, end_time=None, send_date=civil_day(order.accept_time))
        handed_over = order.accept_time + HANDED_OVER_AFTER
        yield replace(sent, revision=2, worker_number=another, accept_time=handed_over)
    else:
        yield replace(sent, plain=True)
    if rng.random() < 0.002:
        yield _wrong(sent, rng)


def _wrong(order: Order, rng: random.Random) -> Order:
    """A row that the order service refuses, for one of its reasons."""
    assert order.end_time is not None
    bad = replace(order, plain=False, order_no=f"{order.order_no}X")
    return rng.choice(
        (
            replace(bad, order_no=""),
            replace(bad, revision=0),
            replace(bad, industry=9),
            replace(bad, state=REVERSED, reason=""),
            replace(bad, accept_time=datetime(2021, 1, 1, tzinfo=UTC)),
            replace(bad, end_time=order.accept_time - timedelta(minutes=3)),
            replace(bad, end_time=order.end_time + timedelta(days=4000)),
            replace(bad, place=110105),
            replace(bad, worker_number="nobody"),
        )
    )
