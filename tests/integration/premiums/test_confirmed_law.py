"""In production, premiums are billed only on assumed values that the province has confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from oip.operations.v1 import operations_pb2
from oip.premiums.v1 import premiums_pb2 as pb

from services.kernel.periods import Month
from services.premiums.__main__ import SERVICE
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.integration.premiums.builders import (
    RIDES,
    SWIFT,
    assess,
    count_orders,
    get_bill,
    july_of_swift,
    officer,
)
from tests.support.confirmations import assumed, confirm, tamper, unconfirmed_in
from tests.support.databases import Databases
from tests.support.production_stack import in_production
from tests.support.stack_client import StackClient, refused, stack_client, with_nats

# The due date, and the band of a platform without experience.
OF_A_BILL = {"declaration_day", "experience_minimum"}
OF_BANDS = {"experience_minimum", "experience_step", "experience_thresholds", "experience_window"}


@pytest.fixture
async def settings(stack: Settings, databases: Databases, nats_server: NatsServer) -> Settings:
    """With a database and a nats-server of the test's own."""
    return with_nats(stack, nats_server, await databases.fresh("premiums"))


@pytest.fixture
async def client(settings: Settings, clock: SetClock, tmp_path: Path) -> AsyncIterator[StackClient]:
    """Premiums in production, on 5 August 2025, with a July of orders."""
    produced = in_production(settings, tmp_path, ["premiums"], clock)
    async with stack_client([SERVICE], produced, clock) as started:
        started.set_day(date(2025, 8, 5))
        await july_of_swift(started)
        yield started


async def test_a_month_is_billed_once_what_it_uses_is_confirmed(client: StackClient) -> None:
    problem = await refused(assess(client, 2025, 7))
    nothing = await client.rows("premiums", "select from bill")
    await confirm(client, "premiums", OF_A_BILL)
    await assess(client, 2025, 7)

    assert unconfirmed_in(problem) == OF_A_BILL
    assert "assessments/2025-07" in problem.sentence
    assert nothing == []
    assert (await get_bill(client, SWIFT, "2025-07")).premium_fen == 3_456_789
    values = await assumed(client, "premiums")
    assert {name for name, value in values.items() if value.act_count} == OF_A_BILL
    assert await client.broken("premiums") == []
    assert await client.broken_common("premiums") == []


async def test_an_estimate_is_a_bill_too(client: StackClient) -> None:
    made = await confirm(client, "premiums", OF_A_BILL)
    await assess(client, 2025, 7)
    client.set_day(date(2025, 9, 5))
    await assess(client, 2025, 8)
    day = next(one for one in made.parameter_confirmations if one.parameter == "declaration_day")
    await revoke(client, day.name)
    client.set_day(date(2025, 9, 20))
    bill = f"platforms/{SWIFT}/premiumBills/2025-08"
    estimate = pb.EstimatePremiumRequest(request_id="estimate", bill=bill)

    problem = await refused(officer(client).EstimatePremium(estimate))
    await confirm(client, "premiums", ["declaration_day"])
    billed = await officer(client).EstimatePremium(estimate)

    assert unconfirmed_in(problem) == {"declaration_day"}
    assert billed.name == bill
    assert await client.broken("premiums") == []
    assert await client.broken_common("premiums") == []


async def test_bands_are_fixed_once_what_they_use_is_confirmed(client: StackClient) -> None:
    await confirm(client, "premiums", OF_A_BILL)
    for month in Month(2025, 8).until(Month(2025, 11)):
        await count_orders(client, SWIFT, ("440100", RIDES, month.first_day, 1_000))
    for month in Month(2025, 7).until(Month(2025, 11)):
        client.set_day(month.plus(1).first_day.replace(day=5))
        await assess(client, month.year, month.month)
    request = pb.RefixBandsRequest(
        request_id="bands",
        year=2026,
        rows=[pb.RefixBandsRequest.Row(platform=f"platforms/{SWIFT}", benefit_fen=1)],
    )

    problem = await refused(officer(client).RefixBands(request))
    await confirm(client, "premiums", OF_BANDS - OF_A_BILL)
    fixed = await officer(client).RefixBands(request)

    assert unconfirmed_in(problem) <= OF_BANDS - OF_A_BILL
    assert len(fixed.terms) == 1
    assert await client.broken_common("premiums") == []


@pytest.mark.parametrize(
    "change",
    [
        "delete from law_use",
        "delete from used_value where parameter = 'experience_minimum'",
        "update law_use set act = 'assessments/2025-06'",
    ],
)
async def test_verify_sees_an_assessment_that_does_not_name_its_law(
    client: StackClient, change: str
) -> None:
    await confirm(client, "premiums", OF_A_BILL)
    await assess(client, 2025, 7)

    await tamper(client, "premiums", change)

    assert await client.broken("premiums") == ["I16-premiums-law"]


async def revoke(client: StackClient, name: str) -> None:
    await client.operations("premiums", "fund_officer").RevokeParameterConfirmation(
        operations_pb2.RevokeParameterConfirmationRequest(
            request_id=client.new_id(), name=name, reason="decided otherwise"
        )
    )
