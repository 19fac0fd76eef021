"""What `oip verify` re-computes in the fund."""

from __future__ import annotations

from services.fund.commands import settlement
from services.fund.store import invariants
from services.kernel.periods import Month
from services.runtime.service.context import Check, Figure, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

BALANCED = Invariant(
    "I1-fund-ledger",
    "each transaction has two postings or more that sum to zero, and so does the ledger",
)
SUMS = Invariant("I7-fund-totals", "stored totals and payables are the sums of their postings")
EQUALISATION = Invariant(
    "I7-fund-equalisation", "the transfers of each month sum to zero over the province"
)
REPLAY = Invariant(
    "I8-fund-replay", "each closed month, computed again from its postings, is the same bytes"
)
APPROVALS = Invariant(
    "I9-fund-approvals",
    "proposer and approver differ, and the closed figures are the approved ones",
)
PRODUCERS_ENDED = Invariant(
    "I8-fund-producers",
    "each settled month names where every producer ended it, as the fund has consumed it",
)
REVERSALS = Invariant(
    "I7-fund-reversals", "every reversed disbursement has the mirror of its posting"
)
LAW_NAMED = Invariant(
    "I16-fund-law", "every closed month names the assumed values with which it was equalised"
)
INVARIANTS = (
    BALANCED,
    SUMS,
    EQUALISATION,
    REPLAY,
    APPROVALS,
    REVERSALS,
    PRODUCERS_ENDED,
    LAW_NAMED,
)


async def verify(tx: Transaction, _context: ServiceContext) -> list[Check]:
    """The invariants of the fund, re-computed over all rows."""
    ledger_sum = await invariants.get_sum_of_postings(tx)
    unbalanced_count = await invariants.count_unbalanced_transactions(tx)
    replays = await settlement.replay_all(tx)
    changed = [str(month) for month, replay in replays.items() if not replay.equal]
    return [
        BALANCED.result(
            holds=unbalanced_count == 0 and ledger_sum == 0,
            detail=f"{unbalanced_count} unbalanced transactions, ledger sum {ledger_sum} fen",
        ),
        SUMS.check(await invariants.count_different_sums(tx), "rows differ"),
        EQUALISATION.check(await invariants.count_unbalanced_months(tx), "months differ"),
        REPLAY.result(
            holds=not changed,
            detail=f"{len(replays)} closed months; changed: {', '.join(changed) or 'none'}",
        ),
        APPROVALS.check(await invariants.count_wrong_approvals(tx), "months differ"),
        REVERSALS.check(await invariants.count_wrong_reversals(tx), "reversals differ"),
        PRODUCERS_ENDED.check(await invariants.count_without_producers(tx), "months differ"),
        LAW_NAMED.check(await invariants.count_without_law(tx), "months differ"),
    ]


async def figures(tx: Transaction, first_month: Month) -> list[Figure]:
    """What is booked of benefits instructed and of premiums received."""
    instructed = await invariants.list_instructed(tx, first_month)
    received = await invariants.list_received(tx, first_month)
    return [
        *(Figure("I15-instructed", key, count, str(sum_fen)) for key, count, sum_fen in instructed),
        *(Figure("I15-received", key, count, str(sum_fen)) for key, count, sum_fen in received),
    ]
