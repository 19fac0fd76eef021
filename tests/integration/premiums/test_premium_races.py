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
from services.premiums import commands
from services.premiums.commands.occasion import Occasion
from services.premiums.domain.assessing import Tally
from services.premiums.store import tables
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.client import problem_of
from tests.integration.premiums.desk import (
    DELIVERY,
    PEARL,
    RIDES,
    SWIFT,
    Premiums,
    july_of_swift,
    refused,
)

JULY = type_pb2.Month(year=2025, month=7)


async def test_a_month_assessed_by_two_officers_at_once_is_assessed_once(
    premiums: Premiums,
) -> None:
    await july_of_swift(premiums)

    answers = await asyncio.gather(
        *(
            premiums.officer.AssessPremiums(
                pb.AssessPremiumsRequest(request_id=f"officer-{number}", month=JULY)
            )
            for number in range(4)
        ),
        return_exceptions=True,
    )

    made = [one for one in answers if isinstance(one, pb.PremiumAssessment)]
    refusals = [problem_of(one) for one in answers if isinstance(one, grpc.RpcError)]
    assert len(made) == 1
    assert {one.reason for one in refusals if one} == {"MONTH_ASSESSED"}
    assert len(await premiums.told()) == 1


async def test_a_tally_that_comes_during_an_assessment_waits_for_the_next_bill(
    premiums: Premiums,
) -> None:
    await july_of_swift(premiums)
    database = premiums.running.contexts["premiums"].database
    occasion = Occasion(premiums.clock.now(), "440000", work_calendar())
    late = Tally(SWIFT, "440100", RIDES, date(2025, 7, 9), 11)

    async def accrue() -> None:
        async with database.begin() as tx:
            await commands.accrue_premiums(tx, "late-batch", [late], premiums.clock.now())

    async with database.begin() as tx:
        assessed = await commands.assess_premiums(tx, Month(2025, 7), occasion)
        arriving = asyncio.create_task(accrue())
        await asyncio.sleep(0.3)
        assert not arriving.done()
    await arriving
    waiting = await premiums.officer.ListAccruals(pb.ListAccrualsRequest(month=JULY))

    assert assessed.order_count == 3_456_789
    assert [tally.order_count for tally in waiting.accruals] == [11]


async def test_receipts_at_once_never_pay_more_than_the_bill(premiums: Premiums) -> None:
    await premiums.count_orders(SWIFT, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await premiums.assess(2025, 7)

    got = await asyncio.gather(
        *(
            premiums.receive(SWIFT, "2025-07", date(2025, 8, 4), 300, f"B-{number}")
            for number in range(5)
        )
    )

    bill = await premiums.bill(SWIFT, "2025-07")
    assert (bill.premium_fen, bill.received_fen) == (700, 700)
    assert sum(one.credit_fen for one in got) == 5 * 300 - 700
    assert bill.state == pb.PremiumBill.SETTLED


async def test_one_bank_reference_on_two_bills_at_once_pays_one_of_them(
    premiums: Premiums,
) -> None:
    for platform in (SWIFT, PEARL):
        await premiums.count_orders(platform, ("440100", DELIVERY, date(2025, 7, 1), 100))
    await premiums.assess(2025, 7)

    answers = await asyncio.gather(
        *(
            premiums.receive(platform, "2025-07", date(2025, 8, 4), 300, "B-1")
            for platform in (SWIFT, PEARL)
        ),
        return_exceptions=True,
    )

    refusals = [problem_of(one) for one in answers if isinstance(one, grpc.RpcError)]
    assert [one.reason for one in refusals if one] == ["BANK_REFERENCE_USED"]
    assert sum(isinstance(one, pb.PremiumReceipt) for one in answers) == 1


async def test_declarations_at_once_are_all_kept_and_the_newest_counts(
    premiums: Premiums,
) -> None:
    made = await asyncio.gather(
        *(
            premiums.at("platform", platform=SWIFT).DeclarePremium(
                pb.DeclarePremiumRequest(
                    request_id=f"d{number}", platform=f"platforms/{SWIFT}", month=JULY
                )
            )
            for number in range(4)
        )
    )

    assert sorted(one.revision for one in made) == [1, 2, 3, 4]


async def test_a_bill_cannot_be_changed_or_removed_in_the_database(premiums: Premiums) -> None:
    await july_of_swift(premiums)
    await premiums.assess(2025, 7)
    database = premiums.running.contexts["premiums"].database

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
    premiums: Premiums, table: str
) -> None:
    for platform in (SWIFT, PEARL):
        await premiums.assign_band(platform, "1.20", date(2025, 7, 1))
        await premiums.count_orders(platform, ("440100", DELIVERY, date(2025, 7, 1), 100))
        await premiums.at("platform", platform=platform).DeclarePremium(
            pb.DeclarePremiumRequest(request_id="d", platform=f"platforms/{platform}", month=JULY)
        )
    await premiums.assess(2025, 7)
    for platform in (SWIFT, PEARL):
        await premiums.receive(platform, "2025-07", date(2025, 8, 4), 300, f"B-{platform}")
    database = premiums.running.contexts["premiums"].database

    async with database.begin(SWIFT) as tx:
        seen = (await tx.execute(sa.text(f"select distinct platform from {table}"))).scalars()

        assert list(seen) == [SWIFT]


async def test_bands_are_fixed_from_a_year_of_bills(premiums: Premiums) -> None:
    first = Month(2025, 11)
    for offset in range(12):
        month = first.plus(offset)
        await premiums.count_orders(SWIFT, ("440100", DELIVERY, month.first_day, 100_000))
        premiums.set_day(month.plus(1).first_day)
        if month == Month(2026, 10):
            early = await refused(premiums.officer.RefixBands(_refix("early", 500_000)))
        assessed = await premiums.assess(month.year, month.month)
        await premiums.receive(
            SWIFT, str(month), month.plus(1).first_day, assessed.premium_fen, f"B-{month}"
        )

    fixed = await premiums.officer.RefixBands(_refix("bands", 8_500_000))
    again = await premiums.officer.RefixBands(_refix("bands", 8_500_000))

    assert early.reason == "WINDOW_NOT_ASSESSED"
    assert again == fixed
    assert [(term.band, term.since_date.year) for term in fixed.terms] == [("1.20", 2027)]
    assert fixed.terms[0].findings[0].arithmetic == "85,000.00 / 84,000.00 = 1.0119"


async def test_the_schema_is_what_the_store_says(premiums: Premiums) -> None:
    database = premiums.running.contexts["premiums"].database
    async with database.begin() as tx:
        found = await tx.execute(
            sa.text(
                "select table_name, column_name, is_nullable from information_schema.columns"
                " where table_schema = 'premiums'"
            )
        )
        migrated = {(row.table_name, row.column_name, row.is_nullable == "YES") for row in found}

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
