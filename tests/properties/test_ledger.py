"""The ledger under random transactions: repeated, reordered, late, between closes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from services.fund.commands import ledger as commands
from services.fund.commands import settlement
from services.fund.domain import ledger as domain
from services.fund.domain.ledger import (
    CELLS,
    LedgerTransaction,
    PaymentPart,
    PremiumLine,
    ReceiptPart,
    TransactionKind,
)
from services.fund.domain.settlement import books_from
from services.fund.invariants import verify
from services.fund.store import ledger as ledger_store
from services.fund.store import totals as total_store
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Database
from tests.support.contexts import service_context
from tests.support.databases import Databases
from tests.support.producers import DELIVERED, end_month_in

AREAS = ("440100", "440600", "441900", "442000")
MONTHS = (Month(2025, 7), Month(2025, 8), Month(2025, 9))
NOW = datetime(2025, 12, 1, tzinfo=UTC)
SEEDS = (1, 2, 3)


def some_transactions(chance: random.Random) -> list[LedgerTransaction]:
    """Bills, receipts and payments of three months in four areas."""
    transactions: list[LedgerTransaction] = []
    for number in range(12):
        month = chance.choice(MONTHS)
        lines = [
            PremiumLine(area, cell, chance.randint(-3, 90), Fen(chance.randint(-20, 9000)))
            for area in chance.sample(AREAS, chance.randint(1, 4))
            for cell in CELLS
        ]
        transactions += domain.premium_assessed(f"platforms/P{number}/premiumBills/x", month, lines)
    for number in range(8):
        day = date(2025, chance.randint(7, 9), chance.randint(1, 28))
        parts = [
            ReceiptPart(area, Fen(chance.randint(0, 900)), Fen(chance.randint(0, 9)), Fen(0))
            for area in chance.sample(AREAS, 2)
        ]
        transactions += domain.premium_received(f"premiumReceipts/{number}", day, parts)
    for number in range(20):
        month = chance.choice(MONTHS)
        part = PaymentPart(
            chance.choice(AREAS), chance.choice(CELLS), "CARE_ALLOWANCE", 1, Fen(number * 77)
        )
        transactions.append(domain.benefits_instructed(f"paymentRuns/{month}", number, month, part))
    return transactions


async def post(database: Database, transaction: LedgerTransaction) -> None:
    context = service_context(database, NOW).command("services/test")
    async with database.begin() as tx:
        if transaction.kind is TransactionKind.BENEFITS_INSTRUCTED:
            await commands.post_benefits(tx, transaction, context)
        else:
            await commands.post(tx, [transaction], context)


async def close(database: Database, month: Month) -> None:
    service = service_context(database, NOW)
    await end_month_in(database, month)
    async with database.begin(serializable=True) as tx:
        command = replace(service.command("li"), member="staffMembers/li")
        proposed = await settlement.propose_settlement(tx, month, DELIVERED, command)
    async with database.begin(serializable=True) as tx:
        command = replace(service.command("wu"), member="staffMembers/wu")
        await settlement.approve_settlement(tx, month, proposed.hash, command)
    async with database.begin(serializable=True) as tx:
        await settlement.close_settlement(tx, month, service.command("li"))


async def broken(database: Database) -> list[str]:
    async with database.begin() as tx:
        checks = await verify(tx, service_context(database, NOW))
    return [check.invariant for check in checks if not check.holds]


async def trial_hashes(database: Database) -> Sequence[bytes]:
    context = service_context(database, NOW).command("li")
    async with database.begin() as tx:
        return [
            (await settlement.trial_settlement(tx, month, None, context)).hash for month in MONTHS
        ]


@pytest.fixture
async def two(databases: Databases) -> AsyncIterator[tuple[Database, Database]]:
    pair = (
        Database(await databases.fresh("fund"), "fund"),
        Database(await databases.fresh("fund"), "fund"),
    )
    yield pair
    for database in pair:
        await database.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_transactions_repeated_and_in_any_order_yield_the_same_bytes(
    two: tuple[Database, Database], seed: int
) -> None:
    chance = random.Random(seed)
    transactions = some_transactions(chance)
    repeated = [each for each in transactions for _ in range(chance.randint(1, 3))]
    chance.shuffle(repeated)

    for transaction in transactions:
        await post(two[0], transaction)
    for transaction in repeated:
        await post(two[1], transaction)

    assert await trial_hashes(two[0]) == await trial_hashes(two[1])
    assert await broken(two[0]) == await broken(two[1]) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_closes_between_late_transactions_lose_nothing_and_change_no_closed_month(
    two: tuple[Database, Database], seed: int
) -> None:
    chance, database = random.Random(seed), two[0]
    transactions = some_transactions(chance)
    chance.shuffle(transactions)
    stops = dict(zip(sorted(chance.sample(range(20, len(transactions)), 3)), MONTHS, strict=True))

    for number, transaction in enumerate(transactions):
        if number in stops:
            await close(database, stops[number])
        await post(database, transaction)

    async with database.begin() as tx:
        balances = await ledger_store.list_balances(tx, None)
    posted = {
        account: sum(
            posting.amount.count
            for transaction in transactions
            for posting in transaction.postings
            if posting.account is account
        )
        for account in domain.Account
        if account not in domain.EQUALISATION_ACCOUNTS
    }
    sums = {
        account: sum(each.amount.count for each in balances if each.account is account)
        for account in domain.Account
    }
    assert sums == {**dict.fromkeys(domain.EQUALISATION_ACCOUNTS, 0), **posted}
    assert await broken(database) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_stored_totals_are_what_a_recount_of_the_postings_yields(
    two: tuple[Database, Database], seed: int
) -> None:
    for transaction in some_transactions(random.Random(seed)):
        await post(two[0], transaction)

    async with two[0].begin() as tx:
        for month in MONTHS:
            recounted = await total_store.list_recounted_totals(tx, month)
            books = await total_store.get_books(tx, month, 2)
            assert books == books_from(recounted, month, 2)
