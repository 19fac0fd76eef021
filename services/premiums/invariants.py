"""What must hold among the rows of premiums; `oip verify` counts the rows that break it."""

from __future__ import annotations

from services.kernel.periods import Month
from services.premiums.store import invariants as invariant_store
from services.runtime.service.context import Check, Figure, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

_QUESTIONS = {
    Invariant(
        "I2-premiums",
        "every tally of an assessed month is in one line, and no line counts other orders",
    ): invariant_store.TALLIES_NOT_IN_LINES,
    Invariant(
        "I7-premiums-lines",
        "every line is its orders times its rate, rounded half up once",
    ): invariant_store.WRONG_LINES,
    Invariant(
        "I7-premiums-bills",
        "every bill is the sum of its lines, and no line is without a bill",
    ): invariant_store.WRONG_BILLS,
    Invariant(
        "I7-premiums-assessments",
        "every assessed month is the sum of its lines",
    ): invariant_store.WRONG_ASSESSMENTS,
    Invariant(
        "I7-premiums-receipts",
        "the parts of every receipt sum to it",
    ): invariant_store.WRONG_RECEIPTS,
    Invariant(
        "I7-premiums-payment",
        "no bill is paid beyond its premium, and a bill in state PAID is paid in full",
    ): invariant_store.WRONGLY_PAID_BILLS,
    Invariant(
        "I7-premiums-credit",
        "no platform has used more credit than it had",
    ): invariant_store.OVERDRAWN_PLATFORMS,
    Invariant(
        "I7-premiums-reversals",
        "every reversal is the mirror of one receipt, area by area",
    ): invariant_store.WRONG_REVERSALS,
    Invariant(
        "I7-premiums-bank",
        "no payment at the bank is counted twice",
    ): invariant_store.BANK_PAYMENTS_TWICE,
    Invariant(
        "I16-premiums-law",
        "every assessment and every estimate names the assumed values on which its lines rest",
    ): invariant_store.LAW_NOT_NAMED,
}
INVARIANTS: tuple[Invariant, ...] = tuple(_QUESTIONS)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """Each invariant with the number of rows that break it."""
    return [
        invariant.check(await invariant_store.count(tx, question), "rows break it")
        for invariant, question in _QUESTIONS.items()
    ]


async def figures(tx: Transaction, first_month: Month) -> list[Figure]:
    """What the fund must have booked as received."""
    return [
        Figure("I15-received", key, count, str(sum_fen))
        for key, count, sum_fen in await invariant_store.list_received(tx, first_month)
    ]
