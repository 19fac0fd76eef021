"""A true-up is killed at its worst moments and run again: every award is trued up once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import benefits_pb2_grpc

from services.benefits.__main__ import SERVICE
from services.kernel.periods import Month, civil_day
from services.runtime.base.clock import SetClock, SystemClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.client import RemoteProblem
from services.runtime.rpc.wire import month_to_wire
from tests.integration.benefits.builders import concluded, consume, determined, run_payments
from tests.support.databases import Databases
from tests.support.killed_orders import ask
from tests.support.service_process import ServiceProcess, service_process
from tests.support.stack_client import stack_client, with_nats

WORKERS = 4
# What Shanghai's own wage of 2022 gives: 60 % of 12,183 yuan, nine times.
OWN_FEN = 6_578_820
PLACES = ("signatures.after_pending", "signatures.after_signature", "requests.after_commit")


@pytest.fixture
async def paid(stack: Settings, databases: Databases, tmp_path: Path) -> AsyncIterator[Settings]:
    """Benefits with awards that were paid in May 2023, on the national wage that stood in."""
    server = NatsServer(tmp_path / "nats")
    await server.start()
    url = await databases.fresh("benefits")
    settings = with_nats(stack, server, url).model_copy(update={"state_dir": tmp_path})
    clock = SetClock(datetime(2023, 5, 15, 1, tzinfo=UTC))
    async with stack_client([SERVICE], settings, clock) as client:
        for number in range(WORKERS):
            claim = f"claims/c{number}"
            injury = determined(
                claim,
                worker=f"workers/{number + 1}",
                pooling_area="310117",
                accident_date=date(2023, 2, 10),
                determine_date=date(2023, 3, 1),
            )
            await consume(client, injury, concluded(9, claim=claim, day=date(2023, 5, 15)))
        await run_payments(client, Month(2023, 5))
    yield settings
    await server.stop()


async def true_up(serving: ServiceProcess, request_id: str) -> pb.TrueUpAwardsResponse:
    stub = serving.channels("fund_officer").stub(benefits_pb2_grpc.BenefitServiceStub, "benefits")
    answer: pb.TrueUpAwardsResponse = await stub.TrueUpAwards(
        pb.TrueUpAwardsRequest(request_id=request_id, worker_count=1), timeout=20
    )
    return answer


async def test_a_killed_true_up_is_run_again_and_ends_as_one_that_was_not(paid: Settings) -> None:
    for number, place in enumerate(PLACES):
        async with service_process("benefits", paid, OIP_FAILPOINT=f"{place}:kill") as serving:
            with contextlib.suppress(grpc.RpcError, RemoteProblem):
                await true_up(serving, f"part-{number}")
            assert await serving.process.wait() < 0, place
    async with service_process("benefits", paid) as serving:
        for number in range(len(PLACES)):
            await true_up(serving, f"part-{number}")
        number = len(PLACES)
        while (await true_up(serving, f"part-{number}")).remaining_count:
            number += 1
        month = Month.of(civil_day(SystemClock().now()))
        stub = serving.channels("fund_officer").stub(
            benefits_pb2_grpc.BenefitServiceStub, "benefits"
        )
        await stub.InstructPayments(
            pb.InstructPaymentsRequest(request_id="run", month=month_to_wire(month))
        )
        broken = await serving.broken()

    once = "select award, count(*) from benefits.true_up group by award"
    sums = (
        "select a.worker, sum(p.amount_fen)::bigint from benefits.payment p"
        " join benefits.award a on a.number = p.number group by a.worker order by a.worker"
    )
    assert [count for _, count in await ask(paid.database_url, once)] == [1] * WORKERS
    assert [fen for _, fen in await ask(paid.database_url, sums)] == [OWN_FEN] * WORKERS
    assert broken == []
