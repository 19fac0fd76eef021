"""The settlement of a month: trial, proposal, approval, withdrawal, close, replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from services.fund import events
from services.fund.domain import ledger
from services.fund.domain.equalisation_rules import rules_on
from services.fund.domain.explanations import explain
from services.fund.domain.law import LAW
from services.fund.domain.obstacles import CloseReadiness, Obstacle, obstacles
from services.fund.domain.problems import (
    ApproverIsProposer,
    FiguresChanged,
    HashDiffers,
    NotClosed,
    NotReadyToPropose,
)
from services.fund.domain.settlement import (
    LIFECYCLE,
    PoolFigures,
    Settlement,
    State,
    Total,
    books_from,
    figures_in,
    province_in,
    settle,
)
from services.fund.store import ledger as ledger_store
from services.fund.store import periods as period_store
from services.fund.store import totals as total_store
from services.fund.store.periods import NO_PROPOSAL, Period
from services.kernel.law import Finding
from services.kernel.periods import Month, civil_day
from services.kernel.problems import NotFound
from services.runtime.events import dead_letters, inbox, outbox
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction

PRODUCERS = ("premiums", "benefits")


@dataclass(frozen=True)
class Statement:
    """A month as people read it: computed figures before its proposal, frozen ones from then on."""

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


async def trial_settlement(tx: Transaction, month: Month, context: CommandContext) -> Statement:
    """A month's figures: frozen, or for an open month those of today. Stores nothing."""
    period = await period_store.find(tx, month)
    if period is not None and period.state is not State.OPEN:
        return _frozen(period)
    settlement = await _settle(tx, month, context.province, context.today)
    return Statement(
        month=month,
        period=period,
        figures=settlement.figures,
        hash=settlement.hash,
        findings=explain(settlement),
        obstacles=obstacles(month, context.today, await _readiness(tx, month)),
    )


async def propose_settlement(tx: Transaction, month: Month, context: CommandContext) -> Statement:
    """Freeze a month's figures for approval."""
    await period_store.lock_books(tx)
    reasons = obstacles(month, context.today, await _readiness(tx, month))
    if reasons:
        raise NotReadyToPropose(
            month=month,
            obstacles=" ".join(obstacle.text for obstacle in reasons),
            obstacles_zh="".join(obstacle.text_zh for obstacle in reasons),
        )
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "propose")
    settlement = await _settle(tx, month, context.province, context.today)
    values = period_store.proposal(settlement, explain(settlement), context.actor, context.now)
    return _frozen(await _step(tx, period, "propose", state, values, context=context))


async def approve_settlement(
    tx: Transaction, month: Month, digest: bytes, context: CommandContext
) -> Statement:
    """Approve the figures that the approver has read, by their hash."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "approve")
    if context.actor == period.proposer:
        raise ApproverIsProposer(month=month, proposer=period.proposer)
    if digest != period.hash:
        raise HashDiffers(field="hash", month=month)
    values = period_store.approval(digest, context.actor, context.now)
    return _frozen(await _step(tx, period, "approve", state, values, context=context))


async def withdraw_settlement(
    tx: Transaction, month: Month, reason: str, context: CommandContext
) -> Statement:
    """Withdraw a proposal; the month takes postings again."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "withdraw")
    after = await _step(tx, period, "withdraw", state, NO_PROPOSAL, context=context, reason=reason)
    return Statement(month, after, (), b"", ())


async def close_settlement(tx: Transaction, month: Month, context: CommandContext) -> Statement:
    """Post the approved transfers and close the month."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "close")
    settlement = await _settle(tx, month, context.province, _known(period))
    if settlement.text != period.text or period.approved_hash != settlement.hash:
        raise FiguresChanged(month=month)
    transfers = [
        ledger.equalised(
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
    await ledger_store.insert_transactions(tx, moved, context.now)
    closing = {"close_time": context.now}
    closed = await _step(tx, period, "close", state, closing, context=context)
    await period_store.update_closed_through(tx, month)
    await outbox.add(tx, events.settlement_period_closed(month, closed.hash), context.now)
    return _frozen(closed)


async def replay_settlement(tx: Transaction, month: Month) -> Replay:
    """Compute a closed month again from its postings and the parameters as then published."""
    period = await period_store.find(tx, month)
    if period is None or period.state is not State.CLOSED:
        raise NotClosed(month=month)
    return _replay(period, await total_store.list_recounted_totals(tx, month))


async def replay_all(tx: Transaction) -> dict[Month, Replay]:
    """Every closed month, computed again from one pass over all postings."""
    by_month = await total_store.list_recounted_totals(tx)
    return {
        period.month: _replay(period, by_month) for period in await period_store.list_closed(tx)
    }


def _replay(period: Period, by_month: Mapping[Month, Sequence[Total]]) -> Replay:
    province = province_in(period.text)
    rules = rules_on(LAW, period.month.last_day, province, _known(period))
    replayed = settle(books_from(by_month, period.month, rules.window), rules, province)
    equal = replayed.text == period.text
    return Replay(period.approved_hash, replayed.hash, replayed.text, equal)


async def _lock(tx: Transaction, month: Month) -> Period:
    await period_store.lock_books(tx)
    period = await period_store.find(tx, month, lock=True)
    if period is None:
        raise NotFound(name=f"settlementPeriods/{month}")
    return period


async def _step(
    tx: Transaction,
    period: Period,
    event: str,
    state: State,
    values: Mapping[str, object],
    *,
    context: CommandContext,
    reason: str = "",
) -> Period:
    return await period_store.update(
        tx, period, event, state, values, actor=context.actor, now=context.now, reason=reason
    )


async def _settle(tx: Transaction, month: Month, province: str, known: date) -> Settlement:
    rules = rules_on(LAW, month.last_day, province, known)
    return settle(await total_store.get_books(tx, month, rules.window), rules, province)


async def _readiness(tx: Transaction, month: Month) -> CloseReadiness:
    gaps = []
    for producer in PRODUCERS:
        progress = await inbox.progress(tx, producer)
        if any(epoch.has_gap for epoch in progress):
            gaps.append(producer)
    return CloseReadiness(
        earlier_open=await period_store.list_earlier_open(tx, month),
        dead_letter_count=await dead_letters.open_count(tx),
        gaps=gaps,
        premiums_assessed=await period_store.find_assessed_premiums(tx, month),
    )


def _known(period: Period) -> date:
    """The day up to which publications counted for the proposal; raises ValueError without one."""
    if period.propose_time is None:
        raise ValueError(f"{period.month} was never proposed")
    return civil_day(period.propose_time)


def _frozen(period: Period) -> Statement:
    return Statement(period.month, period, figures_in(period.text), period.hash, period.findings)
