"""From an order to the ledger: sent, counted, assessed, paid, posted."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest
from oip.fund.v1 import fund_pb2, fund_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from oip.premiums.v1 import premiums_pb2, premiums_pb2_grpc

from services.demo.province import COMPANIES
from services.demo.summary import pages, premium_lines
from services.kernel.money import Fen
from services.kernel.periods import Month, civil_day
from services.runtime.rpc.wire import month_to_wire
from tests.journeys.conftest import SimulatedMonth

JULY = Month(2025, 7)


@pytest.fixture(scope="module", autouse=True)
async def _simulated_once(simulated: SimulatedMonth) -> None:
    await simulated.enrol_and_send()
    await simulated.bill()


async def test_every_row_sent_has_one_outcome(simulated: SimulatedMonth) -> None:
    platforms = [company.name for company in COMPANIES]
    orders = simulated.actors.at(orders_pb2_grpc.OrderServiceStub, "orders", "fund_officer")
    batches = [
        batch
        for platform in platforms
        for batch in await pages(
            orders.ListOrderBatches,
            orders_pb2.ListOrderBatchesRequest(platform=platform),
            "order_batches",
        )
    ]
    total = Counter[str]()
    for batch in batches:
        outcomes = (
            batch.created_count + batch.exists_count + batch.conflict_count + batch.rejected_count
        )
        assert batch.received_count == outcomes
        total["received"] += batch.received_count
        total["created"] += batch.created_count
        total["exists"] += batch.exists_count
        total["conflict"] += batch.conflict_count

    assert total["received"] == simulated.plan.rows.num_rows
    assert min(total["created"], total["exists"], total["conflict"]) > 0


async def test_tallies_agree_with_the_rows_as_sent(simulated: SimulatedMonth) -> None:
    orders = simulated.actors.at(orders_pb2_grpc.OrderServiceStub, "orders", "fund_officer")
    held = await pages(
        orders.ListOrderTallies,
        orders_pb2.ListOrderTalliesRequest(month=month_to_wire(JULY)),
        "tallies",
    )
    counted = Counter[tuple[str, str]]()
    for tally in held:
        counted[tally.platform.removeprefix("platforms/"), tally.pooling_area] += tally.order_count
    legs: dict[tuple[str, str], tuple[str, str] | None] = {}
    worker_of: dict[str, str] = {}
    handed_over_count = 0
    for row in simulated.plan.rows.to_pylist():
        number, worker = row["order_no"], row["worker_hint"]
        if not number or number.endswith("X"):
            continue
        platform_and_area = row["platform"], f"{row['place_of_acceptance'] // 100}00"
        before = worker_of.setdefault(number, worker)
        if before != worker:
            # The first worker's part counts, too; it ended when the second accepted.
            handed_over_count += 1
            in_july = Month.of(civil_day(row["accept_time"])) == JULY
            legs[number, before] = platform_and_area if in_july else None
        ended = row["end_time"] is not None and Month.of(civil_day(row["end_time"])) == JULY
        counts = ended and row["state"] in {2, 3}
        if (number, worker) not in legs or row["revision"] > 1:
            legs[number, worker] = platform_and_area if counts else None

    assert handed_over_count > 0
    assert counted == Counter(key for key in legs.values() if key is not None)


async def test_each_premium_line_is_orders_times_base_times_band_rounded_once(
    simulated: SimulatedMonth,
) -> None:
    lines = await premium_lines(simulated.actors, [JULY])
    rate = {
        company.credit_code: Decimal(company.base_yuan) * Decimal(company.band) * 100
        for company in COMPANIES
    }

    assert len(lines) == 16
    for line in lines:
        assert (
            line["premium_fen"] == Fen(1).times(line["order_count"] * rate[line["platform"]]).count
        )


async def test_the_ledger_holds_what_was_assessed_and_received(simulated: SimulatedMonth) -> None:
    fund = simulated.actors.at(fund_pb2_grpc.FundServiceStub, "fund", "fund_officer")
    balance = await fund.GetTrialBalance(fund_pb2.GetTrialBalanceRequest())
    by_account = Counter[int]()
    for row in balance.rows:
        by_account[row.account] += row.balance_fen
    lines = await premium_lines(simulated.actors, [JULY])
    assessed = sum(line["premium_fen"] for line in lines)

    assert balance.sum_fen == 0
    assert by_account[fund_pb2.PREMIUM_INCOME] == -assessed
    assert by_account[fund_pb2.PREMIUM_RECEIVABLE] == 0
    assert by_account[fund_pb2.SURCHARGE_INCOME] < 0
    received = assessed - by_account[fund_pb2.SURCHARGE_INCOME]
    assert by_account[fund_pb2.FISCAL_SPECIAL_ACCOUNT] == received


async def test_the_platform_that_paid_ten_days_late_paid_the_surcharge(
    simulated: SimulatedMonth,
) -> None:
    premiums = simulated.actors.at(premiums_pb2_grpc.PremiumServiceStub, "premiums", "fund_officer")
    bill = await premiums.GetPremiumBill(
        premiums_pb2.GetPremiumBillRequest(
            name=f"platforms/{simulated.plan.late_platform}/premiumBills/{JULY}"
        )
    )

    surcharge = Fen(bill.premium_fen).times(Decimal("0.0005") * 10)
    assert bill.surcharge_received_fen == surcharge.count
    assert bill.state == premiums_pb2.PremiumBill.PAID


async def test_sending_the_month_again_under_new_batch_ids_changes_no_count_but_exists(
    simulated: SimulatedMonth,
) -> None:
    before = await premium_lines(simulated.actors, [JULY])
    orders = simulated.actors.at(orders_pb2_grpc.OrderServiceStub, "orders", "fund_officer")
    tallies = orders_pb2.ListOrderTalliesRequest(month=month_to_wire(JULY))
    held = sum(row.order_count for row in await pages(orders.ListOrderTallies, tallies, "tallies"))

    again = await simulated.send_again()
    assert again["created"] == 0
    assert again["exists"] > 0

    tallies = orders_pb2.ListOrderTalliesRequest(month=month_to_wire(JULY))
    now = sum(row.order_count for row in await pages(orders.ListOrderTallies, tallies, "tallies"))
    assert now == held
    assert await premium_lines(simulated.actors, [JULY]) == before


async def test_all_invariants_hold(simulated: SimulatedMonth) -> None:
    await simulated.verify()
