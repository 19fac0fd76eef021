"""The whole stack as a process: starts, is found by the command line, stops, survives a kill."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.__main__ import NAMES

START_SECONDS = 90
STOP_SECONDS = 30


class Dev:
    """`python -m services` on a state folder and free ports."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.environment = {
            **os.environ,
            "OIP_STATE_DIR": str(state_dir),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "LC_ALL": "C.UTF-8",
            **{
                f"OIP_{name.upper()}_ADDRESS": "127.0.0.1:0"
                for name in (*NAMES, "gateway", "console")
            },
        }
        self.process: subprocess.Popen[str] | None = None
        self.children: list[psutil.Process] = []

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        end = time.monotonic() + START_SECONDS
        while not (self.state_dir / "running.json").exists() or self.published_pid() != self.pid:
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end, "it did not start"
            time.sleep(0.2)
        self.children = psutil.Process(self.pid).children(recursive=True)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def published_pid(self) -> int:
        return int(json.loads((self.state_dir / "running.json").read_text())["pid"])

    def send(self, number: int) -> tuple[int, str]:
        assert self.process is not None
        self.process.send_signal(number)
        shown = self.process.communicate(timeout=STOP_SECONDS)[0]
        return self.process.returncode, shown

    def alive(self) -> list[psutil.Process]:
        return [child for child in self.children if is_running(child)]

    def oip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "services.cli.main", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def is_running(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    made = Dev(tmp_path / "state")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    for child in made.alive():
        child.kill()


async def test_the_stack_starts_verifies_and_stops_cleanly(dev: Dev) -> None:
    await asyncio.to_thread(dev.start)
    verified = await asyncio.to_thread(dev.oip, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    token = await asyncio.to_thread(dev.oip, "token", "--role", "adjudicator")
    assert token.stdout.count(".") == 2

    code, shown = await asyncio.to_thread(dev.send, signal.SIGTERM)

    assert code == 0, shown
    assert all(name in shown for name in NAMES)
    assert re.search(r"JSON +http://127\.0\.0\.1:\d+ ", shown)
    assert "Traceback" not in shown
    assert dev.alive() == []
    assert not (dev.state_dir / "running.json").exists()


async def test_a_killed_stack_starts_again_on_what_it_left(dev: Dev) -> None:
    await asyncio.to_thread(dev.start)
    await asyncio.to_thread(dev.send, signal.SIGKILL)
    gone = await asyncio.to_thread(dev.oip, "verify")
    assert gone.returncode == 3, gone.stdout + gone.stderr
    assert gone.stderr.count("\n") == 1

    await asyncio.to_thread(dev.start)
    verified = await asyncio.to_thread(dev.oip, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    code, shown = await asyncio.to_thread(dev.send, signal.SIGINT)

    assert code == 0, shown
    assert dev.alive() == []


async def test_a_stack_whose_streams_are_lost_makes_them_at_its_next_start(dev: Dev) -> None:
    dev.environment["COLUMNS"] = "200"
    await asyncio.to_thread(dev.start)
    await asyncio.to_thread(dev.send, signal.SIGTERM)
    shutil.rmtree(dev.state_dir / "nats" / "jetstream")

    await asyncio.to_thread(dev.start)
    shown = await asyncio.to_thread(dev.oip, "delivery")

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "/ 6,144.0 MiB (0 %)" in shown.stdout
    code, _ = await asyncio.to_thread(dev.send, signal.SIGTERM)
    assert code == 0


async def test_a_stack_whose_database_dies_ends_with_an_error_or_recovers_never_hangs(
    dev: Dev,
) -> None:
    await asyncio.to_thread(dev.start)
    postgres = [child for child in dev.children if "postgres" in child.name()]
    for child in postgres:
        child.kill()
    refused = await asyncio.to_thread(dev.oip, "verify")
    assert refused.returncode in {1, 3}, refused.stdout + refused.stderr

    code, _ = await asyncio.to_thread(dev.send, signal.SIGTERM)

    assert code in {0, 1}
    assert dev.alive() == []


async def test_a_service_alone_says_which_servers_it_needs(dev: Dev) -> None:
    command = [sys.executable, "-m", "services.fund"]
    environment = {**dev.environment, "OIP_DATABASE_URL": "", "OIP_NATS_URL": ""}
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith("Set OIP_DATABASE_URL and OIP_NATS_URL")
    assert done.stderr.count("\n") == 1
