"""What a dry run finds suspicious in a file that can be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from services.client.files.reviews import FileReview, shifted_hours
from services.client.files.wrong_rows import SCHEMA
from tests.support.platforms import SWIFT

NOW = datetime(2025, 8, 1, tzinfo=UTC)
# Orders in each hour of a day in China: noon and evening, and a night.
USUAL = [40, 20, 8, 4, 4, 6, 20, 50, 80, 70, 80, 160, 180, 120, 80, 70, 80, 150, 190, 160, 110]
USUAL += [90, 70, 60]


def moved(hours: int) -> list[int]:
    """The same orders as a clock shows them that is so many hours late."""
    return [USUAL[(hour + hours) % 24] for hour in range(24)]


@pytest.mark.parametrize("shift", [8, -8, 5, 12, -11])
def test_hours_that_are_shifted_by_a_zone_are_recognised(shift: int) -> None:
    difference = shifted_hours(moved(shift)) - shift

    assert (difference + 12) % 24 - 12 in {-1, 0, 1}


@pytest.mark.parametrize("hours", [USUAL, moved(2), [50] * 24, [9] * 20 + [0] * 4])
def test_usual_hours_and_too_few_orders_are_not_suspicious(hours: list[int]) -> None:
    assert shifted_hours(hours) == 0


def table(begun: list[datetime], numbers: list[str] | None = None, minutes: int = 9) -> pa.Table:
    count = len(begun)
    columns = {
        "platform": [SWIFT] * count,
        "order_no": numbers or [f"n{number}" for number in range(count)],
        "revision": [1] * count,
        "worker_hint": ["w"] * count,
        "industry": [1] * count,
        "state": [2] * count,
        "accept_time": begun,
        "pick_up_time": [None] * count,
        "end_time": [moment + timedelta(minutes=minutes) for moment in begun],
        "place_of_acceptance": [440106] * count,
        "reason": [None] * count,
        "file_row": list(range(1, count + 1)),
        "place_by": [1] * count,
        **{name: [None] * count for name in ("fault", "fault_field", "fault_value")},
    }
    return pa.table(columns, SCHEMA)


def review_of(piece: pa.Table) -> FileReview:
    review = FileReview()
    review.add(piece, NOW)
    return review


def test_times_of_utc_read_as_chinas_are_named_with_what_to_try() -> None:
    day = datetime(2025, 7, 9, 16, 0, tzinfo=UTC)  # midnight in China
    begun = [
        day + timedelta(hours=hour, minutes=1)
        for hour, count in enumerate(moved(8))
        for _ in range(count)
    ]

    (remark,) = review_of(table(begun)).suspicions()

    assert "the times look shifted by +8 hours" in remark.en
    assert 'zone = "UTC"' in remark.en
    assert "偏移了 +8 小时" in remark.zh


def test_days_futures_and_swapped_columns_are_named() -> None:
    midnight = datetime(2025, 7, 9, 16, 0, tzinfo=UTC)
    future = NOW + timedelta(days=1, minutes=7)

    assert "begin at midnight" in review_of(table([midnight] * 200)).suspicions()[-1].en
    assert review_of(table([future])).suspicions()[0].en.startswith("1 orders begin in the future")
    swapped = review_of(table([midnight], minutes=-9)).suspicions()
    assert swapped[0].en.startswith("1 orders end before they begin")


def test_numbers_that_a_spreadsheet_cut_to_fifteen_digits_are_named() -> None:
    begun = [datetime(2025, 7, 9, 5, 7, tzinfo=UTC)] * 6
    cut = [f"69234500000{number}000" for number in range(1000, 1006)]
    whole = [*cut[:5], "692345000001234567"]

    assert "All long order numbers end in zeros" in review_of(table(begun, cut)).suspicions()[0].en
    assert review_of(table(begun, whole)).suspicions() == []


def test_a_review_counts_what_would_be_created() -> None:
    review = review_of(table([datetime(2025, 7, 9, 20, 0, tzinfo=UTC)] * 3))

    assert review.orders == {(SWIFT, "RIDE_HAILING", "COMPLETED"): 3}
    assert (str(review.first_day), str(review.last_day)) == ("2025-07-10", "2025-07-10")
    assert review.areas == {440106: 3}
