"""docs/json.md and the examples of /docs, as they are, against `make dev`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.gateway.methods import UPLOAD_PATH
from services.runtime.base.settings import service_names
from tests.support.gateway import call
from tests.support.http_client import HttpClient
from tools.openapi import examples_in_order

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "json.md"
BIN = Path(sys.executable).parent
START_SECONDS = 120

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")


@dataclass
class Dev:
    """What `make dev` runs, with its own state folder and free ports."""

    environment: dict[str, str]
    url: str

    def run(self, script: str, folder: Path) -> str:
        """Run a script as a reader of the page would; what it prints."""
        script = script.replace("http://127.0.0.1:21080", self.url)
        script = script.replace(".venv/bin/oip", str(BIN / "oip"))
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
        "OIP_STATE_DIR": str(folder / "state"),
    } | {f"OIP_{name.upper()}_ADDRESS": "127.0.0.1:0" for name in (*service_names(), "gateway")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services",
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    shown = b""
    async with asyncio.timeout(START_SECONDS):
        while b"Stop with Ctrl+C." not in shown:
            line = await process.stdout.readline()
            assert line, shown.decode()
            shown += line
    printed = re.search(r"JSON +(http://\S+) +\(all calls: (\S+)\)", shown.decode())
    assert printed is not None, shown.decode()
    assert printed[2] == f"{printed[1]}/docs"
    yield Dev(environment, printed[1])
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0


def test_the_page_s_commands_do_what_it_says(dev: Dev, tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    printed = dev.run("\necho\n".join(blocks), tmp_path)

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
