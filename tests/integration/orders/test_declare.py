"""`oip orders declare`, as its user runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.runtime.base.clock import SystemClock, today
from services.runtime.base.settings import Settings
from services.runtime.service.stack import Stack
from tests.support.command_line import Result, oip
from tests.support.databases import Databases
from tests.support.enrolling import enrol_hints
from tests.support.platforms import SWIFT
from tests.support.upload_stack import enrolment_and_orders

YESTERDAY = today(SystemClock()) - timedelta(days=1)
HEADER = "pooling_area,industry,order_count\n"


@pytest.fixture(scope="module")
async def pair(stack: Settings, databases: Databases) -> AsyncIterator[Stack]:
    async with enrolment_and_orders(stack, databases) as running:
        await enrol_hints(running, SWIFT, [])
        yield running


async def declare(pair: Stack, *arguments: object, day: object = YESTERDAY) -> Result:
    folder = pair.settings.state_dir
    return await oip(folder, "orders", "declare", day, "--platform", SWIFT, *arguments)


async def test_totals_are_declared_from_a_file_or_line_by_line(pair: Stack, tmp_path: Path) -> None:
    file = tmp_path / "totals.csv"
    file.write_text(f"{HEADER}440100,ride-hailing,1200\n440600,INSTANT_DELIVERY,30\n", "utf-8")

    first = await declare(pair, "--lines", file, "--count", "1230")
    second = await declare(pair, "--line", "440100:RIDE_HAILING=7")
    none = await declare(pair, "--count", "0")

    assert (first.exit_code, second.exit_code, none.exit_code) == (0, 0, 0), first.output
    assert f"Declared 1,230 orders of {YESTERDAY}, revision 1." in first.output
    for shown in ("440100", "ride-hailing", "1,200", "440600", "instant delivery", "missing"):
        assert shown in first.output
    assert "Declared 7 orders" in second.output
    assert "revision 2." in second.output
    assert "440600" not in second.output
    assert none.stdout == "The stored orders agree.\n"
    assert f"Declared 0 orders of {YESTERDAY}, revision 3." in none.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("pooling_area,industry\n440100,RIDE_HAILING\n", "has no column order_count"),
        (f"{HEADER}440100,TAXI,5\n", "line 2: TAXI is not known here"),
        (f"{HEADER}440100,RIDE_HAILING,5.5\n", "line 2: '5.5' is not a count"),
        (f"{HEADER}440100,RIDE_HAILING\n", "line 2: '' is not a count"),
        (HEADER + "440100,RIDE_HAILING,5\n" * 2, "line 3: 440100 RIDE_HAILING occurs twice"),
        (f"{HEADER}999999,RIDE_HAILING,5\n", "999999 is not a pooling area of this province"),
        ("\xff\x00", "no column"),
    ],
)
async def test_a_file_that_cannot_be_is_refused_in_one_sentence(
    pair: Stack, tmp_path: Path, content: str, words: str
) -> None:
    file = tmp_path / "totals.csv"
    file.write_text(content, "utf-8")

    refused = await declare(pair, "--lines", file)

    assert refused.exit_code == 2, refused.output
    assert words in refused.output
    assert "Traceback" not in refused.output


async def test_what_cannot_be_declared_is_refused_in_one_sentence(
    pair: Stack, tmp_path: Path
) -> None:
    line = ("--line", "440100:RIDE_HAILING=5")
    refused = {
        "cannot be read": await declare(pair, "--lines", tmp_path / "none.csv"),
        "is not a day": await declare(pair, *line, day="yesterday"),
        "service_date: 2099-01-01 is not within": await declare(pair, *line, day="2099-01-01"),
        "add up to 5, not to 6": await declare(pair, *line, "--count", "6"),
        "not both": await declare(pair, *line, "--lines", tmp_path / "none.csv"),
        "Pass --count 0": await declare(pair),
    }

    for words, result in refused.items():
        assert result.exit_code == 2, result.output
        assert words in result.output
        assert "Traceback" not in result.output
