"""docs/platforms.md, as it is, against `make dev`: from the registration to the bill."""

from __future__ import annotations

import csv
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.dev_stack import ROOT, Dev, commands_of, dev_stack

BILL = "platforms/91110108MA01ABCD2H/premiumBills/2025-07"


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    async with dev_stack(tmp_path_factory.mktemp("dev")) as running:
        yield running


def test_the_page_s_commands_lead_from_the_registration_to_the_bill(
    dev: Dev, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")

    printed = dev.run(commands_of("platforms.md"), tmp_path)

    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "orders.csv: 128 rows, 128 orders, 0 wrong." in lines
    assert "128 128 0 0 0" in lines, "received, created, exists, conflict, rejected"
    gaps = [line for line in lines if line.endswith("10 9 9 missing orders")]
    assert gaps
    assert f"{BILL} assessed 8.96 0.00 2025-08-15" in lines
    premiums = [line.split()[8] for line in lines if line.endswith("orders 2025-08-15 0")]
    assert premiums == ["4.62", "1.75", "2.59"]
    with (tmp_path / "examples" / "orders.csv.rejected.csv").open(encoding="utf-8") as source:
        assert list(csv.DictReader(source)) == []
    assert "platform = { constant" in (tmp_path / "proposal.toml").read_text(encoding="utf-8")


def test_the_same_orders_again_create_nothing_and_chinese_is_chinese(
    dev: Dev, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")

    printed = dev.run(
        ".venv/bin/oip orders push examples/orders.csv --mapping examples/mapping.toml"
        f" --language zh --format csv\n.venv/bin/oip bills show {BILL} --language zh",
        tmp_path,
    )

    assert "orders.csv,128,0,128,0,0" in printed.splitlines()
    assert "已核定" in printed
