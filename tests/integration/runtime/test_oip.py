"""The command line `oip` against services served for real."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys

from sqlalchemy import text

from services.runtime.settings import Settings
from services.runtime.stack import announced
from tests.support.served import ServedPair, letters


async def oip(settings: Settings, addresses: dict[str, str], *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "services.cli.main", "--state-dir", str(settings.state_dir)]
    file = settings.state_dir / "running.json"
    with announced(settings.state_dir, addresses):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["addresses"] == addresses
        done = await asyncio.to_thread(
            subprocess.run,
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={
                **os.environ,
                "COLUMNS": "200",
                "LC_ALL": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
        )
    assert not file.exists()
    return done.returncode, done.stdout + done.stderr


async def test_oip_verify_passes_and_fails_with_the_invariants(both: ServedPair) -> None:
    await both.ring("a", 2)
    code, shown = await oip(both.settings, both.addresses, "verify")
    assert code == 0, shown
    assert "All invariants hold." in shown

    async with both.running["toy"].database.begin() as tx:
        await tx.execute(text("insert into bell values ('b', 'P', 101)"))
    code, shown = await oip(both.settings, both.addresses, "verify")
    assert code == 1, shown
    assert "1 of the invariants do not hold." in shown


async def test_oip_dead_letters_are_listed_and_a_refusal_is_one_sentence(
    poisoned: ServedPair,
) -> None:
    (letter,) = await letters(poisoned)

    where = poisoned.settings, poisoned.addresses
    code, shown = await oip(*where, "dead-letters", "list")
    assert (code, letter.name in shown) == (0, True), shown

    code, shown = await oip(*where, "dead-letters", "retry", letter.name, "--service", "echo")
    assert code == 2
    assert shown.count("\n") == 1
    assert "failed again" in shown


async def test_oip_says_in_one_sentence_that_nobody_is_there(both: ServedPair) -> None:
    code, shown = await oip(both.settings, {"toy": "127.0.0.1:1"}, "verify")

    assert code == 3
    assert shown.startswith("The service cannot be reached")
