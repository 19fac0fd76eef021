"""Maker and signer are held to their limits, areas and roles of the day of the signature."""

from __future__ import annotations

from datetime import timedelta

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.operations.v1 import operations_pb2 as ops
from oip.type.v1 import type_pb2

from tests.integration.benefits.builders import consume, determined
from tests.integration.benefits.test_bills import bill
from tests.integration.benefits.test_signatures import (
    LARGE,
    award_count,
    pending,
    register,
    sign,
)
from tests.support.stack_client import StackClient, refused
from tests.support.staff import staff_entry, staff_grant


@pytest.fixture(autouse=True)
async def confirmed(client: StackClient) -> None:
    client.signs = False
    await consume(client, determined())


async def test_the_limit_of_the_signer_s_grant_counts_for_what_is_signed(
    client: StackClient,
) -> None:
    grants = [staff_grant("fund_approver", day_limit_fen=700_000)]
    await register(client, staff_entry("wang", grants, revision=2))
    first = await pending(client, bill(client, "1", allowed_cost_fen=LARGE))
    second = await pending(client, bill(client, "2", allowed_cost_fen=LARGE))

    await sign(client, first)
    capped = await refused(sign(client, second))
    signed = await sign(client, second, subject="zhao")

    assert (capped.reason, capped.metadata["member"], capped.metadata["before"]) == (
        "DAY_CAP_REACHED",
        "staffMembers/wang",
        "6,000.00",
    )
    assert signed.state == ops.PendingAct.SIGNED
    assert await client.broken_common("benefits") == []


async def test_the_limit_of_the_maker_is_that_of_the_day_of_the_signature(
    client: StackClient,
) -> None:
    acts = [
        await pending(client, bill(client, f"{number}", allowed_cost_fen=LARGE))
        for number in range(3)
    ]
    grants = [staff_grant("fund_officer", day_limit_fen=700_000)]
    await register(client, staff_entry("li", grants, revision=2))

    await sign(client, acts[0])
    capped = await refused(sign(client, acts[1]))
    client.clock.set(client.clock.now() + timedelta(days=1))
    signed = await sign(client, acts[1])
    again = await refused(sign(client, acts[2]))

    assert capped.reason == again.reason == "DAY_CAP_REACHED"
    assert capped.metadata["member"] == again.metadata["member"] == "staffMembers/li"
    assert signed.state == ops.PendingAct.SIGNED
    assert await client.broken_common("benefits") == []


async def test_a_person_s_own_limit_counts_over_every_act(client: StackClient) -> None:
    grants = [staff_grant("fund_officer", day_limit_fen=90_000)]
    await register(client, staff_entry("limited", grants))
    stub = client.benefits("fund_officer", subject="limited")
    award = await stub.GrantExpense(bill(client, "1", allowed_cost_fen=60_000))

    capped = await refused(
        stub.ReverseExpense(
            pb.ReverseExpenseRequest(
                request_id="x",
                name=award.name,
                code=type_pb2.WRONG_AMOUNT,
                reason="typed wrongly",
            )
        )
    )

    assert (capped.reason, capped.metadata["before"]) == ("DAY_CAP_REACHED", "600.00")


async def test_areas_are_those_of_the_grants_that_sign_the_act(client: StackClient) -> None:
    """A grant for the whole province in another role does not widen the signer's reach."""
    grants = [staff_grant("fund_approver", areas=["440300"]), staff_grant("adjudicator")]
    await register(client, staff_entry("wang", grants, revision=2))
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    digest = bytes.fromhex(act.metadata["hash"])

    problem = await refused(
        client.sign(
            "benefits", act.metadata["pending_act"], digest, "wang", "fund_approver", "adjudicator"
        )
    )

    assert problem.reason == "SIGNER_AREA_MISSING"
    assert await award_count(client) == 0


async def test_an_act_of_areas_that_its_maker_no_longer_has_is_not_signed(
    client: StackClient,
) -> None:
    await register(client, staff_entry("li", [staff_grant("fund_officer", areas=["440100"])]))
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    moved = [staff_grant("fund_officer", areas=["440300"])]
    await register(client, staff_entry("li", moved, revision=2))

    assert (await refused(sign(client, act))).reason == "MAKER_ROLE_MISSING"
    assert await award_count(client) == 0


async def test_who_is_shown_an_act_leaves_an_audit_row(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    approver = client.operations("benefits", "fund_approver", subject="wang")
    name = act.metadata["pending_act"]

    await approver.ListPendingActs(ops.ListPendingActsRequest())
    await approver.GetPendingAct(ops.GetPendingActRequest(name=name))

    rows = await client.rows(
        "benefits",
        "select actor, member, resource, action from audit"
        " where action like '%PendingAct%' order by id",
    )
    assert [(row.actor, row.member, row.resource) for row in rows] == [
        ("wang", "staffMembers/wang", ""),
        ("wang", "staffMembers/wang", name),
    ]
