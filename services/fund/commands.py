"""Changes of the fund: load, decide, save, tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from services.fund import events
from services.fund.domain import ledger as domain
from services.fund.domain.explain import explain
from services.fund.domain.ledger import Disbursement, LedgerTransaction
from services.fund.domain.obstacles import Obstacle, Readiness, obstacles
from services.fund.domain.rules import rules_on
from services.fund.domain.settlement import (
    LIFECYCLE,
    ApproverIsProposer,
    FiguresChanged,
    HashDiffers,
    NotClosed,
    NotReadyToPropose,
    PoolFigures,
    Settlement,
    State,
    Total,
    books_from,
    figures_in,
    province_in,
    settle,
)
from services.fund.store import ledger, periods
from services.fund.store.periods import NO_PROPOSAL, Period
from services.kernel.law import Finding
from services.kernel.parameters import load_folder
from services.kernel.periods import Month, civil_day
from services.kernel.problems import NotFound
from services.runtime.events import dead_letters, inbox, outbox
from services.runtime.rpc.wire import findings_to_json
from services.runtime.storage.database import Transaction

PARAMETERS = load_folder(Path(__file__).parent / "parameters")
PRODUCERS = ("premiums", "benefits")


@dataclass(frozen=True)
class Statement:
    """A month as people see it: frozen figures from the proposal on, computed ones before."""

    month: Month
    period: Period | None
    figures: Sequence[PoolFigures]
    hash: bytes
    findings: Sequence[Finding]
    obstacles: Sequence[Obstacle] = ()


@dataclass(frozen=True)
class Replay:
    """A closed month computed again from its postings."""

    approved_hash: bytes
    replayed_hash: bytes
    text: str
    equal: bool


async def post(tx: Transaction, facts: Iterable[LedgerTransaction], now: datetime) -> list[str]:
    """Post facts that are not in the books yet, in the earliest open month from their own on.

    Returns the ids of what was posted. Raises FactDiffers if a fact came before with other amounts.
    """
    by_id = {fact.transaction_id: fact for fact in facts}
    fresh = await _fresh(tx, by_id)
    for month in sorted({fact.month for fact in fresh}):
        open_month = await periods.open_month(tx, month)
        here = [replace(fact, month=open_month) for fact in fresh if fact.month == month]
        await ledger.insert_transactions(tx, here, now)
    return [fact.transaction_id for fact in fresh]


async def post_benefits(tx: Transaction, fact: LedgerTransaction, now: datetime) -> None:
    """Post what a run added, and make it payable."""
    if await _fresh(tx, {fact.transaction_id: fact}):
        # The payable first and the month after it, as a disbursement does: one order of locks.
        payable = fact.postings[0].amount
        await ledger.add_payable(tx, fact.subject, fact.pooling_area, payable)
        await post(tx, [fact], now)


async def record_disbursement(tx: Transaction, made: Disbursement, now: datetime) -> Disbursement:
    """Record that money has left the account; at most what is payable."""
    payable = await ledger.lock_payable(tx, made.payment_run, made.pooling_area)
    if made.amount > payable:
        raise domain.MoreThanPayable(
            field="amount_fen",
            amount=made.amount.yuan,
            payable=payable.yuan,
            payment_run=made.payment_run,
            pooling_area=made.pooling_area,
        )
    if not await ledger.insert_disbursement(tx, made, now):
        raise domain.DisbursementReferenceUsed(
            field="bank_reference", bank_reference=made.bank_reference
        )
    await post(tx, [domain.disbursed(made)], now)
    return made


async def view(tx: Transaction, month: Month, province: str, today: date) -> Statement:
    """A month's figures: those frozen, or for an open month those of today. Stores nothing."""
    period = await periods.get_period(tx, month)
    if period is not None and period.state is not State.OPEN:
        return _frozen(period)
    settlement = await _settle(tx, month, province, today)
    stands_in_the_way = obstacles(month, today, await _readiness(tx, month))
    return Statement(
        month,
        period,
        settlement.figures,
        settlement.hash,
        explain(settlement),
        stands_in_the_way,
    )


async def propose_settlement(
    tx: Transaction, month: Month, province: str, actor: str, now: datetime
) -> Statement:
    """Freeze a month's figures for approval."""
    today = civil_day(now)
    await periods.lock_books(tx)
    found = obstacles(month, today, await _readiness(tx, month))
    if found:
        raise NotReadyToPropose(
            month=month,
            obstacles=" ".join(one.text for one in found),
            obstacles_zh="".join(one.text_zh for one in found),
        )
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "propose")
    settlement = await _settle(tx, month, province, today)
    findings = findings_to_json(explain(settlement))
    values = periods.proposal(settlement.text, settlement.hash, findings, actor, now)
    assert values["state"] == state.value
    return _frozen(await periods.take_step(tx, period, "propose", values, actor=actor, now=now))


async def approve_settlement(
    tx: Transaction, month: Month, digest: bytes, actor: str, now: datetime
) -> Statement:
    """Approve the figures that the approver has read, by their hash."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "approve")
    if actor == period.proposer:
        raise ApproverIsProposer(month=month, proposer=period.proposer)
    if digest != period.hash:
        raise HashDiffers(field="hash", month=month)
    values = {
        "state": state.value,
        "approver": actor,
        "approved_hash": digest,
        "approve_time": now,
    }
    return _frozen(await periods.take_step(tx, period, "approve", values, actor=actor, now=now))


async def withdraw_settlement(
    tx: Transaction, month: Month, reason: str, actor: str, now: datetime
) -> Statement:
    """Take a proposal back; the month takes postings again."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "withdraw")
    assert state is State.OPEN
    after = await periods.take_step(
        tx, period, "withdraw", NO_PROPOSAL, actor=actor, now=now, reason=reason
    )
    return Statement(month, after, (), b"", ())


async def close_settlement(
    tx: Transaction, month: Month, province: str, actor: str, now: datetime
) -> Statement:
    """Post the approved transfers and close the month."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "close")
    settlement = await _settle(tx, month, province, _known(period))
    if settlement.text != period.text or period.approved_hash != settlement.hash:
        raise FiguresChanged(month=month)
    transfers = [
        domain.equalised(
            month,
            pool.pooling_area,
            (
                ("risk adjustment", pool.risk_adjustment),
                ("deficit compensation", pool.deficit_compensation),
            ),
        )
        for pool in settlement.figures
    ]
    moved = [transfer for transfer in transfers if transfer is not None]
    await ledger.insert_transactions(tx, moved, now)
    values = {"state": state.value, "close_time": now}
    closed = await periods.take_step(tx, period, "close", values, actor=actor, now=now)
    await periods.set_closed_through(tx, month)
    await outbox.add(tx, events.settlement_period_closed(month, closed.hash), now)
    return _frozen(closed)


async def replay_settlement(tx: Transaction, month: Month) -> Replay:
    """Compute a closed month again from its postings and the parameters as then published."""
    period = await periods.get_period(tx, month)
    if period is None or period.state is not State.CLOSED:
        raise NotClosed(month=month)
    return _replay(period, await periods.recount(tx, month))


async def replay_all(tx: Transaction) -> dict[Month, Replay]:
    """Every closed month, computed again from one pass over all postings."""
    counted = await periods.recount(tx)
    return {period.month: _replay(period, counted) for period in await periods.closed(tx)}


def _replay(period: Period, counted: Mapping[Month, Sequence[Total]]) -> Replay:
    province = province_in(period.text)
    rules = rules_on(PARAMETERS, period.month.last_day, province, _known(period))
    again = settle(books_from(counted, period.month, rules.window), rules, province)
    return Replay(period.approved_hash, again.hash, again.text, again.text == period.text)


async def _fresh(tx: Transaction, by_id: dict[str, LedgerTransaction]) -> list[LedgerTransaction]:
    held = await ledger.find_transactions(tx, list(by_id))
    for transaction_id, before in held.items():
        fact = by_id[transaction_id]
        if replace(fact, month=before.month) != before:
            raise domain.FactDiffers(source=fact.source, pooling_area=fact.pooling_area)
    return [fact for transaction_id, fact in by_id.items() if transaction_id not in held]


async def _lock(tx: Transaction, month: Month) -> Period:
    await periods.lock_books(tx)
    period = await periods.get_period(tx, month, lock=True)
    if period is None:
        raise NotFound(name=f"settlementPeriods/{month}")
    return period


async def _settle(tx: Transaction, month: Month, province: str, known: date) -> Settlement:
    rules = rules_on(PARAMETERS, month.last_day, province, known)
    return settle(await periods.books_of(tx, month, rules.window), rules, province)


async def _readiness(tx: Transaction, month: Month) -> Readiness:
    gaps = []
    for producer in PRODUCERS:
        progress = await inbox.progress(tx, producer)
        if any(epoch.has_gap for epoch in progress):
            gaps.append(producer)
    return Readiness(
        earlier_open=await periods.earlier_open(tx, month),
        dead_letter_count=await dead_letters.open_count(tx),
        gaps=gaps,
        premiums_assessed=await periods.premiums_assessed(tx, month),
    )


def _known(period: Period) -> date:
    """The day up to which publications counted for the proposal."""
    assert period.propose_time is not None
    return civil_day(period.propose_time)


def _frozen(period: Period) -> Statement:
    return Statement(period.month, period, figures_in(period.text), period.hash, period.findings)
