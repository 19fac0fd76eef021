"""Every service re-computes its invariants, and names what does not hold."""

from __future__ import annotations

import pytest
from oip.operations.v1 import operations_pb2

from tests.support.toy_stack import ToyStack


async def checks(toy_stack: ToyStack, service: str) -> dict[str, bool]:
    answer = await toy_stack.stub(service).Verify(operations_pb2.VerifyRequest())
    return {check.text: check.holds for check in answer.checks}


async def test_verify_re_computes_what_holds_for_all_services_and_for_this_one(
    toy_stack: ToyStack,
) -> None:
    await toy_stack.ring("a", 3)
    await toy_stack.delivered()

    assert all((await checks(toy_stack, "echo")).values())
    of_toy = await checks(toy_stack, "toy")
    assert of_toy["bells are rung at most a hundred times"]
    assert len(of_toy) == 6


@pytest.mark.parametrize(
    ("service", "damage", "text_of_check"),
    [
        ("toy", "update outbox_counter set next_seq = 9", "published events is 1 to n"),
        (
            "echo",
            "insert into inbox values ('toy', 'e', 2, 'x', 'x', now())",
            "consumed 1 to n, each once",
        ),
        (
            "echo",
            "insert into dead_letter values ('toy', 'e', 1, 'x', '', 'x', now())",
            "no event waits",
        ),
        (
            "toy",
            "insert into command values ('*', 'r', 'm', 'x', 'x', now())",
            "has its audit row",
        ),
        ("toy", "insert into bell values ('a', 'P', 101)", "at most a hundred"),
    ],
)
async def test_verify_names_what_does_not_hold(
    toy_stack: ToyStack, service: str, damage: str, text_of_check: str
) -> None:
    await toy_stack.execute(service, damage)

    failed = [check for check, holds in (await checks(toy_stack, service)).items() if not holds]

    assert len(failed) == 1
    assert text_of_check in failed[0]
