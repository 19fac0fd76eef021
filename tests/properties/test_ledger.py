"""The ledger under random facts: doubled, reordered, late, between closes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime

import pytest

from services.fund import commands
from services.fund.__main__ import verify
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
from services.fund.store import ledger, periods
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.runtime.storage.database import Database
from tests.support.databases import Databases

PROVINCE = "440000"
AREAS = ("440100", "440600", "441900", "442000")
MONTHS = (Month(2025, 7), Month(2025, 8), Month(2025, 9))
NOW = datetime(2025, 12, 1, tzinfo=UTC)
SEEDS = (1, 2, 3)


def some_facts(chance: random.Random) -> list[LedgerTransaction]:
    """Bills, receipts and payments of three months in four areas."""
    facts: list[LedgerTransaction] = []
    for number in range(12):
        month = chance.choice(MONTHS)
        lines = [
            PremiumLine(area, cell, chance.randint(-3, 90), Fen(chance.randint(-20, 9000)))
            for area in chance.sample(AREAS, chance.randint(1, 4))
            for cell in CELLS
        ]
        facts += domain.premium_assessed(f"platforms/P{number}/premiumBills/x", month, lines)
    for number in range(8):
        day = date(2025, chance.randint(7, 9), chance.randint(1, 28))
        parts = [
            ReceiptPart(area, Fen(chance.randint(0, 900)), Fen(chance.randint(0, 9)), Fen(0))
            for area in chance.sample(AREAS, 2)
        ]
        facts += domain.premium_received(f"premiumReceipts/{number}", day, parts)
    for number in range(20):
        month = chance.choice(MONTHS)
        part = PaymentPart(
            chance.choice(AREAS), chance.choice(CELLS), "CARE_ALLOWANCE", 1, Fen(number * 77)
        )
        facts.append(domain.benefits_instructed(f"paymentRuns/{month}", number, month, part))
    return facts


async def hear(database: Database, fact: LedgerTransaction) -> None:
    async with database.begin() as tx:
        if fact.kind is TransactionKind.BENEFITS_INSTRUCTED:
            await commands.post_benefits(tx, fact, NOW)
        else:
            await commands.post(tx, [fact], NOW)


async def close(database: Database, month: Month) -> None:
    async with database.begin(serializable=True) as tx:
        proposed = await commands.propose_settlement(tx, month, PROVINCE, "li", NOW)
    async with database.begin(serializable=True) as tx:
        await commands.approve_settlement(tx, month, proposed.hash, "wu", NOW)
    async with database.begin(serializable=True) as tx:
        await commands.close_settlement(tx, month, PROVINCE, "li", NOW)


async def failing(database: Database) -> list[str]:
    async with database.begin() as tx:
        return [check.invariant for check in await verify(tx) if not check.holds]


async def trial_texts(database: Database) -> Sequence[bytes]:
    async with database.begin() as tx:
        return [(await commands.view(tx, month, PROVINCE, NOW.date())).hash for month in MONTHS]


@pytest.fixture
async def two(databases: Databases) -> AsyncIterator[tuple[Database, Database]]:
    pair = (
        Database(await databases.fresh("fund"), "fund"),
        Database(await databases.fresh("fund"), "fund"),
    )
    yield pair
    for one in pair:
        await one.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_facts_doubled_and_in_any_order_yield_the_same_bytes(
    two: tuple[Database, Database], seed: int
) -> None:
    chance = random.Random(seed)
    facts = some_facts(chance)
    turned = [fact for fact in facts for _ in range(chance.randint(1, 3))]
    chance.shuffle(turned)

    for fact in facts:
        await hear(two[0], fact)
    for fact in turned:
        await hear(two[1], fact)

    assert await trial_texts(two[0]) == await trial_texts(two[1])
    assert await failing(two[0]) == await failing(two[1]) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_closes_between_late_facts_lose_nothing_and_change_no_closed_month(
    two: tuple[Database, Database], seed: int
) -> None:
    chance, database = random.Random(seed), two[0]
    facts = some_facts(chance)
    chance.shuffle(facts)
    # Something of the last month's premiums has to be there for the earlier ones to close.
    facts.sort(key=lambda fact: fact.accounting_date != MONTHS[-1].last_day)
    stops = dict(zip(sorted(chance.sample(range(20, len(facts)), 3)), MONTHS, strict=True))

    for number, fact in enumerate(facts):
        if number in stops:
            await close(database, stops[number])
        await hear(database, fact)

    async with database.begin() as tx:
        balances = await ledger.balances(tx, None)
    posted = {
        account: sum(
            posting.amount.count
            for fact in facts
            for posting in fact.postings
            if posting.account is account
        )
        for account in domain.Account
        if account not in domain.EQUALISATION_ACCOUNTS
    }
    held = {
        account: sum(one.amount.count for one in balances if one.account is account)
        for account in domain.Account
    }
    assert held == {**dict.fromkeys(domain.EQUALISATION_ACCOUNTS, 0), **posted}
    assert await failing(database) == []


@pytest.mark.parametrize("seed", SEEDS)
async def test_kept_totals_are_what_a_recount_of_the_postings_yields(
    two: tuple[Database, Database], seed: int
) -> None:
    for fact in some_facts(random.Random(seed)):
        await hear(two[0], fact)

    async with two[0].begin() as tx:
        for month in MONTHS:
            counted = await periods.recount(tx, month)
            assert await periods.books_of(tx, month, 2) == books_from(counted, month, 2)
