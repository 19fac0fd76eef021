"""Each rule that a province may choose, from the trial of a month to its replay."""

from __future__ import annotations

import pytest
from oip.fund.v1 import fund_pb2 as pb

from services.fund.domain.equalisation_rules import RiskAdjustment
from services.fund.domain.law import LAW
from tests.integration.fund.conftest import (
    AUGUST,
    DELIVERY,
    JULY,
    A,
    B,
    C,
    assessed,
    close_month,
    consume_e7,
    fen,
    instructed,
    month_message,
    officer,
    trial,
)
from tests.support.laws import law_with
from tests.support.producers import producers_of
from tests.support.stack_client import StackClient

# The transfers of the published example E7 between A, B and C in yuan.
E7_TRANSFERS = {
    RiskAdjustment.NEED_LESS_STRENGTH: ("-25,477.47", "-8,036.88", "33,514.35"),
    RiskAdjustment.SWISS: ("142,146.76", "-361,270.33", "219,123.57"),
    RiskAdjustment.DUTCH: ("-246,589.77", "-113,257.74", "359,847.51"),
    RiskAdjustment.PROPORTIONAL_POOLING: ("-154,513.09", "-72,178.01", "226,691.10"),
    RiskAdjustment.FULL_POOLING: ("-467,702.06", "-218,478.61", "686,180.67"),
    RiskAdjustment.NONE: ("0", "0", "0"),
}


def choose(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Let the province of the test have set parameters of the fund."""
    monkeypatch.setattr("services.fund.commands.settlement.LAW", law_with(LAW, **values))


async def replay(client: StackClient) -> pb.SettlementReplay:
    request = pb.ReplaySettlementRequest(month=month_message(JULY))
    return await officer(client).ReplaySettlement(request)


def outputs_of(period: pb.SettlementPeriod, text: str) -> dict[str, str]:
    """What the finding that begins with a text gives."""
    (finding,) = [one for one in period.findings if one.text.startswith(text)]
    return {fact.name: fact.value for fact in finding.outputs}


@pytest.mark.parametrize("rule", list(RiskAdjustment), ids=lambda rule: rule.value)
async def test_a_province_closes_its_month_by_the_rule_it_chose(
    client: StackClient, monkeypatch: pytest.MonkeyPatch, rule: RiskAdjustment
) -> None:
    choose(monkeypatch, risk_adjustment=rule.value)
    await consume_e7(client)
    await producers_of(client).end_month(JULY)

    tried = await trial(client, JULY)
    closed = await close_month(client, JULY)
    replayed = await replay(client)

    moved = {pool.pooling_area: pool.risk_adjustment_fen for pool in closed.pools}
    assert moved == dict(zip((A, B, C), map(fen, E7_TRANSFERS[rule]), strict=True))
    assert sum(pool.equalisation_fen for pool in closed.pools) == 0
    assert tried.hash == closed.hash == replayed.replayed_hash
    assert replayed.equal
    explained = outputs_of(closed, f"Risk adjustment of {C} in 2025-07")
    assert explained["transfer_fen"] == str(moved[C])
    assert await client.broken("fund") == []


async def test_few_cases_are_mixed_with_the_expected_cost(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, credibility_cases="12")
    await consume_e7(client)

    closed = await close_month(client, JULY)

    # Three cases of twelve: half of what deliveries cost, 6.30985915 fen, and half of 7 fen.
    (cost,) = [one for one in closed.findings if one.text.startswith("An order of INSTANT_DEL")]
    assert cost.text == (
        "An order of INSTANT_DELIVERY costs 6.65492957 fen: "
        "own cost believed by 0.50000000, the rest prior."
    )
    assert outputs_of(closed, "Cost of an order in 2025-07")["mean"] == "4.45914396"
    assert (await replay(client)).equal


async def test_the_cost_is_averaged_over_the_months_of_the_window(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, cell_cost_window="2")
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700), (B, DELIVERY, 100, 700)))
    await client.consume("fund", instructed(JULY, A, DELIVERY, 900))
    july = await close_month(client, JULY)
    await client.consume("fund", assessed(AUGUST, (A, DELIVERY, 200, 1400)))
    await client.consume("fund", instructed(AUGUST, A, DELIVERY, 300))

    august = await close_month(client, AUGUST)
    request = pb.ReplaySettlementRequest(month=month_message(AUGUST))
    replayed = await officer(client).ReplaySettlement(request)

    costs = [
        outputs_of(period, "An order of INSTANT_DELIVERY")["cost_fen"] for period in (july, august)
    ]
    assert costs == ["4.50000000", "3.00000000"]
    assert replayed.equal
