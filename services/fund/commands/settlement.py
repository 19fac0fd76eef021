"""The settlement of a month: trial, proposal, approval, withdrawal, close, replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from services.fund import events
from services.fund.domain import ledger
from services.fund.domain.equalisation_rules import rules_on
from services.fund.domain.explanations import explain
from services.fund.domain.law import LAW
from services.fund.domain.obstacles import CloseReadiness, obstacles
from services.fund.domain.problems import (
    ApproverIsProposer,
    FiguresChanged,
    HashDiffers,
    NotClosed,
    NotReadyToPropose,
)
from services.fund.domain.producers import Cursor, Deliveries, cursors_in, posted_sums
from services.fund.domain.settlement import (
    LIFECYCLE,
    Books,
    PoolFigures,
    Settlement,
    State,
    Total,
    books_from,
    figures_in,
    province_in,
    settle,
)
from services.fund.store import ended_months as month_store
from services.fund.store import ledger as ledger_store
from services.fund.store import periods as period_store
from services.fund.store import totals as total_store
from services.fund.store.periods import NO_PROPOSAL, Period
from services.kernel.law import Finding
from services.kernel.lawbook import UsedValues
from services.kernel.periods import Month, civil_day
from services.kernel.phrases import Phrase
from services.kernel.problems import NotFound, Problem
from services.runtime.events import outbox
from services.runtime.service import signatures
from services.runtime.service.confirmations import list_unconfirmed, record_use
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Statement:
    """A month as people read it: computed figures before its proposal, frozen ones from then on."""

    month: Month
    period: Period | None
    figures: Sequence[PoolFigures]
    hash: bytes
    findings: Sequence[Finding]
    cursors: Sequence[Cursor] = ()
    obstacles: Sequence[Problem] = ()


@dataclass(frozen=True)
class Replay:
    """A closed month computed again from its postings."""

    approved_hash: bytes
    replayed_hash: bytes
    text: str
    equal: bool


async def is_open(tx: Transaction, month: Month) -> bool:
    """Whether a month may still be proposed, so that its producers have to be asked."""
    period = await period_store.find(tx, month)
    return period is None or period.state is State.OPEN


async def trial_settlement(
    tx: Transaction, month: Month, deliveries: Deliveries | None, context: CommandContext
) -> Statement:
    """A month's figures: frozen, or for an open month those of today. Stores nothing.

    Without `deliveries` the obstacles of an open month are left out.
    """
    period = await period_store.find(tx, month)
    if period is not None and period.state is not State.OPEN:
        return _frozen(period)
    used = UsedValues()
    books, settlement = await _settle(tx, month, context.province, context.today, used)
    reasons: Sequence[Problem] = ()
    if deliveries is not None:
        readiness = await _readiness(tx, books, deliveries, used, context)
        reasons = obstacles(month, context.today, readiness)
    return Statement(
        month=month,
        period=period,
        figures=settlement.figures,
        hash=settlement.hash,
        findings=explain(settlement),
        cursors=cursors_in(settlement.text),
        obstacles=reasons,
    )


async def propose_settlement(
    tx: Transaction, month: Month, deliveries: Deliveries, context: CommandContext
) -> Statement:
    """Freeze a month's figures for approval; a month without postings has figures, too."""
    await period_store.lock_books(tx)
    used = UsedValues()
    books, settlement = await _settle(tx, month, context.province, context.today, used)
    readiness = await _readiness(tx, books, deliveries, used, context)
    reasons = obstacles(month, context.today, readiness)
    if reasons:
        raise NotReadyToPropose(
            month=month,
            reasons=Phrase(
                " ".join(obstacle.reason for obstacle in reasons),
                " ".join(obstacle.sentence for obstacle in reasons),
                "".join(obstacle.sentence_zh for obstacle in reasons),
            ),
        )
    await period_store.insert_month(tx, month)
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "propose")
    await month_store.update_fingerprints(tx, settlement.ended)
    signatures.require_person(context.member)
    proposer = context.actor, context.member
    values = period_store.proposal(settlement, explain(settlement), proposer, context.now)
    return _frozen(await _step(tx, period, "propose", state, values, context=context))


async def approve_settlement(
    tx: Transaction, month: Month, digest: bytes, context: CommandContext
) -> Statement:
    """Approve the figures that the approver has read, by their hash."""
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "approve")
    signatures.require_person(context.member)
    if context.member == period.proposer_member or context.actor == period.proposer:
        raise ApproverIsProposer(month=month, proposer=period.proposer)
    if digest != period.hash:
        raise HashDiffers(field="hash", month=month)
    approver = context.actor, context.member
    values = period_store.approval(digest, approver, context.now)
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
    """Post the approved transfers and close the month.

    In production the assumed values that were used have to be confirmed.
    """
    period = await _lock(tx, month)
    state = LIFECYCLE.after(period.state, "close")
    used = UsedValues()
    _, settlement = await _settle(tx, month, context.province, _known(period), used)
    if settlement.text != period.text or period.approved_hash != settlement.hash:
        raise FiguresChanged(month=month)
    await record_use(tx, f"settlementPeriods/{month}", used.versions, context)
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
    by_month = await total_store.list_recounted_totals(tx, month)
    return await _replay(tx, period, by_month)


async def replay_all(tx: Transaction) -> dict[Month, Replay]:
    """Every closed month, computed again from one pass over all postings."""
    by_month = await total_store.list_recounted_totals(tx)
    return {
        period.month: await _replay(tx, period, by_month)
        for period in await period_store.list_closed(tx)
    }


async def _replay(
    tx: Transaction, period: Period, by_month: Mapping[Month, Sequence[Total]]
) -> Replay:
    province = province_in(period.text)
    rules = rules_on(LAW, period.month.last_day, province, _known(period))
    ended = await month_store.list_fingerprinted(tx, period.month, from_start=True)
    replayed = settle(books_from(by_month, period.month, rules.window, ended), rules, province)
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


async def _settle(
    tx: Transaction, month: Month, province: str, known: date, used: UsedValues
) -> tuple[Books, Settlement]:
    rules = rules_on(LAW.noting(used), month.last_day, province, known)
    books = await total_store.get_books(tx, month, rules.window)
    books = replace(books, ended=await month_store.list_fingerprinted(tx, month))
    return books, settle(books, rules, province)


async def _readiness(
    tx: Transaction,
    books: Books,
    deliveries: Deliveries,
    used: UsedValues,
    context: CommandContext,
) -> CloseReadiness:
    return CloseReadiness(
        deliveries=deliveries,
        ended={entry.producer: entry for entry in books.ended if entry.fingerprint},
        closed_through=await period_store.find_closed_through(tx),
        earlier_open=await period_store.list_earlier_open(tx, books.month),
        posted=posted_sums(books.balances),
        unconfirmed=await list_unconfirmed(tx, used.versions, context),
    )


def _known(period: Period) -> date:
    """The day up to which publications counted for the proposal; raises ValueError without one."""
    if period.propose_time is None:
        raise ValueError(f"{period.month} was never proposed")
    return civil_day(period.propose_time)


def _frozen(period: Period) -> Statement:
    return Statement(
        period.month,
        period,
        figures_in(period.text),
        period.hash,
        period.findings,
        cursors_in(period.text),
    )
