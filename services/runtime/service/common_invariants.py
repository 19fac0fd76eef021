"""What must hold in every service; `oip verify` re-computes it before the service's own."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.events import dead_letters, event_alarms, inbox
from services.runtime.service.context import Check, Invariant, require_each_once
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction

PUBLISHED_DENSE = Invariant("I6-published", "the sequence of published events is 1 to n, no gap")
CONSUMED_DENSE = Invariant("I6-consumed", "each producer's events are consumed 1 to n, each once")
NO_ALARMS = Invariant("I6-alarms", "no number of a producer came with two contents")
NO_DEAD_LETTERS = Invariant("I6-dead-letters", "no event waits as a dead letter")
AUDIT_CHAIN = Invariant("I10-chain", "the audit chain is intact from the first row to the newest")
CHANGES_AUDITED = Invariant("I10-changes", "every change that was requested has its audit row")
# What holds in every service; `oip verify` re-computes them before the service's own.
COMMON_INVARIANTS = (
    PUBLISHED_DENSE,
    CONSUMED_DENSE,
    NO_ALARMS,
    NO_DEAD_LETTERS,
    AUDIT_CHAIN,
    CHANGES_AUDITED,
)


async def common_checks(tx: Transaction, service: str) -> list[Check]:
    """The invariants that hold in every service, re-computed from its rows."""
    checks = [
        await _published_is_dense(tx),
        await _consumed_is_dense(tx),
        NO_ALARMS.check(await event_alarms.open_count(tx), "open alarms"),
        NO_DEAD_LETTERS.check(await dead_letters.open_count(tx), "open dead letters"),
        await _chain_holds(tx),
        await _changes_are_audited(tx),
    ]
    require_each_once(service, COMMON_INVARIANTS, checks)
    return checks


async def _published_is_dense(tx: Transaction) -> Check:
    rows = await tx.execute(
        sa.text(
            "select epoch, next_seq - 1 as assigned, count(pub_seq) as event_count,"
            " coalesce(max(pub_seq), 0) as highest"
            " from outbox_counter left join outbox using (epoch)"
            " group by epoch, next_seq order by epoch"
        )
    )
    counted = rows.all()
    bad = [row for row in counted if not row.assigned == row.event_count == row.highest]
    detail = "; ".join(
        f"epoch {row.epoch}: {row.event_count} events, highest {row.highest},"
        f" assigned {row.assigned}"
        for row in bad or counted
    )
    return PUBLISHED_DENSE.result(holds=not bad, detail=detail)


async def _consumed_is_dense(tx: Transaction) -> Check:
    consumed = await inbox.list_consumed(tx)
    bad = [row for row in consumed if row.event_count != row.max_seq]
    detail = "; ".join(
        f"{row.producer} {row.epoch}: {row.event_count} events, highest {row.max_seq}"
        for row in bad or consumed
    )
    return CONSUMED_DENSE.result(holds=not bad, detail=detail or "nothing consumed")


async def _chain_holds(tx: Transaction) -> Check:
    chain = await audit.verify(tx)
    if not chain.holds:
        return AUDIT_CHAIN.result(holds=False, detail=f"breaks at row {chain.first_bad_seq}")
    detail = f"{chain.row_count} rows, head {chain.head.hash.hex()[:16]}"
    return AUDIT_CHAIN.result(holds=True, detail=detail)


async def _changes_are_audited(tx: Transaction) -> Check:
    missing = await _count(
        tx,
        "select count(*) from command where not exists ("
        " select from audit where audit.request_hash = command.request_hash"
        " and audit.action = command.method)",
    )
    changes = await _count(tx, "select count(*) from command")
    detail = f"{changes} changes, {missing} without an audit row"
    return CHANGES_AUDITED.result(holds=missing == 0, detail=detail)


async def _count(tx: Transaction, statement: str) -> int:
    return int((await tx.execute(sa.text(statement))).scalar_one())
