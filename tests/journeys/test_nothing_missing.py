"""A month closes only with all of its events: NATS stopped, a month of nothing, a killed end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.__main__ import all_services, register_members
from services.demo import injuries, money, scenario
from services.demo.actors import Actors, Calendar
from services.demo.staff import first_members
from services.fund.domain.producers import PRODUCERS
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.wire import month_to_wire
from services.runtime.service.stack import stack
from tests.journeys.conftest import ORDERS, SEED, WORKERS, SimulatedMonth, nothing
from tests.support.limits import ROOMY

JULY, AUGUST = Month(2025, 7), Month(2025, 8)


@pytest.fixture(scope="module")
async def nats(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="module")
async def simulated(
    tmp_path_factory: pytest.TempPathFactory, nats: NatsServer
) -> AsyncIterator[SimulatedMonth]:
    """July without its payment run, on a nats-server that the test stops."""
    plan = scenario.fictional(ORDERS, WORKERS, SEED)
    calendar = Calendar(plan.month)
    clock = SetClock(calendar.at(1, 0))
    settings = Settings(state_dir=tmp_path_factory.mktemp("province"), limits=ROOMY).model_copy(
        update={
            "nats_url": nats.url,
            "nats_monitor_url": nats.monitor_url,
            "nats_key_dir": nats.key_dir,
        }
    )
    async with stack(all_services(), settings, clock=clock, any_port=True) as running:
        await register_members(running, first_members(plan))
        await running.wait_until_delivered()
        actors = Actors(running.addresses, running.issuer, clock, plan.name, calendar)
        month = SimulatedMonth(running, actors, plan, {}, set())
        await month.enrol_and_send()
        filed = await month.claim()
        await injuries.conclude_appraisals(actors, filed, nothing)
        await running.wait_until_delivered()
        await injuries.grant_expenses(actors, filed, nothing)
        await month.bill()
        yield month
        await actors.close()


def fund_of(
    simulated: SimulatedMonth, role: str, person: str
) -> fund_pb2_grpc.FundServiceAsyncStub:
    return simulated.actors.at(fund_pb2_grpc.FundServiceStub, "fund", role, person=person)


async def propose(
    simulated: SimulatedMonth, month: Month, request_id: str
) -> fund_pb2.SettlementPeriod:
    officer = fund_of(simulated, "fund_officer", "officer-li")
    return await officer.ProposeSettlement(
        fund_pb2.ProposeSettlementRequest(request_id=request_id, month=month_to_wire(month))
    )


async def close(simulated: SimulatedMonth, month: Month, digest: bytes) -> None:
    wire = month_to_wire(month)
    await fund_of(simulated, "fund_approver", "chief-wu").ApproveSettlement(
        fund_pb2.ApproveSettlementRequest(request_id=f"approve-{month}", month=wire, hash=digest)
    )
    await fund_of(simulated, "fund_officer", "officer-li").CloseSettlement(
        fund_pb2.CloseSettlementRequest(request_id=f"close-{month}", month=wire)
    )


async def instruct(simulated: SimulatedMonth, month: Month) -> benefits_pb2.PaymentRun:
    benefits = simulated.actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    return await benefits.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(request_id=f"run-{month}", month=month_to_wire(month))
    )


async def test_while_nats_is_stopped_no_month_is_proposed(
    simulated: SimulatedMonth, nats: NatsServer
) -> None:
    await nats.kill()
    simulated.actors.set_clock(simulated.actors.calendar.at(5, 9, months_later=1))
    run = await instruct(simulated, JULY)
    assert run.sum_fen > 0

    with pytest.raises(grpc.RpcError) as caught:
        await propose(simulated, JULY, "without-nats")
    problem = problem_of(caught.value)

    assert problem.reason == "NOT_READY_TO_PROPOSE"
    assert "EVENTS_NOT_CONSUMED" in problem.metadata["reasons"]
    assert "events of benefits" in problem.sentence
    assert "The benefits service has not ended 2025-07" in problem.sentence

    await nats.start()
    await simulated.stack.wait_until_delivered()
    proposed = await propose(simulated, JULY, "with-nats")

    assert sum(pool.spending_fen for pool in proposed.pools) == run.sum_fen
    assert {cursor.producer for cursor in proposed.cursors} == set(PRODUCERS)
    await close(simulated, JULY, proposed.hash)


async def test_what_comes_after_the_end_of_a_month_belongs_to_the_next_one(
    simulated: SimulatedMonth,
) -> None:
    """August has a payment run and a few late orders."""
    simulated.actors.set_clock(simulated.actors.calendar.at(15, 9, months_later=1))
    run = await instruct(simulated, AUGUST)
    await money.assess_premiums(simulated.actors, [AUGUST], nothing)
    simulated.actors.set_clock(simulated.actors.calendar.at(2, 9, months_later=2))
    await simulated.stack.wait_until_delivered()

    proposed = await propose(simulated, AUGUST, "propose-august")

    assert sum(pool.spending_fen for pool in proposed.pools) == run.sum_fen
    await close(simulated, AUGUST, proposed.hash)


async def test_a_month_without_orders_or_payments_is_closed(simulated: SimulatedMonth) -> None:
    """Nothing is assessed or paid after monthly benefits were stopped; the steps are the same."""
    month = AUGUST.plus(1)
    stopped = simulated.actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    awards = await stopped.ListAwards(benefits_pb2.ListAwardsRequest(page_size=1000))
    for award in awards.awards:
        if award.periodic and award.state == benefits_pb2.Award.IN_PAYMENT:
            await stopped.SuspendAward(
                benefits_pb2.SuspendAwardRequest(
                    request_id=f"stop-{award.name}",
                    name=award.name,
                    first_month=month_to_wire(month),
                    reason="the test wants a month of nothing",
                )
            )
    run = await instruct(simulated, month)
    simulated.actors.set_clock(
        simulated.actors.calendar.at(2, 9, months_later=3) + timedelta(hours=1)
    )
    await money.assess_premiums(simulated.actors, [month], nothing)

    proposed = await propose(simulated, month, "propose-nothing")
    await close(simulated, month, proposed.hash)

    assert run.sum_fen == 0
    assert sum(pool.spending_fen + pool.income_fen for pool in proposed.pools) == 0
    await simulated.stack.wait_until_delivered()
    await simulated.verify()
