"""The law that orders applies: its own parameters and the pooling areas of the provinces."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from services.kernel.lawbook import load_law
from services.kernel.periods import civil_day, first_moment
from services.orderlog.entries import microseconds
from services.orders.domain.row_rules import MICROSECONDS_PER_DAY, Rules

LAW = load_law(
    Path(__file__).resolve().parents[1] / "parameters", ("pooling_areas", "scheme_start")
)


def rules_at(now: datetime, province: str) -> Rules:
    """The rules in force in a province at a moment. Raises ParameterNotFound."""
    return replace(_rules_on(civil_day(now), province), now_us=microseconds(now))


@lru_cache(maxsize=64)
def _rules_on(day: date, province: str) -> Rules:
    """All but the moment itself, which differs with each call."""
    areas: list[str] = LAW.on("pooling_areas", day, province).value
    starts = LAW.parameters["scheme_start"].values
    first = min(date.fromisoformat(value.value) for value in starts)
    return Rules(
        pooling_areas=tuple(int(area) for area in areas),
        area_starts_us=tuple(
            microseconds(first_moment(LAW.day("scheme_start", day, area))) for area in areas
        ),
        scheme_start_us=microseconds(first_moment(first)),
        now_us=0,
        order_us_max=LAW.count("order_days_max", day, province) * MICROSECONDS_PER_DAY,
    )
