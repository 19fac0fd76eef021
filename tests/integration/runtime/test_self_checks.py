"""Every service re-computes its invariants, and names what does not hold."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from oip.operations.v1 import operations_pb2

from services.runtime.base.settings import Settings
from services.runtime.service.common_invariants import COMMON_INVARIANTS
from services.runtime.service.context import (
    Check,
    Invariant,
    InvariantsNotAnsweredError,
    ServiceContext,
)
from services.runtime.storage.database import Transaction
from tests.support.toy_stack import ECHO, TOY, ToyStack, serve_toys


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
    assert len(of_toy) == len(COMMON_INVARIANTS) + 1


# Its response is under the key of the service.
UNAUDITED = """
    insert into command select 'li', 'r', 'm', 'x',
        decode('010110', 'hex') || convert_to(id, 'UTF8'), now() from data_key
"""


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
            "echo",
            "insert into event_alarm values ('toy', 'e', 1, 'x', 'x', 'y', now())",
            "came with two contents",
        ),
        (
            "toy",
            UNAUDITED,
            "has its audit row",
        ),
        ("toy", "update data_key set wrapping_key = 'k0'", "opened with the key file"),
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


FEW_ECHOES = Invariant("T2", "few rings are counted")
OTHER = Invariant("T3", "another condition holds")


@pytest.mark.parametrize("answers", [(), (FEW_ECHOES, FEW_ECHOES), (FEW_ECHOES, OTHER), (OTHER,)])
async def test_a_service_that_does_not_answer_each_invariant_once_fails_to_verify(
    toy_settings: Settings, answers: tuple[Invariant, ...]
) -> None:
    async def verify(_tx: Transaction, _context: ServiceContext) -> list[Check]:
        return [invariant.result(holds=True, detail="") for invariant in answers]

    careless = replace(ECHO, invariants=(FEW_ECHOES,), verify=verify)
    async with serve_toys(toy_settings, TOY, careless) as toy_stack:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await toy_stack.stub("echo").Verify(operations_pb2.VerifyRequest())
        with pytest.raises(InvariantsNotAnsweredError, match=r"T[23]"):
            async with toy_stack.contexts["echo"].database.begin() as tx:
                await careless.checks(tx, toy_stack.contexts["echo"])

    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def test_every_answer_of_verify_is_one_of_the_declared_invariants(
    toy_stack: ToyStack,
) -> None:
    answer = await toy_stack.stub("toy").Verify(operations_pb2.VerifyRequest())

    codes = [check.invariant for check in answer.checks]
    assert codes == [invariant.code for invariant in (*COMMON_INVARIANTS, *TOY.invariants)]
