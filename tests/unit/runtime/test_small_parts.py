"""The clock, the calendar, failpoints and logs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import structlog

from services.runtime.base import failpoints
from services.runtime.base import log as logs
from services.runtime.base.clock import SetClock, SystemClock, today
from services.runtime.base.failpoints import FailpointError, failpoint
from services.runtime.base.holidays import work_calendar


def test_today_is_the_day_in_shanghai() -> None:
    clock = SetClock(datetime(2025, 7, 31, 15, 59, 59, tzinfo=UTC))
    assert today(clock) == date(2025, 7, 31)
    clock.set(datetime(2025, 7, 31, 16, 0, tzinfo=UTC))
    assert today(clock) == date(2025, 8, 1)


def test_a_set_clock_stands_still_and_speaks_utc() -> None:
    clock = SetClock(datetime(2025, 7, 1, 8, 0, tzinfo=timezone(timedelta(hours=8))))
    assert clock.now() == clock.now() == datetime(2025, 7, 1, tzinfo=UTC)
    assert clock.now().tzinfo is UTC


def test_a_clock_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        SetClock(datetime(2025, 7, 1))  # noqa: DTZ001


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    assert clock.now() <= clock.now()
    assert clock.now().tzinfo is UTC


def test_holidays_and_swapped_weekends_are_known() -> None:
    calendar = work_calendar()
    assert not calendar.is_working(date(2025, 10, 1))
    assert calendar.is_working(date(2025, 9, 28))  # a Sunday that is worked
    assert not calendar.is_working(date(2025, 7, 5))


def test_a_year_without_a_notice_is_provisional_and_never_an_exception() -> None:
    calendar = work_calendar()
    assert not calendar.is_provisional(date(2025, 7, 1))
    assert calendar.is_provisional(date(2040, 1, 2))
    assert calendar.is_working(date(2040, 1, 2))
    assert not calendar.is_working(date(2040, 1, 7))


async def test_a_failpoint_does_nothing_until_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OIP_FAILPOINT", raising=False)
    for name in failpoints.NAMES:
        await failpoint(name)
    monkeypatch.setenv("OIP_FAILPOINT", "relay.after_mark:raise")
    await failpoint("relay.after_publish")
    with pytest.raises(FailpointError):
        await failpoint("relay.after_mark")


async def test_a_failpoint_with_an_unknown_action_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OIP_FAILPOINT", "relay.after_mark:explode")
    with pytest.raises(ValueError, match="kill, raise or sleep"):
        await failpoint("relay.after_mark")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_a_log_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.logger("claims").info("claim_determined", claim="claims/1", outcome="确认")
    logging.getLogger("library").warning("something %s", "odd")

    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert first["event"] == "claim_determined"
    assert (first["part"], first["outcome"], first["level"]) == ("claims", "确认", "info")
    assert second["event"] == "something odd"


def test_quiet_keeps_warnings_only(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(quiet=True)
    logs.logger("x").info("not_shown")
    logs.logger("x").warning("shown")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["shown"]
