"""Every service re-computes its invariants, and names what does not hold."""

from __future__ import annotations

import pytest
from oip.operations.v1 import operations_pb2
from sqlalchemy import text

from services.runtime.service.delivery import settled
from tests.support.served import NAMES, ServedPair


async def checks(both: ServedPair, service: str) -> dict[str, bool]:
    answer = await both.stub(service).Verify(operations_pb2.VerifyRequest())
    return {check.text: check.holds for check in answer.checks}


async def test_verify_re_computes_what_holds_for_all_services_and_for_this_one(
    both: ServedPair,
) -> None:
    await both.ring("a", 3)
    await settled(both.channels(), NAMES)

    assert all((await checks(both, "echo")).values())
    of_toy = await checks(both, "toy")
    assert of_toy["Bells are not rung more than a hundred times."]
    assert len(of_toy) == 6


@pytest.mark.parametrize(
    ("service", "damage", "text_of_check"),
    [
        ("toy", "update outbox_counter set next_seq = 9", "published events is 1 to n"),
        (
            "echo",
            "insert into inbox values ('toy', 'e', 2, 'x', 'x', now())",
            "heard 1 to n, each once",
        ),
        (
            "echo",
            "insert into dead_letter values ('toy', 'e', 1, 'x', '', 'x', now())",
            "No event waits",
        ),
        (
            "toy",
            "insert into command values ('*', 'r', 'm', 'x', 'x', now())",
            "has its audit row",
        ),
        ("toy", "insert into bell values ('a', 'P', 101)", "not rung more"),
    ],
)
async def test_verify_names_what_does_not_hold(
    both: ServedPair, service: str, damage: str, text_of_check: str
) -> None:
    async with both.running[service].database.begin() as tx:
        await tx.execute(text(damage))

    failed = [check for check, holds in (await checks(both, service)).items() if not holds]

    assert len(failed) == 1
    assert text_of_check in failed[0]
