"""What must hold in every service; `oip verify` re-computes it before the service's own."""

from __future__ import annotations

import sqlalchemy as sa

from services.runtime.events import (
    dead_letters,
    ended_months,
    epochs,
    event_alarms,
    inbox,
    lost_events,
)
from services.runtime.service import pending_acts
from services.runtime.service.context import Check, Invariant, ServiceContext, require_each_once
from services.runtime.service.signatures import is_act
from services.runtime.storage import audit, data_keys, erasures, law_uses
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Transaction

PUBLISHED_DENSE = Invariant(
    "I6-published",
    "the sequence of published events is 1 to n, no gap, and their contents give its fingerprints",
)
CONSUMED_DENSE = Invariant(
    "I6-consumed",
    "each producer's events are consumed 1 to n, each once, and their hashes give its fingerprint",
)
MONTHS_ENDED = Invariant(
    "I6-months", "months end in order without gaps, each with one event, after all of its events"
)
NO_ALARMS = Invariant("I6-alarms", "no number of a producer came with two contents")
NO_DEAD_LETTERS = Invariant("I6-dead-letters", "no event waits as a dead letter")
NO_LOST_EVENTS = Invariant(
    "I6-lost", "no event that a restore lost waits for its resolution or shares its number"
)
AUDIT_CHAIN = Invariant("I10-chain", "the audit chain is intact from the first row to the newest")
CHANGES_AUDITED = Invariant("I10-changes", "every change that was requested has its audit row")
ACTS_SIGNED = Invariant(
    "I11-signatures", "every act that needs it has the signature of another person, on what it read"
)
ACTS_ONCE = Invariant("I11-once", "every request that is an act took effect once and is recorded")
DATA_KEYS = Invariant(
    "I12-keys",
    "every data key can be opened with the key file, and every stored response is encrypted",
)
ERASED = Invariant(
    "I12-erased",
    "no data key of an erased person is left, unless an open case still needs it",
)
DAY_CAPS = Invariant(
    "I11-caps", "no person has made or signed more on a day than the limit of that day"
)
VALUES_CONFIRMED = Invariant(
    "I16-confirmed",
    "every act that moves money names the assumed values it used, and in production each had been"
    " confirmed by two persons",
)
# What holds in every service; `oip verify` re-computes them before the service's own.
COMMON_INVARIANTS = (
    PUBLISHED_DENSE,
    CONSUMED_DENSE,
    MONTHS_ENDED,
    NO_ALARMS,
    NO_DEAD_LETTERS,
    NO_LOST_EVENTS,
    AUDIT_CHAIN,
    CHANGES_AUDITED,
    ACTS_SIGNED,
    ACTS_ONCE,
    DAY_CAPS,
    DATA_KEYS,
    VALUES_CONFIRMED,
    ERASED,
)


async def common_checks(tx: Transaction, context: ServiceContext) -> list[Check]:
    """The invariants that hold in every service, re-computed from its rows."""
    checks = [
        await _published_is_dense(tx),
        await _consumed_is_dense(tx),
        await _months_end_in_order(tx),
        NO_ALARMS.check(await event_alarms.open_count(tx), "open alarms"),
        NO_DEAD_LETTERS.check(await dead_letters.open_count(tx), "open dead letters"),
        await _lost_are_resolved(tx),
        await _chain_holds(tx),
        await _changes_are_audited(tx),
        *await _acts(tx),
        await _data_keys_open(tx, context.cipher),
        VALUES_CONFIRMED.check(await law_uses.count_wrong_uses(tx), "acts differ"),
        await _erased_have_no_keys(tx),
    ]
    require_each_once(context.service, COMMON_INVARIANTS, checks)
    return checks


async def _published_is_dense(tx: Transaction) -> Check:
    rows = await tx.execute(
        sa.text(
            # Events that a restore lost have numbers from next_seq on once they are redone, or
            # numbers that were used again and taken away.
            "select epoch, next_seq - 1 as assigned, count(pub_seq) as event_count,"
            " coalesce(max(pub_seq), 0) as highest"
            " from outbox_counter left join (select epoch, pub_seq from outbox"
            "  union select epoch, pub_seq from lost_event) as numbered using (epoch)"
            " where closed_seq is null or pub_seq is null or pub_seq < next_seq"
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
    wrong_count = await epochs.count_wrong_fingerprints(tx)
    if wrong_count:
        detail = f"{detail}; {wrong_count} events do not give their fingerprints"
    return PUBLISHED_DENSE.result(holds=not bad and not wrong_count, detail=detail)


async def _consumed_is_dense(tx: Transaction) -> Check:
    consumed = await inbox.list_consumed(tx)
    bad = [row for row in consumed if row.event_count != row.max_seq]
    detail = "; ".join(
        f"{row.producer} {row.epoch}: {row.event_count} events, highest {row.max_seq}"
        for row in bad or consumed
    )
    wrong = await inbox.list_wrong_marks(tx)
    if wrong:
        detail = f"{detail}; the events of {', '.join(wrong)} do not give the fingerprint"
    return CONSUMED_DENSE.result(holds=not bad and not wrong, detail=detail or "nothing consumed")


async def _lost_are_resolved(tx: Transaction) -> Check:
    open_count = await lost_events.open_count(tx)
    contested_count = await lost_events.contested_count(tx)
    detail = f"{open_count} open lost events, {contested_count} numbers held with two contents"
    return NO_LOST_EVENTS.result(holds=not open_count + contested_count, detail=detail)


async def _months_end_in_order(tx: Transaction) -> Check:
    ended_count, wrong_count = await ended_months.count_wrong(tx)
    detail = f"{ended_count} months ended, {wrong_count} wrongly"
    return MONTHS_ENDED.result(holds=wrong_count == 0, detail=detail)


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


async def _data_keys_open(tx: Transaction, cipher: ColumnCipher) -> Check:
    counts = await data_keys.count_by_wrapping_key(tx)
    closed = sum(count for key, count in counts.items() if key not in cipher.wrapping_ids)
    in_clear = await data_keys.count_clear_responses(tx)
    detail = (
        f"{sum(counts.values())} data keys, {closed} of them without a wrapping key in the key"
        f" file; {in_clear} responses in the clear"
    )
    return DATA_KEYS.result(holds=not closed + in_clear, detail=detail)


async def _erased_have_no_keys(tx: Transaction) -> Check:
    counts = await erasures.count(tx)
    detail = (
        f"{counts.erased} persons erased, {counts.waiting} wait for the end of a case;"
        f" {counts.wrong} keys are left or were destroyed without an erasure"
    )
    return ERASED.result(holds=counts.wrong == 0, detail=detail)


async def _acts(tx: Transaction) -> list[Check]:
    methods = await tx.execute(sa.text("select distinct method from command"))
    acts = [method for method in methods.scalars() if is_act(method)]
    counted = await pending_acts.count_wrong(tx, acts)
    return [
        ACTS_SIGNED.check(counted.unsigned, "acts are wrongly signed"),
        ACTS_ONCE.check(counted.not_once, "acts are not recorded once"),
        DAY_CAPS.check(counted.over_cap, "totals of a day are wrong or pass their limit"),
    ]


async def _count(tx: Transaction, statement: str) -> int:
    return int((await tx.execute(sa.text(statement))).scalar_one())
