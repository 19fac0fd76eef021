"""Closing a month: tried, proposed by one officer, approved by another, posted, never changed."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.demo import money
from services.demo.statement import print_statement
from services.demo.summary import summarise
from services.kernel.periods import Month
from services.runtime.rpc.client import RemoteProblem, problem_of
from services.runtime.rpc.wire import month_to_wire
from tests.journeys.conftest import SimulatedMonth, nothing

JULY, AUGUST = Month(2025, 7), Month(2025, 8)


def fund_of(
    simulated: SimulatedMonth, role: str, person: str
) -> fund_pb2_grpc.FundServiceAsyncStub:
    return simulated.actors.at(fund_pb2_grpc.FundServiceStub, "fund", role, person=person)


async def refusal(call: object) -> RemoteProblem:
    with pytest.raises(grpc.RpcError) as caught:
        await call  # type: ignore[misc]
    return problem_of(caught.value)


@pytest.fixture(scope="module", autouse=True)
async def _simulated_once(simulated: SimulatedMonth) -> None:
    await simulated.enrol_and_send()
    filed = await simulated.claim()
    await simulated.grade_and_pay(filed)


async def test_a_month_is_closed_step_by_step(simulated: SimulatedMonth) -> None:
    officer = fund_of(simulated, "fund_officer", "officer-li")
    approver = fund_of(simulated, "fund_approver", "chief-wu")
    wire = month_to_wire(JULY)

    simulated.actors.set_clock(simulated.actors.calendar.at(30, 9))
    early = await refusal(
        officer.ProposeSettlement(fund_pb2.ProposeSettlementRequest(request_id="early", month=wire))
    )
    assert early.code is grpc.StatusCode.FAILED_PRECONDITION

    await simulated.bill()
    simulated.actors.set_clock(simulated.actors.calendar.at(28, 9, months_later=1))
    proposed = await officer.ProposeSettlement(
        fund_pb2.ProposeSettlementRequest(request_id="propose", month=wire)
    )
    assert proposed.state == fund_pb2.SettlementPeriod.PROPOSED
    assert sum(pool.equalisation_fen for pool in proposed.pools) == 0
    for pool in proposed.pools:
        result = pool.opening_fen + pool.income_fen - pool.spending_fen + pool.equalisation_fen
        assert pool.closing_fen == result

    both_roles = fund_of(simulated, "fund_approver", "officer-li")
    own = await refusal(
        both_roles.ApproveSettlement(
            fund_pb2.ApproveSettlementRequest(request_id="own", month=wire, hash=proposed.hash)
        )
    )
    assert own.code in {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED}
    other = await refusal(
        approver.ApproveSettlement(
            fund_pb2.ApproveSettlementRequest(request_id="other", month=wire, hash=b"\0" * 32)
        )
    )
    assert other.code in {grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION}

    approved = await approver.ApproveSettlement(
        fund_pb2.ApproveSettlementRequest(request_id="approve", month=wire, hash=proposed.hash)
    )
    assert approved.state == fund_pb2.SettlementPeriod.APPROVED
    closed = await officer.CloseSettlement(
        fund_pb2.CloseSettlementRequest(request_id="close", month=wire)
    )
    assert closed.state == fund_pb2.SettlementPeriod.CLOSED
    assert closed.hash == proposed.hash


async def test_a_closed_month_cannot_be_proposed_again(simulated: SimulatedMonth) -> None:
    officer = fund_of(simulated, "fund_officer", "officer-li")

    again = await refusal(
        officer.ProposeSettlement(
            fund_pb2.ProposeSettlementRequest(request_id="again", month=month_to_wire(JULY))
        )
    )

    assert again.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_closed_month_is_computed_again_to_the_same_bytes(
    simulated: SimulatedMonth,
) -> None:
    officer = fund_of(simulated, "fund_officer", "officer-li")

    replay = await officer.ReplaySettlement(
        fund_pb2.ReplaySettlementRequest(month=month_to_wire(JULY))
    )

    assert replay.equal
    assert replay.replayed_hash == replay.approved_hash


async def test_the_month_says_how_many_assumed_values_it_used(
    simulated: SimulatedMonth, capsys: pytest.CaptureFixture[str]
) -> None:
    platforms = [company.name for company in simulated.plan.companies]
    months = list(simulated.plan.months)
    figures = await summarise(simulated.actors, platforms, simulated.batches, months, JULY)

    print_statement(figures)

    (line,) = (line for line in capsys.readouterr().out.splitlines() if "assumed values" in line)
    used = re.fullmatch(
        r"They used (\d+) assumed values of the law, of which 440000 has confirmed 0:"
        r" oip law unconfirmed\.",
        line,
    )
    # The settlement alone looks up eight parameters, a bill two, an allowance three more.
    assert used is not None, line
    assert int(used[1]) >= 13
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert re.sub(r"\d+", "N", line) in re.sub(r"\d+", "N", " ".join(readme.split()))


async def test_what_comes_after_the_close_goes_to_the_next_month(simulated: SimulatedMonth) -> None:
    officer = fund_of(simulated, "fund_officer", "officer-li")
    name = f"settlementPeriods/{JULY}"
    before = await officer.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))

    await money.disburse(simulated.actors, nothing)
    await simulated.stack.wait_until_delivered()

    after = await officer.GetSettlementPeriod(fund_pb2.GetSettlementPeriodRequest(name=name))
    assert after.hash == before.hash
    listed = await officer.ListLedgerTransactions(
        fund_pb2.ListLedgerTransactionsRequest(month=month_to_wire(AUGUST), page_size=1000)
    )
    disbursed = [one for one in listed.ledger_transactions if "disbursement" in one.source]
    assert disbursed
    await simulated.verify()
