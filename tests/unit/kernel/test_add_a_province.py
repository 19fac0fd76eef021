"""docs/add-a-province.md, done as it says."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import app
from services.kernel.parameter_check import Places, check_file, check_tree
from services.kernel.parameters import load

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "add-a-province.md"
# A block of TOML belongs to the file named last before it.
BLOCK = re.compile(r"`(services/\S+\.toml)`:\n\n```toml\n(.*?)```", re.DOTALL)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of all parameters with the blocks of the page appended."""
    for path in (ROOT / "services").glob("*/parameters/*.toml"):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 3
    for name, text in blocks:
        path = tmp_path / name
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}", encoding="utf-8")
    return tmp_path / "services"


def test_the_law_with_the_new_province_has_no_fault(copied: Path) -> None:
    assert [str(fault) for fault in check_tree(copied)] == []
    result = oip("check", str(copied))
    assert result.exit_code == 0
    assert re.search(r"\d+ files, no fault\.", result.stdout)


def test_its_own_values_count_and_the_countrys_where_it_has_none(copied: Path) -> None:
    kernel = copied / "kernel" / "parameters"
    day = date(2025, 8, 1)

    assert len(load(kernel / "pooling_areas.toml").on(day, "350000").value) == 9
    assert load(kernel / "average_wage.toml").on(day, "350100").value == "71000"
    assert load(kernel / "minimum_wage.toml").on(day, "350100").value == "2265"
    assert load(kernel / "minimum_wage.toml").on(day, "350200").value == "2300"
    months = load(copied / "benefits" / "parameters" / "disability_grant_months.toml")
    assert months.on(day, "350200").value["grade_3"] == "23"
    base = load(copied / "premiums" / "parameters" / "premium_base_ride_hailing.toml")
    assert base.on(day, "350200").value == "0.01"
    limit = load(copied / "claims" / "parameters" / "determination_time.toml")
    assert limit.on(day, "350100").value == {"count": "25", "unit": "working days"}


def test_other_provinces_are_as_before(copied: Path) -> None:
    day = date(2025, 8, 1)
    for path in sorted((ROOT / "services" / "kernel" / "parameters").glob("*.toml")):
        copy = load(copied / "kernel" / "parameters" / path.name)
        places = [
            value.jurisdiction
            for value in load(path).values
            if value.since <= day and (value.until is None or day < value.until)
        ]
        for place in {*places, "440000"} if "CN" in places else places:
            assert copy.on(day, place) == load(path).on(day, place)


def test_the_wage_of_the_province_applies_from_its_publication(copied: Path) -> None:
    folder = str(copied)
    shown = ["show", "average_wage", "--on", "2025-02-01", "--dir", folder]

    before = oip(*shown, "--in", "350100", "--known", "2025-04-30")
    after = oip(*shown, "--in", "350100")

    assert "68340" in before.stdout
    assert "71000" in after.stdout


def test_an_area_has_the_minimum_wage_of_its_province_or_its_own(copied: Path) -> None:
    result = oip(
        "show", "minimum_wage", "--on", "2025-08-01", "--in", "350200", "--dir", str(copied)
    )

    assert result.exit_code == 0
    assert "2300" in result.stdout


def test_a_value_for_a_place_that_is_no_area_is_refused_as_the_page_says(copied: Path) -> None:
    path = copied / "kernel" / "parameters" / "minimum_wage.toml"
    places = Places.read(ROOT / "services" / "kernel" / "parameters" / "pooling_areas.toml")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('in = "350200"', 'in = "351000"'), encoding="utf-8")

    (fault,) = check_file(path, places, "kernel/parameters/minimum_wage.toml")

    assert str(fault) in PAGE.read_text(encoding="utf-8")


def oip(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["law", *arguments], env={"LANG": "C", "LC_ALL": "C"})
