"""A month whose every process is killed, at one stage after another, ends in the same figures."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ORDERS, WORKERS = 1_500, 150
LONGEST_SECONDS = 240


def start(folder: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"OIP_STATE_DIR": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "services.demo", "--out", str(folder / "out")]
    command += ["--order-count", str(ORDERS), "--worker-count", str(WORKERS)]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def live(folder: Path) -> dict[str, Any]:
    process = start(folder)
    try:
        said, _ = process.communicate(timeout=LONGEST_SECONDS)
        left_over = processes_of(folder)
    finally:
        kill_everything(folder)
    assert process.returncode == 0, said
    figures = with_numbered_claims((folder / "out" / "summary.json").read_text())
    del figures["seconds"]
    return figures | {"left_over": left_over}


def with_numbered_claims(summary: str) -> dict[str, Any]:
    """The figures; ids of claims and awards are random: claims get the order of accidents."""
    claims = json.loads(summary)["claims"]
    assert len({claim["accident_time"] for claim in claims}) == len(claims)
    for number, claim in enumerate(claims, 1):
        summary = summary.replace(claim["name"], f"claim {number:02}")
    figures: dict[str, Any] = json.loads(summary)
    for award in figures["awards"]:
        del award["name"]
    for table, key in (("appraisals", "grade"), ("awards", "kind")):
        figures[table].sort(key=lambda row: (row[key], row["claim"], row.get("amount_fen", 0)))
    return figures


def kill_at(folder: Path, stage: str, seconds: float) -> None:
    """Start the month and kill services, PostgreSQL and nats-server within a stage."""
    process = start(folder)
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith(f"{stage} ..."):
            break
    else:
        pytest.fail(f"the stage {stage} never began: {said}")
    time.sleep(seconds)
    kill_everything(folder)
    process.wait(timeout=30)
    process.stdout.close()


def kill_everything(folder: Path) -> None:
    """SIGKILL to each process that names the folder, or runs on it."""
    for _ in range(3):
        for pid in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            named = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if str(folder).encode() in named or str(folder) in str((entry / "cwd").readlink()):
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return live(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "seconds"),
    [("orders", 0.2), ("claims", 0.3), ("settlement", 0.05)],
)
def test_a_killed_month_is_taken_up_again(
    tmp_path: Path, undisturbed: dict[str, Any], stage: str, seconds: float
) -> None:
    kill_at(tmp_path, stage, seconds)

    assert live(tmp_path) == undisturbed


@pytest.mark.slow
def test_a_month_killed_twice_is_taken_up_again(
    tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    kill_at(tmp_path, "servers", 0.4)
    kill_at(tmp_path, "premiums", 0.1)

    assert live(tmp_path) == undisturbed


def test_a_finished_month_leaves_no_process(undisturbed: dict[str, Any]) -> None:
    assert undisturbed["left_over"] == []
    assert undisturbed["ledger"]["sum_fen"] == 0
