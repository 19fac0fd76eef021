"""A province that has switched on the allowance during treatment."""

from __future__ import annotations

import pytest
from oip.benefits.v1 import benefits_pb2 as pb

from services.benefits.domain import law
from services.kernel.periods import Month
from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    consume,
    determined,
    instructions,
    run_payments,
)
from tests.support.laws import law_with
from tests.support.stack_client import StackClient


async def test_treatment_is_paid_by_the_day_up_to_the_conclusion(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(law, "LAW", law_with(law.LAW, treatment_allowance="on"))
    await consume(client, determined())
    before = await awards_of(client)

    await consume(client, concluded(9))
    await run_payments(client, Month(2025, 8))

    award = (await awards_of(client))["TREATMENT_ALLOWANCE", "worker"]
    # From 1 July to 3 August 33 days at 3,473.80 / 30 = 115.79 yuan.
    assert not before
    assert award.amount_fen == 33 * 11_579
    assert (award.name, "2025-08", 33 * 11_579) in await instructions(client)
    shown = await client.benefits("fund_officer").GetAward(pb.GetAwardRequest(name=award.name))
    assert any("33 days of treatment" in finding.text for finding in shown.findings)
    assert await client.broken("benefits") == []


async def test_it_is_not_paid_where_no_province_has_switched_it_on(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(9))

    assert ("TREATMENT_ALLOWANCE", "worker") not in await awards_of(client)
