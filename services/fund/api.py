"""Entrance for RPC: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.fund import commands
from services.fund.commands import Statement
from services.fund.domain.ledger import Disbursement
from services.fund.domain.settlement import PoolFigures, State, figures_in
from services.fund.store import ledger, periods
from services.fund.store.ledger import Posted
from services.kernel import names
from services.kernel.identifiers import is_division
from services.kernel.money import total
from services.kernel.periods import Month
from services.kernel.problems import Malformed, NotFound
from services.runtime.base.clock import today
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    date_to_wire,
    enum_number,
    fen_from_wire,
    findings_to_wire,
    moment_to_wire,
    month_from_wire,
    month_to_wire,
    next_token,
    page_of,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction, retrying

_BANK_REFERENCE = re.compile(r"\S{1,64}")
HASH_BYTES = 32
REASON_CHARACTERS_MAX = 500

R = TypeVar("R")
Step = Callable[[Transaction], Awaitable[Statement]]


class FundApi(fund_pb2_grpc.FundServiceServicer):
    """Keeps the books and closes the months."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        # A step holds two connections; one step at a time leaves the pool to everybody else.
        self._stepping = asyncio.Lock()

    async def ListLedgerTransactions(
        self, request: fund_pb2.ListLedgerTransactionsRequest, context: Context
    ) -> fund_pb2.ListLedgerTransactionsResponse:
        """The ledger's transactions, newest first."""
        page = page_of(request)
        before = _seq(page.after[0]) if page.after else None
        area = _pooling_area(request.pooling_area) if request.pooling_area else ""
        month = month_from_wire(request.month, "month") if request.HasField("month") else None

        async def work(tx: Transaction) -> fund_pb2.ListLedgerTransactionsResponse:
            found = await ledger.list_transactions(tx, area, month, before, page.size)
            full = len(found) == page.size
            return fund_pb2.ListLedgerTransactionsResponse(
                ledger_transactions=[_transaction(one) for one in found],
                next_page_token=next_token([found[-1].seq]) if full else "",
            )

        return await read(self._context, work)

    async def GetTrialBalance(
        self, request: fund_pb2.GetTrialBalanceRequest, context: Context
    ) -> fund_pb2.TrialBalance:
        """Balances by pooling area and account."""
        month = month_from_wire(request.month, "month") if request.HasField("month") else None

        async def work(tx: Transaction) -> fund_pb2.TrialBalance:
            balances = await ledger.balances(tx, month)
            transaction_count, posting_count = await ledger.counts(tx, month)
            return fund_pb2.TrialBalance(
                rows=[
                    fund_pb2.TrialBalance.Row(
                        pooling_area=one.pooling_area,
                        account=enum_number(one.account.value),
                        balance_fen=one.amount.count,
                    )
                    for one in balances
                ],
                sum_fen=total(one.amount for one in balances).count,
                transaction_count=transaction_count,
                posting_count=posting_count,
            )

        return await self._read_at_once(work)

    async def RecordDisbursement(
        self, request: fund_pb2.RecordDisbursementRequest, context: Context
    ) -> fund_pb2.Disbursement:
        """Record that a run's money has left the account."""
        made = _disbursement(request)
        now = self._context.clock.now()
        if made.disburse_date > today(self._context.clock):
            raise Malformed.of("disburse_date", "the bank's day cannot be in the future")

        async def work(tx: Transaction) -> fund_pb2.Disbursement:
            recorded = await commands.record_disbursement(tx, made, now)
            return fund_pb2.Disbursement(
                name=recorded.name,
                payment_run=recorded.payment_run,
                pooling_area=recorded.pooling_area,
                disburse_date=date_to_wire(recorded.disburse_date),
                amount_fen=recorded.amount.count,
                bank_reference=recorded.bank_reference,
            )

        return await change(self._context, request, fund_pb2.Disbursement, work, resource=made.name)

    async def TrialSettlement(
        self, request: fund_pb2.TrialSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Compute a month's settlement and post nothing."""
        return await self._view(month_from_wire(request.month, "month"))

    async def ProposeSettlement(
        self, request: fund_pb2.ProposeSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Freeze a month's figures for approval."""
        month = month_from_wire(request.month, "month")
        actor, now, province = caller().subject, self._context.clock.now(), self._context.province
        return await self._step(
            request,
            month,
            lambda tx: commands.propose_settlement(tx, month, province, actor, now),
        )

    async def WithdrawSettlement(
        self, request: fund_pb2.WithdrawSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Take a proposal back."""
        month = month_from_wire(request.month, "month")
        reason = request.reason.strip()
        if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
            raise Malformed.of("reason", f"say why in 1 to {REASON_CHARACTERS_MAX} characters")
        actor, now = caller().subject, self._context.clock.now()
        return await self._step(
            request,
            month,
            lambda tx: commands.withdraw_settlement(tx, month, reason, actor, now),
        )

    async def ApproveSettlement(
        self, request: fund_pb2.ApproveSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Approve a proposal by its hash."""
        month = month_from_wire(request.month, "month")
        if len(request.hash) != HASH_BYTES:
            raise Malformed.of("hash", "send the 32 bytes of the hash that the statement shows")
        actor, now = caller().subject, self._context.clock.now()
        return await self._step(
            request,
            month,
            lambda tx: commands.approve_settlement(tx, month, request.hash, actor, now),
        )

    async def CloseSettlement(
        self, request: fund_pb2.CloseSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Post the approved transfers and close the month."""
        month = month_from_wire(request.month, "month")
        actor, now, province = caller().subject, self._context.clock.now(), self._context.province
        return await self._step(
            request,
            month,
            lambda tx: commands.close_settlement(tx, month, province, actor, now),
        )

    async def GetSettlementPeriod(
        self, request: fund_pb2.GetSettlementPeriodRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """One month's settlement: the statement."""
        (text,) = names.parse(request.name, "settlementPeriods")
        return await self._view(_month(text, "name"), name=request.name)

    async def ListSettlementPeriods(
        self, request: fund_pb2.ListSettlementPeriodsRequest, context: Context
    ) -> fund_pb2.ListSettlementPeriodsResponse:
        """The months, newest first, without findings."""
        page = page_of(request)
        before = _month(page.after[0], "page_token") if page.after else None

        async def work(tx: Transaction) -> fund_pb2.ListSettlementPeriodsResponse:
            found = await periods.list_periods(tx, before, page.size)
            full = len(found) == page.size
            return fund_pb2.ListSettlementPeriodsResponse(
                settlement_periods=[
                    _period(Statement(one.month, one, figures_in(one.text), one.hash, ()))
                    for one in found
                ],
                next_page_token=next_token([found[-1].month]) if full else "",
            )

        return await read(self._context, work)

    async def ReplaySettlement(
        self, request: fund_pb2.ReplaySettlementRequest, context: Context
    ) -> fund_pb2.SettlementReplay:
        """Compute a closed month again and compare it byte for byte."""
        month = month_from_wire(request.month, "month")

        async def work(tx: Transaction) -> fund_pb2.SettlementReplay:
            replayed = await commands.replay_settlement(tx, month)
            return fund_pb2.SettlementReplay(
                approved_hash=replayed.approved_hash,
                replayed_hash=replayed.replayed_hash,
                equal=replayed.equal,
                text=replayed.text,
            )

        return await self._read_at_once(work)

    async def _read_at_once(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        """Read several things as they were at one moment, while postings go on."""
        scope = caller().scope

        async def attempt() -> R:
            async with self._context.database.begin(scope, serializable=True) as tx:
                return await work(tx)

        return await retrying(attempt)

    async def _view(self, month: Month, name: str = "") -> fund_pb2.SettlementPeriod:
        """A month's statement. With `name`, a month nobody posted to is not found."""
        day, province = today(self._context.clock), self._context.province

        async def work(tx: Transaction) -> fund_pb2.SettlementPeriod:
            statement = await commands.view(tx, month, province, day)
            if name and statement.period is None:
                raise NotFound(name=name)
            return _period(statement)

        return await self._read_at_once(work)

    async def _step(
        self,
        request: fund_pb2.ProposeSettlementRequest
        | fund_pb2.WithdrawSettlementRequest
        | fund_pb2.ApproveSettlementRequest
        | fund_pb2.CloseSettlementRequest,
        month: Month,
        step: Step,
    ) -> fund_pb2.SettlementPeriod:
        async def work(tx: Transaction) -> fund_pb2.SettlementPeriod:
            return _period(await step(tx))

        async with self._stepping, self._context.database.begin() as gate:
            await periods.hold_postings(gate)
            return await change(
                self._context,
                request,
                fund_pb2.SettlementPeriod,
                work,
                resource=f"settlementPeriods/{month}",
                serializable=True,
            )


def _disbursement(request: fund_pb2.RecordDisbursementRequest) -> Disbursement:
    (run,) = names.parse(request.payment_run, "paymentRuns", field="payment_run")
    _month(run, "payment_run")
    amount = fen_from_wire(request.amount_fen, "amount_fen")
    if not amount:
        raise Malformed.of("amount_fen", "write an amount of 1 fen or more")
    if not _BANK_REFERENCE.fullmatch(request.bank_reference):
        raise Malformed.of("bank_reference", "copy the bank's reference, 1 to 64 characters")
    return Disbursement(
        disbursement_id=names.id_from(request.request_id, "disbursement"),
        payment_run=request.payment_run,
        pooling_area=_pooling_area(request.pooling_area),
        disburse_date=date_from_wire(request.disburse_date, "disburse_date"),
        amount=amount,
        bank_reference=request.bank_reference,
    )


def _pooling_area(text: str) -> str:
    if not is_division(text):
        raise Malformed.of("pooling_area", "write the six digits of its division code")
    return text


def _month(text: str, field: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise Malformed.of(field, "write the month as 2025-07") from None


def _seq(text: str) -> int:
    if not text.isdecimal():
        raise Malformed.of("page_token", "send the token of the page before, unchanged")
    return int(text)


def _transaction(posted: Posted) -> fund_pb2.LedgerTransaction:
    one = posted.transaction
    return fund_pb2.LedgerTransaction(
        name=names.name("ledgerTransactions", one.transaction_id),
        pooling_area=one.pooling_area,
        month=month_to_wire(one.month),
        accounting_date=date_to_wire(one.accounting_date),
        source=one.source,
        text=one.text,
        postings=[
            fund_pb2.LedgerTransaction.Posting(
                account=enum_number(posting.account.value),
                amount_fen=posting.amount.count,
                industry=enum_number(posting.industry.value),
                quantity=posting.quantity,
            )
            for posting in one.postings
        ],
        create_time=moment_to_wire(posted.create_time),
    )


def _period(statement: Statement) -> fund_pb2.SettlementPeriod:
    period = statement.period
    state = State.OPEN if period is None else period.state
    return fund_pb2.SettlementPeriod(
        name=f"settlementPeriods/{statement.month}",
        month=month_to_wire(statement.month),
        state=enum_number(state.value),
        pools=[_pool(one) for one in statement.figures],
        hash=statement.hash,
        findings=findings_to_wire(statement.findings),
        proposer=period.proposer if period else "",
        approver=period.approver if period else "",
        close_time=moment_to_wire(period.close_time) if period and period.close_time else None,
        revision=period.revision if period else 0,
        obstacles=[one.text for one in statement.obstacles],
        obstacles_zh=[one.text_zh for one in statement.obstacles],
    )


def _pool(figures: PoolFigures) -> fund_pb2.SettlementPeriod.Pool:
    return fund_pb2.SettlementPeriod.Pool(
        pooling_area=figures.pooling_area,
        opening_fen=figures.opening.count,
        income_fen=figures.income.count,
        spending_fen=figures.spending.count,
        risk_adjustment_fen=figures.risk_adjustment.count,
        deficit_compensation_fen=figures.deficit_compensation.count,
        equalisation_fen=figures.equalisation.count,
        closing_fen=figures.closing.count,
        order_count=figures.order_count,
    )
