"""The scheme has a first day in each pooling area; earlier orders are refused in one pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest

from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import first_moment
from services.orderlog.columns import Columns
from services.orderlog.entries import microseconds
from services.orders.domain.law import rules_at
from services.orders.domain.row_rules import CHECKS, Rules, Status, refuse

NOW = datetime(2026, 7, 20, 1, 0, tzinfo=UTC)
FOSHAN, GUANGZHOU = 440600, 440100


def rows(*orders: tuple[int, date]) -> Columns:
    """Completed orders (place, day of acceptance), accepted in the day's first second."""
    starts = [microseconds(first_moment(day)) for _, day in orders]
    count = len(orders)
    return Columns(
        order_no=pa.array([f"n{index}" for index in range(count)], pa.string()),
        revision=pa.array([1] * count, pa.int32()),
        worker=pa.array([7] * count, pa.int64()),
        industry=pa.array([2] * count, pa.int8()),
        state=pa.array([2] * count, pa.int8()),
        accept_time=pa.array(starts, pa.int64()),
        pick_up_time=pa.array([0] * count, pa.int64()),
        end_time=pa.array([start + 1 for start in starts], pa.int64()),
        place=pa.array([place for place, _ in orders], pa.int32()),
        reason=pa.array([""] * count, pa.string()),
    )


def statuses(columns: Columns, rules: Rules) -> list[Status | None]:
    numbers = refuse(columns, rules, ()).rule.to_pylist()
    return [CHECKS[number - 1].status if number else None for number in numbers]


@pytest.mark.parametrize(
    ("province", "place", "before", "first"),
    [
        ("440000", GUANGZHOU, None, date(2022, 7, 1)),
        ("370000", 370300, date(2025, 6, 30), date(2025, 7, 1)),
        ("410000", 410100, date(2026, 6, 30), date(2026, 7, 1)),
        ("660000", 660000, date(2026, 6, 30), date(2026, 7, 1)),
    ],
)
def test_orders_are_taken_from_the_first_day_of_the_province(
    province: str, place: int, before: date | None, first: date
) -> None:
    rules = rules_at(NOW, province)

    assert statuses(rows((place, first)), rules) == [None]
    if before is not None:
        assert statuses(rows((place, before)), rules) == [Status.SCHEME_NOT_IN_FORCE]


def test_areas_of_one_province_may_begin_on_different_days() -> None:
    whole = rules_at(NOW, "440000")
    later = microseconds(first_moment(date(2025, 7, 1)))
    starts = [
        later if area == FOSHAN else start
        for area, start in zip(whole.pooling_areas, whole.area_starts_us, strict=True)
    ]
    rules = replace(whole, area_starts_us=tuple(starts))
    day = date(2025, 6, 30)
    columns = rows((FOSHAN, day), (GUANGZHOU, day), (FOSHAN, date(2025, 7, 1)), (110105, day))

    assert statuses(columns, rules) == [
        Status.SCHEME_NOT_IN_FORCE,
        None,
        None,
        Status.UNKNOWN_PLACE,
    ]


def test_an_order_from_before_the_scheme_anywhere_has_a_bad_time_of_acceptance() -> None:
    rules = rules_at(NOW, "370000")

    assert statuses(rows((370300, date(2022, 6, 30))), rules) == [Status.BAD_ACCEPT_TIME]


def test_a_deployment_without_data_names_what_is_missing() -> None:
    with pytest.raises(ParameterNotFound) as caught:
        rules_at(NOW, "710000")

    assert caught.value.facts == {
        "parameter": "pooling_areas",
        "day": "2026-07-20",
        "place": "710000",
    }
    assert caught.value.kind.code == "FAILED_PRECONDITION"
