"""A suspension lasts until an officer ends it, whatever becomes of the award meanwhile."""

from __future__ import annotations

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import events_pb2 as claims_events

from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire
from tests.integration.benefits.builders import concluded, consume, determined
from tests.integration.benefits.test_one_accident import (
    AUGUST,
    break_rows,
    in_force,
    merged,
    paid_net,
    run_until,
)
from tests.support.stack_client import StackClient

SEPTEMBER, OCTOBER = AUGUST.plus(1), AUGUST.plus(2)
ALLOWANCE = "awards/{}-disability-allowance-worker"


async def suspend(client: StackClient, award: str, month: Month) -> pb.Award:
    return await client.benefits("fund_officer").SuspendAward(
        pb.SuspendAwardRequest(
            request_id=client.new_id(),
            name=award,
            first_month=month_to_wire(month),
            reason="Did not come to the review.",
        )
    )


async def resume(client: StackClient, award: str, month: Month) -> pb.Award:
    return await client.benefits("fund_officer").ResumeAward(
        pb.ResumeAwardRequest(
            request_id=client.new_id(), name=award, first_month=month_to_wire(month)
        )
    )


@pytest.mark.parametrize("suspended", ["c1", "c2"])
async def test_a_merger_keeps_the_suspension_of_either_award(
    client: StackClient, suspended: str
) -> None:
    for number in (1, 2):
        claim = f"claims/c{number}"
        await consume(client, determined(claim, accident=f"accidents/{number}"))
        await consume(client, concluded(3, claim=claim))
    await run_until(client, AUGUST)
    await suspend(client, ALLOWANCE.format(suspended), SEPTEMBER)
    await consume(client, merged())
    for month in (SEPTEMBER, OCTOBER):
        await run_until(client, month)

    assert "DISABILITY_ALLOWANCE" not in await paid_net(client)
    assert await client.broken("benefits") == []

    resumed = await resume(client, await in_force(client, "DISABILITY_ALLOWANCE"), OCTOBER)
    await run_until(client, OCTOBER)

    assert resumed.state == pb.Award.IN_PAYMENT
    assert (await paid_net(client))["DISABILITY_ALLOWANCE"] == 277_904
    assert await client.broken("benefits") == []


async def test_an_award_that_is_due_again_is_still_suspended(client: StackClient) -> None:
    award = ALLOWANCE.format("c1")
    await consume(client, determined(), concluded(3))
    await run_until(client, AUGUST)
    await suspend(client, award, SEPTEMBER)
    await consume(client, claims_events.DeterminationRevoked(claim="claims/c1", revision=9))
    await consume(client, determined(revision=10))
    await run_until(client, SEPTEMBER)

    again = await client.benefits("fund_officer").GetAward(pb.GetAwardRequest(name=award))
    assert again.state == pb.Award.SUSPENDED
    assert await client.broken("benefits") == []

    await resume(client, award, OCTOBER)
    await run_until(client, OCTOBER)

    assert (await paid_net(client))["DISABILITY_ALLOWANCE"] == 277_904
    assert await client.broken("benefits") == []


async def test_verify_names_an_award_that_is_suspended_in_another_state(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3))
    await break_rows(
        client,
        "insert into suspension (number, first_month, reason, create_time)"
        " select number, first_month, '', now() from award where last_month is null",
    )

    assert await client.broken("benefits") == ["I3-benefits-suspensions"]
