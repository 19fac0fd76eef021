"""In production, a month closes only on assumed values that the province has confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from oip.operations.v1 import operations_pb2

from services.fund import clients
from services.fund.__main__ import SERVICE
from services.fund.domain.equalisation_rules import CLOSE_PARAMETERS
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings, service_names
from services.runtime.embedded import NatsServer
from tests.integration.fund.conftest import (
    DELIVERY,
    JULY,
    A,
    approve,
    assessed,
    close,
    close_month,
    propose,
    trial,
)
from tests.support.confirmations import assumed, confirm, tamper, unconfirmed_in
from tests.support.databases import Databases
from tests.support.producers import producers_of
from tests.support.production_stack import in_production
from tests.support.stack_client import StackClient, refused, stack_client, with_nats

USED = set(CLOSE_PARAMETERS)


@pytest.fixture
async def settings(stack: Settings, databases: Databases, nats_server: NatsServer) -> Settings:
    """With a database and a nats-server of the test's own."""
    return with_nats(stack, nats_server, await databases.fresh("fund"))


@pytest.fixture
async def client(
    settings: Settings, clock: SetClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[StackClient]:
    """The fund in production, with a July that its producers have ended."""
    produced = in_production(settings, tmp_path, ["fund", *service_names()], clock)
    async with stack_client([SERVICE], produced, clock) as started:
        monkeypatch.setattr(clients, "deliveries", producers_of(started).deliveries)
        await started.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700)))
        await producers_of(started).end_month(JULY)
        yield started


async def test_a_month_is_not_proposed_on_unconfirmed_values(client: StackClient) -> None:
    shown = await trial(client, JULY)
    problem = await refused(propose(client, JULY))

    assert [obstacle.reason for obstacle in shown.obstacles] == ["VALUES_NOT_CONFIRMED"]
    assert problem.reason == "NOT_READY_TO_PROPOSE"
    assert all(name in problem.sentence for name in USED)
    assert await client.rows("fund", "select from settlement_period where state > 1") == []


async def test_a_month_closes_on_confirmed_values_and_names_them(client: StackClient) -> None:
    await confirm(client, "fund", USED)

    closed = await close_month(client, JULY)

    values = await assumed(client, "fund")
    assert closed.name == "settlementPeriods/2025-07"
    assert {name for name, value in values.items() if value.act_count} == USED
    assert values["risk_adjustment"].last_act == closed.name
    assert await client.broken("fund") == []
    assert await client.broken_common("fund") == []


async def test_a_confirmation_taken_back_after_the_proposal_stops_the_close(
    client: StackClient,
) -> None:
    made = await confirm(client, "fund", USED)
    proposed = await propose(client, JULY)
    await approve(client, JULY, proposed.hash)
    one = next(row for row in made.parameter_confirmations if row.parameter == "risk_adjustment")
    await client.operations("fund", "fund_officer").RevokeParameterConfirmation(
        operations_pb2.RevokeParameterConfirmationRequest(
            request_id=client.new_id(), name=one.name, reason="decided otherwise"
        )
    )

    problem = await refused(close(client, JULY))
    posted = await client.rows("fund", "select from ledger_transaction where kind = 'EQUALISED'")
    await confirm(client, "fund", ["risk_adjustment"])
    closed = await close(client, JULY, "close-again")

    assert unconfirmed_in(problem) == {"risk_adjustment"}
    assert posted == []
    assert closed.hash == proposed.hash
    assert await client.broken("fund") == []


@pytest.mark.parametrize(
    "change",
    [
        "delete from law_use",
        "delete from used_value where parameter = 'risk_adjustment'",
        "update used_value set value = 'swiss' where parameter = 'risk_adjustment'",
    ],
)
async def test_verify_sees_a_month_that_does_not_name_its_law(
    client: StackClient, change: str
) -> None:
    await confirm(client, "fund", USED)
    await close_month(client, JULY)

    await tamper(client, "fund", change)

    assert await client.broken("fund") == ["I16-fund-law"]
