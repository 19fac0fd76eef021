"""The accidents of the month: their moments and their outcomes.

They are chosen from the orders by time alone, so that the fictional province and real records
yield the same cases: within an order, between two, before the first, within two at once, and two
accidents of one worker within a day.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

LONG_ENOUGH = timedelta(minutes=6)
APART = timedelta(minutes=8)
TOGETHER = timedelta(minutes=1)
# Two accidents of one worker: far enough from each other not to be one, near enough to be asked.
SECOND_AFTER = timedelta(hours=1)
SECOND_WITHIN = timedelta(hours=20)


@dataclass(frozen=True)
class Trip:
    """A stored order that ended: its worker, its platform, and its time."""

    worker: str
    platform: str
    order_no: str
    accept_time: datetime
    end_time: datetime
    place: str


@dataclass(frozen=True)
class Accident:
    """An accident of one worker, and what the enquiry and the panel will find."""

    title: str
    trip: Trip
    moment: datetime
    impairment: str = ""
    care_items: int = 0
    drunk: bool = False
    fatal: bool = False
    treatment_fen: int = 0
    # A rest between two orders with the app closed, as the enquiry finds.
    app_closed: bool = False
    # The platform files too, and reports another time of it.
    filed_by_platform: bool = False


class TooFewCasesError(ValueError):
    """The orders do not contain every kind of case."""

    def __init__(self, title: str) -> None:
        super().__init__(f"The orders contain no case of the kind '{title}'; use a larger file.")


def choose(trips: Iterable[Trip], last_day: date) -> list[Accident]:
    """Eleven accidents of ten workers, until a day; raises TooFewCasesError."""
    days = _by_worker(trips, last_day)
    taken: set[str] = set()
    return [
        _overlapping(days, taken),
        _between(days, taken),
        _before_first(days, taken),
        _within(days, taken, "drunk driver", drunk=True, treatment_fen=420_000),
        _within(days, taken, "death", fatal=True, treatment_fen=3_861_240),
        _within(
            days,
            taken,
            "grade 3 with care",
            impairment="3.3",
            care_items=2,
            treatment_fen=12_480_350,
        ),
        _within(
            days,
            taken,
            "grade 5",
            impairment="5.21",
            treatment_fen=8_120_000,
            filed_by_platform=True,
        ),
        _within(days, taken, "grade 9", impairment="9.23", treatment_fen=2_310_075),
        _within(days, taken, "healed", treatment_fen=86_400),
        *_two_of_one_worker(days, taken),
    ]


def _by_worker(trips: Iterable[Trip], last_day: date) -> dict[str, list[Trip]]:
    by_worker: dict[str, list[Trip]] = defaultdict(list)
    for trip in trips:
        if trip.end_time.date() <= last_day:
            by_worker[trip.worker].append(trip)
    for trips_of_worker in by_worker.values():
        trips_of_worker.sort(key=lambda trip: (trip.accept_time, trip.end_time, trip.order_no))
    return dict(sorted(by_worker.items()))


def _overlapping(days: dict[str, list[Trip]], taken: set[str]) -> Accident:
    title = "within two orders"
    for worker, trips in days.items():
        for first, second in itertools.pairwise(trips):
            end = min(first.end_time, second.end_time)
            if first.accept_time < second.accept_time and end - second.accept_time >= TOGETHER:
                taken.add(worker)
                moment = second.accept_time + (end - second.accept_time) / 2
                return Accident(title, second, _whole(moment), treatment_fen=154_000)
    raise TooFewCasesError(title)


def _between(days: dict[str, list[Trip]], taken: set[str]) -> Accident:
    title = "between two orders"
    for worker, trips in days.items():
        latest = trips[0].end_time
        for trip in trips[1:]:
            gap = trip.accept_time - latest
            if worker not in taken and APART <= gap <= timedelta(hours=3):
                taken.add(worker)
                return Accident(title, trip, _whole(latest + gap / 2), app_closed=True)
            latest = max(latest, trip.end_time)
    raise TooFewCasesError(title)


def _before_first(days: dict[str, list[Trip]], taken: set[str]) -> Accident:
    for worker, trips in days.items():
        if worker not in taken:
            taken.add(worker)
            moment = trips[0].accept_time - timedelta(minutes=20)
            return Accident("before the first order", trips[0], _whole(moment))
    raise TooFewCasesError("before the first order")


def _within(
    days: dict[str, list[Trip]],
    taken: set[str],
    title: str,
    *,
    impairment: str = "",
    care_items: int = 0,
    drunk: bool = False,
    fatal: bool = False,
    treatment_fen: int = 0,
    filed_by_platform: bool = False,
) -> Accident:
    for worker, trips in days.items():
        trip = trips[0]
        alone = all(other.accept_time >= trip.end_time for other in trips[1:])
        if worker in taken or not alone or trip.end_time - trip.accept_time < LONG_ENOUGH:
            continue
        taken.add(worker)
        moment = _middle(trip)
        return Accident(
            title,
            trip,
            moment,
            impairment,
            care_items,
            drunk,
            fatal,
            treatment_fen,
            filed_by_platform=filed_by_platform,
        )
    raise TooFewCasesError(title)


def _two_of_one_worker(days: dict[str, list[Trip]], taken: set[str]) -> tuple[Accident, Accident]:
    title = "second accident within a day"
    for worker, trips in days.items():
        for first, second in itertools.pairwise(trips):
            apart = second.accept_time - first.end_time
            if worker not in taken and SECOND_AFTER <= apart <= SECOND_WITHIN:
                taken.add(worker)
                return (
                    Accident("first of two accidents", first, _middle(first), treatment_fen=45_000),
                    Accident(title, second, _middle(second), treatment_fen=62_500),
                )
    raise TooFewCasesError(title)


def _middle(trip: Trip) -> datetime:
    return _whole(trip.accept_time + (trip.end_time - trip.accept_time) / 2)


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
