"""What comes at the same time, or twice, or in the wrong order."""

from __future__ import annotations

import asyncio
from datetime import date

import grpc
import pytest
import sqlalchemy as sa
from oip.premiums.v1 import premiums_pb2 as pb
from oip.type.v1 import type_pb2
from sqlalchemy.exc import DBAPIError

from services.kernel.periods import Month
from services.kernel.scope import Scope
from services.premiums.commands.assessment import assess_premiums
from services.premiums.store import tables
from services.runtime.rpc.client import problem_of
from tests.integration.premiums.builders import (
    DELIVERY,
    PEARL,
    RIDES,
    SWIFT,
    an_order_batch,
    assess,
    assign_band,
    count_orders,
    get_bill,
    july_of_swift,
    officer,
    platform_stub,
    receive,
)
from tests.support.stack_client import StackClient, refused

JULY = type_pb2.Month(year=2025, month=7)


async def test_a_month_assessed_by_two_officers_at_once_is_assessed_once(
    client: StackClient,
) -> None:
    await july_of_swift(client)

    answers = await asyncio.gather(
        *(
            officer(client).AssessPremiums(
                pb.AssessPremiumsRequest(request_id=f"officer-{number}", month=JULY)
            )
            for number in range(4)
        ),
        return_exceptions=True,
    )

    refusals = [problem_of(answer) for answer in answers if isinstance(answer, grpc.RpcError)]
    assert sum(isinstance(answer, pb.PremiumAssessment) for answer in answers) == 1
    assert {problem.reason for problem in refusals} == {"MONTH_ASSESSED"}
    assert len(await client.published("premiums")) == 1


async def test_a_tally_that_comes_during_an_assessment_waits_for_the_next_bill(
    client: StackClient,
) -> None:
    await july_of_swift(client)
    database = client.database("premiums")
    command = client.context("premiums").command("test")
    late = an_order_batch("late-batch", SWIFT, ("440100", RIDES, date(2025, 7, 9), 11))

    async with database.begin() as tx:
        assessed = await assess_premiums(tx, Month(2025, 7), command)
        arriving = asyncio.create_task(client.consume("premiums", late))
        await asyncio.sleep(0.3)
        assert not arriving.done()
    await arriving
    waiting = await officer(client).ListAccruals(pb.ListAccrualsRequest(month=JULY))

    assert assessed.order_count == 3_456_789
    assert [tally.order_count for tally in waiting.accruals] == [11]


async def test_receipts_at_once_never_pay_more_than_the_bill(client: StackClient) -> None:
    await count_orders(client, SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await assess(client, 2025, 7)

    receipts = await asyncio.gather(
        *(
            receive(client, SWIFT, "2025-07", date(2025, 8, 4), 300, reference=f"B-{number}")
            for number in range(5)
        )
    )

    bill = await get_bill(client, SWIFT, "2025-07")
    assert (bill.premium_fen, bill.received_fen) == (700, 700)
    assert sum(receipt.credit_fen for receipt in receipts) == 5 * 300 - 700
    assert bill.state == pb.PremiumBill.PAID


async def test_one_bank_reference_on_two_bills_at_once_pays_one_of_them(
    client: StackClient,
) -> None:
    for platform in (SWIFT, PEARL):
        await count_orders(client, platform, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await assess(client, 2025, 7)

    answers = await asyncio.gather(
        *(
            receive(client, platform, "2025-07", date(2025, 8, 4), 300, reference="B-1")
            for platform in (SWIFT, PEARL)
        ),
        return_exceptions=True,
    )

    refusals = [problem_of(answer) for answer in answers if isinstance(answer, grpc.RpcError)]
    assert [problem.reason for problem in refusals] == ["BANK_REFERENCE_USED"]
    assert sum(isinstance(answer, pb.PremiumReceipt) for answer in answers) == 1


async def test_declarations_at_once_are_all_kept_and_the_newest_counts(
    client: StackClient,
) -> None:
    declarations = await asyncio.gather(
        *(
            platform_stub(client, SWIFT).DeclarePremium(
                pb.DeclarePremiumRequest(
                    request_id=f"d{number}", platform=f"platforms/{SWIFT}", month=JULY
                )
            )
            for number in range(4)
        )
    )

    assert sorted(row.revision for row in declarations) == [1, 2, 3, 4]


async def test_a_bill_cannot_be_changed_or_removed_in_the_database(client: StackClient) -> None:
    await july_of_swift(client)
    await assess(client, 2025, 7)
    database = client.database("premiums")

    for statement in (
        "update bill set premium_fen = 0",
        "delete from bill",
        "update line set premium_fen = 0",
        "delete from accrual",
        "truncate receipt",
    ):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with database.begin() as tx:
                await tx.execute(sa.text(statement))


@pytest.mark.parametrize(
    "table", ["accrual", "term", "bill", "line", "receipt", "receipt_part", "declaration"]
)
async def test_the_database_shows_a_platform_its_own_rows_only(
    client: StackClient, table: str
) -> None:
    for platform in (SWIFT, PEARL):
        await assign_band(client, platform, "1.20", date(2025, 7, 1))
        await count_orders(client, platform, ("440100", DELIVERY, date(2025, 7, 1), 100))
        await platform_stub(client, platform).DeclarePremium(
            pb.DeclarePremiumRequest(request_id="d", platform=f"platforms/{platform}", month=JULY)
        )
    await assess(client, 2025, 7)
    for platform in (SWIFT, PEARL):
        await receive(client, platform, "2025-07", date(2025, 8, 4), 300, reference=f"B-{platform}")
    database = client.database("premiums")

    async with database.begin(Scope(platform=SWIFT)) as tx:
        seen = (await tx.execute(sa.text(f"select distinct platform from {table}"))).scalars()

        assert list(seen) == [SWIFT]


async def test_bands_are_fixed_from_a_year_of_bills(client: StackClient) -> None:
    first = Month(2025, 11)
    for offset in range(12):
        month = first.plus(offset)
        await count_orders(client, SWIFT, ("440100", DELIVERY, month.first_day, 100_000))
        client.set_day(month.plus(1).first_day)
        if month == Month(2026, 10):
            early = await refused(officer(client).RefixBands(_refix("early", 500_000)))
        assessed = await assess(client, month.year, month.month)
        await receive(
            client,
            SWIFT,
            str(month),
            month.plus(1).first_day,
            assessed.premium_fen,
            reference=f"B-{month}",
        )

    fixed = await officer(client).RefixBands(_refix("bands", 8_500_000))
    again = await officer(client).RefixBands(_refix("bands", 8_500_000))

    assert early.reason == "WINDOW_NOT_ASSESSED"
    assert again == fixed
    assert [(term.band, term.since_date.year) for term in fixed.terms] == [("1.20", 2027)]
    assert fixed.terms[0].findings[0].arithmetic == "85,000.00 / 84,000.00 = 1.0119"


async def test_the_schema_is_what_the_store_says(client: StackClient) -> None:
    database = client.database("premiums")
    async with database.begin() as tx:
        columns = await tx.execute(
            sa.text(
                "select table_name, column_name, is_nullable from information_schema.columns"
                " where table_schema = 'premiums'"
            )
        )
        migrated = {(row.table_name, row.column_name, row.is_nullable == "YES") for row in columns}

    stored = {
        (table.name, column.name, bool(column.nullable))
        for table in tables.metadata.tables.values()
        for column in table.columns
    }
    names = {table.name for table in tables.metadata.tables.values()}
    assert stored == {row for row in migrated if row[0] in names}


def _refix(request_id: str, benefit_fen: int) -> pb.RefixBandsRequest:
    return pb.RefixBandsRequest(
        request_id=request_id,
        year=2027,
        rows=[pb.RefixBandsRequest.Row(platform=f"platforms/{SWIFT}", benefit_fen=benefit_fen)],
    )
