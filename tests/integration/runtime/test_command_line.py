"""The command line `oip` against services served for real."""

from __future__ import annotations

import json
import stat

from services.runtime.base.settings import Settings
from services.runtime.service.addresses import publish_addresses
from tests.support import command_line
from tests.support.toy_stack import ToyStack, dead_letters


async def oip(settings: Settings, addresses: dict[str, str], *arguments: str) -> tuple[int, str]:
    file = settings.state_dir / "running.json"
    with publish_addresses(settings.state_dir, addresses):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["addresses"] == addresses
        done = await command_line.oip(settings.state_dir, *arguments)
    assert not file.exists()
    return done.exit_code, done.output


async def test_oip_verify_passes_and_fails_with_the_invariants(toy_stack: ToyStack) -> None:
    await toy_stack.ring("a", 2)
    code, shown = await oip(toy_stack.settings, toy_stack.addresses, "verify")
    assert code == 0, shown
    assert "All invariants hold." in shown

    await toy_stack.execute("toy", "insert into bell values ('b', 'P', 101)")
    code, shown = await oip(toy_stack.settings, toy_stack.addresses, "verify")
    assert code == 1, shown
    assert "1 of the invariants do not hold." in shown


async def test_oip_dead_letters_are_listed_and_a_refusal_is_one_sentence(
    with_dead_letter: ToyStack,
) -> None:
    (letter,) = await dead_letters(with_dead_letter)

    where = with_dead_letter.settings, with_dead_letter.addresses
    code, shown = await oip(*where, "dead-letters", "list")
    assert (code, letter.name in shown) == (0, True), shown

    code, shown = await oip(*where, "dead-letters", "retry", letter.name, "--service", "echo")
    assert code == 2
    assert shown.count("\n") == 1
    assert "failed again" in shown


async def test_oip_says_in_one_sentence_that_no_service_answers(toy_stack: ToyStack) -> None:
    code, shown = await oip(toy_stack.settings, {"toy": "127.0.0.1:1"}, "verify")

    assert code == 3
    assert shown.startswith("The toy service at 127.0.0.1:1 cannot be reached")
