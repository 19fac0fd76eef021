"""What is wrong gets a status, a reason, one sentence that says what to do, and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oip.claims.v1 import claims_pb2, claims_pb2_grpc
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.client.upload.batches import Batch
from services.client.upload.stream import problem_of_batch, upload_orders
from services.demo.province import COMPANIES
from services.demo.summary import pages
from services.kernel.periods import Month
from services.runtime.base.clock import SystemClock
from services.runtime.rpc.client import RemoteProblem, problem_of
from services.runtime.rpc.wire import moment_to_wire, month_to_wire
from tests.journeys.conftest import SimulatedMonth
from tests.support import command_line
from tests.support.command_line import Result

JULY, AUGUST = Month(2025, 7), Month(2025, 8)
SWIFT, PEARL = COMPANIES[0], COMPANIES[1]
MAPPING = """
[columns]
platform = "platform_hint"
industry = { constant = "RIDE_HAILING" }
order_no = "order_no"
worker = "worker_hint"
accept_time = "accepted_at"
end_time = "completed_at"
place = { lng = "pickup_lng", lat = "pickup_lat" }
[words.platform]
"A" = "91350100M000100Y43"
[places]
within_km = 40.0
[[places.centres]]
pooling_area = "440100"
lat = 40.7
lng = -74.0
"""


@pytest.fixture(scope="module", autouse=True)
async def _simulated_once(simulated: SimulatedMonth) -> None:
    await simulated.enrol_and_send()


@pytest.fixture(autouse=True)
async def _unchanged(simulated: SimulatedMonth) -> AsyncIterator[None]:
    """Nothing that a test of this file does may leave a trace."""
    simulated.actors.set_clock(simulated.actors.calendar.at(20, 9))
    before = await holdings(simulated)
    yield
    assert await holdings(simulated) == before


async def holdings(simulated: SimulatedMonth) -> dict[str, Any]:
    await simulated.stack.wait_until_delivered()
    at = simulated.actors.at
    orders = at(orders_pb2_grpc.OrderServiceStub, "orders", "fund_officer")
    claims = at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    fund = at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    tallies = orders_pb2.ListOrderTalliesRequest(month=month_to_wire(JULY))
    return {
        "tallies": await pages(orders.ListOrderTallies, tallies, "tallies"),
        "claims": await pages(claims.ListClaims, claims_pb2.ListClaimsRequest(), "claims"),
        "balance": await fund.GetTrialBalance(fund_pb2.GetTrialBalanceRequest()),
    }


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    problem = problem_of(caught.value)
    assert problem.sentence.endswith(".")
    assert problem.sentence_zh != problem.sentence
    return problem


async def oip(simulated: SimulatedMonth, *arguments: str) -> Result:
    """The command line against the running stack; its tokens follow the machine's clock."""
    simulated.actors.set_clock(SystemClock().now())
    return await command_line.oip(simulated.stack.settings.state_dir, *arguments)


def one_sentence(result: Result) -> str:
    assert result.exit_code == 2, result.output
    said = result.stderr.strip()
    assert said.count("\n") == 0
    assert "Traceback" not in said
    return said


def a_file(folder: Path, **changes: Any) -> Path:
    moment = datetime(2025, 7, 3, 4, 0, tzinfo=UTC)
    columns = {
        "platform_hint": ["A"],
        "order_no": ["N1"],
        "worker_hint": ["nobody"],
        "accepted_at": [moment],
        "completed_at": [moment + timedelta(minutes=9)],
        "pickup_lat": [40.7],
        "pickup_lng": [-74.0],
    }
    kept = {name: value for name, value in (columns | changes).items() if value is not None}
    path = folder / "orders.parquet"
    pq.write_table(pa.table(kept), path)
    return path


def a_mapping(folder: Path, text: str = MAPPING) -> Path:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return path


async def test_a_file_that_is_no_parquet(simulated: SimulatedMonth, tmp_path: Path) -> None:
    path = tmp_path / "orders.parquet"
    path.write_text("this is no Parquet", encoding="utf-8")

    said = one_sentence(
        await oip(simulated, "orders", "push", str(path), "--mapping", str(a_mapping(tmp_path)))
    )

    assert "orders.parquet" in said


async def test_a_file_of_an_unknown_kind(simulated: SimulatedMonth, tmp_path: Path) -> None:
    path = tmp_path / "orders.xlsx"
    path.write_bytes(b"PK")

    said = one_sentence(
        await oip(simulated, "orders", "push", str(path), "--mapping", str(a_mapping(tmp_path)))
    )

    assert "orders.xlsx" in said


async def test_a_column_is_missing(simulated: SimulatedMonth, tmp_path: Path) -> None:
    path = a_file(tmp_path, worker_hint=None)

    said = one_sentence(
        await oip(simulated, "orders", "push", str(path), "--mapping", str(a_mapping(tmp_path)))
    )

    assert "worker_hint" in said


async def test_a_mapping_with_an_unknown_key(simulated: SimulatedMonth, tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, f'colour = "red"\n{MAPPING}')

    said = one_sentence(
        await oip(simulated, "orders", "push", str(a_file(tmp_path)), "--mapping", str(mapping))
    )

    assert "colour" in said


async def test_orders_of_another_platform(simulated: SimulatedMonth) -> None:
    as_pearl = simulated.actors.at(
        orders_pb2_grpc.OrderServiceStub, "orders", "platform", platform=PEARL.credit_code
    )
    call = as_pearl.UploadOrders(
        iter(
            [
                orders_pb2.UploadOrdersRequest(
                    batch_id="of-another",
                    platform=SWIFT.name,
                    rows=orders_pb2.OrderRows(rows=[orders_pb2.OrderRow(order_no="N1")]),
                )
            ]
        )
    )
    answers = [answer async for answer in call]

    problem = problem_of_batch(answers[0].problem)
    assert problem.code is grpc.StatusCode.PERMISSION_DENIED
    assert problem.sentence.endswith(".")


async def test_a_revision_older_than_held(simulated: SimulatedMonth) -> None:
    row = next(
        row for row in simulated.plan.rows.to_pylist() if row["revision"] == 2 and row["end_time"]
    )
    company = next(one for one in COMPANIES if one.credit_code == row["platform"])
    orders = simulated.actors.at(
        orders_pb2_grpc.OrderServiceStub, "orders", "platform", platform=company.credit_code
    )
    simulated.actors.set_clock(simulated.actors.calendar.at(28, 9, months_later=1))
    content = _as_arrow(simulated, row | {"revision": 1, "place_of_acceptance": 442000})

    receipts = await upload_orders(orders, company.credit_code, [Batch("older", content, 1)])

    assert receipts[0].created_count == 0
    assert receipts[0].conflict_count + receipts[0].rejected_count == 1
    assert receipts[0].rejections[0].text.endswith(".")


def _as_arrow(simulated: SimulatedMonth, row: dict[str, Any]) -> bytes:
    from services.client.upload.batches import split_into_batches
    from services.client.upload.workers import with_workers
    from services.demo.scenario import SCHEMA

    table = with_workers(pa.Table.from_pylist([row], SCHEMA), simulated.workers)
    return next(split_into_batches(table, "older")).content


async def test_a_month_that_is_still_open(simulated: SimulatedMonth) -> None:
    premiums = simulated.actors.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")

    problem = await refused(
        premiums.AssessPremiums(
            premiums_pb2.AssessPremiumsRequest(request_id="open", month=month_to_wire(JULY))
        )
    )

    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_settlement_of_a_month_that_is_still_open(simulated: SimulatedMonth) -> None:
    fund = simulated.actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")

    problem = await refused(
        fund.ProposeSettlement(
            fund_pb2.ProposeSettlementRequest(request_id="open", month=month_to_wire(JULY))
        )
    )

    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_claim_on_an_unknown_worker(simulated: SimulatedMonth) -> None:
    claims = simulated.actors.at(
        claims_pb2_grpc.ClaimServiceStub, "claims", "worker_agent", worker="workers/17"
    )

    problem = await refused(
        claims.CreateClaim(
            claims_pb2.CreateClaimRequest(
                request_id="unknown-worker",
                claimant_kind=claims_pb2.WORKER,
                worker="workers/17",
                accident_time=moment_to_wire(simulated.actors.calendar.at(10, 9)),
                place_of_injury="440106",
            )
        )
    )

    assert problem.code is grpc.StatusCode.NOT_FOUND
    assert "workers/17" in problem.sentence


async def test_a_month_that_is_no_month_on_the_command_line(simulated: SimulatedMonth) -> None:
    said = one_sentence(await oip(simulated, "statement", "2025-13"))

    assert "2025-07" in said


async def test_a_reason_with_a_mark_that_turns_the_writing_on_the_command_line(
    simulated: SimulatedMonth,
) -> None:
    said = one_sentence(
        await oip(simulated, "filings", "contest", "filings/c1", "--reason", "not \u202eus\u202c")
    )

    assert said == "reason has the character U+202E, which cannot be seen; remove it."


async def test_a_month_without_a_settlement_on_the_command_line(simulated: SimulatedMonth) -> None:
    said = one_sentence(
        await oip(simulated, "settlement", "approve", str(AUGUST), "--hash", "0" * 64)
    )

    assert said.endswith(".")
