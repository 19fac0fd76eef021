"""docs/json.md and the examples of /docs, as they are, against `make dev`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.gateway.methods import UPLOAD_PATH
from services.runtime.base.settings import HEALTH_PORT_OFFSET, service_names
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
        script = script.replace("http://127.0.0.1:51080", self.url)
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


def free_ports(count: int) -> list[int]:
    """Ports that are free together with those of their probes, a thousand above."""
    for first in range(21_000 + os.getpid() % 800, 30_000, count):
        ports = list(range(first, first + count))
        if all(is_free(port) and is_free(port + HEALTH_PORT_OFFSET) for port in ports):
            return ports
    raise OSError("no ports are free")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    port, *ports = free_ports(1 + len(service_names()))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{ROOT / 'protos' / 'gen'}",
        "OIP_STATE_DIR": str(folder / "state"),
        "OIP_GATEWAY_ADDRESS": f"127.0.0.1:{port}",
    } | {
        f"OIP_{name.upper()}_ADDRESS": f"127.0.0.1:{number}"
        for name, number in zip(service_names(), ports, strict=True)
    }
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
    url = f"http://127.0.0.1:{port}"
    assert f"{url}/docs".encode() in shown
    yield Dev(environment, url)
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
