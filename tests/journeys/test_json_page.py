"""docs/json.md and the examples of /docs, as they are, against `make dev`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.methods import UPLOAD_PATH
from tests.support.dev_stack import ROOT, Dev, commands_of, dev_stack
from tests.support.gateway import call
from tests.support.http_client import HttpClient
from tools.openapi import examples_in_order

PAGE = ROOT / "docs" / "json.md"

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    async with dev_stack(tmp_path_factory.mktemp("dev")) as running:
        yield running


def test_the_page_s_commands_do_what_it_says(dev: Dev, tmp_path: Path) -> None:
    printed = dev.run(commands_of("json.md"), tmp_path)

    registered, worker, refused, receipt, end = [line for line in printed.splitlines() if line]
    assert json.loads(registered)["displayName"] == "Pearl Rides"
    assert re.fullmatch(r"worker [0-9]+", worker)
    assert json.loads(refused)["details"][0]["debug"]["reason"] == "FORBIDDEN"
    assert json.loads(receipt)["receipt"]["createdCount"] == "2"
    assert json.loads(end) == {"end": {"batchCount": 1}}


async def test_every_example_of_the_description_is_answered(dev: Dev, tmp_path: Path) -> None:
    client = HttpClient(dev.url)
    refused, tokens = list[str](), dict[str, str]()
    for example in examples_in_order():
        platform = example.get("platform", "")
        options = f"--role {example['role']} " + (f"--platform {platform}" if platform else "")
        if options not in tokens:
            tokens[options] = dev.run(f".venv/bin/oip token {options}", tmp_path).strip()
        service, _, method = example["method"].rpartition(".")
        prefix = "/orders" if ".operations." in service else ""
        answer = await call(
            client, f"{prefix}/{service}/{method}", example["request"], tokens[options]
        )
        if answer.status != 200:
            refused.append(f"{example['method']}: {answer.body.decode()}")
    await client.close()

    assert refused == []
    assert UPLOAD_PATH in PAGE.read_text(encoding="utf-8")
