"""RPCs of the fund: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.fund.commands import disbursements, settlement
from services.fund.commands.settlement import Statement
from services.fund.domain.ledger import Disbursement, industry_number
from services.fund.domain.settlement import PoolFigures, State, figures_in
from services.fund.store import ledger as ledger_store
from services.fund.store import periods as period_store
from services.fund.store.ledger import PostedTransaction
from services.kernel import names
from services.kernel.identifiers import is_division
from services.kernel.money import total
from services.kernel.periods import Month
from services.kernel.problems import Malformed, NotFound
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
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
)
from services.runtime.service.context import CommandContext, ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction, retrying

_BANK_REFERENCE = re.compile(r"\S{1,64}")
HASH_BYTES = 32
REASON_CHARACTERS_MAX = 500

R = TypeVar("R")
Step = Callable[[Transaction, CommandContext], Awaitable[Statement]]


class FundApi(fund_pb2_grpc.FundServiceServicer):
    """Keeps the books and closes the months."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        # A step holds two connections; one step at a time leaves the rest of the pool to others.
        self._stepping = asyncio.Lock()

    async def ListLedgerTransactions(
        self, request: fund_pb2.ListLedgerTransactionsRequest, context: Context
    ) -> fund_pb2.ListLedgerTransactionsResponse:
        """The ledger's transactions, newest first."""
        page = page_of(request, int)
        before = page.after[0] if page.after else None
        area = _pooling_area(request.pooling_area) if request.pooling_area else ""
        month = month_from_wire(request.month, "month") if request.HasField("month") else None

        async def work(tx: Transaction) -> fund_pb2.ListLedgerTransactionsResponse:
            posted = await ledger_store.list_transactions(tx, area, month, before, page.size)
            return fund_pb2.ListLedgerTransactionsResponse(
                ledger_transactions=[_transaction(entry) for entry in posted],
                next_page_token=page.next_token(posted, key=lambda entry: (entry.seq,)),
            )

        return await read(self._context, work)

    async def GetTrialBalance(
        self, request: fund_pb2.GetTrialBalanceRequest, context: Context
    ) -> fund_pb2.TrialBalance:
        """Balances by pooling area and account."""
        month = month_from_wire(request.month, "month") if request.HasField("month") else None

        async def work(tx: Transaction) -> fund_pb2.TrialBalance:
            balances = await ledger_store.list_balances(tx, month)
            transaction_count, posting_count = await ledger_store.count_entries(tx, month)
            return fund_pb2.TrialBalance(
                rows=[
                    fund_pb2.TrialBalance.Row(
                        pooling_area=balance.pooling_area,
                        account=enum_number(balance.account.value),
                        balance_fen=balance.amount.count,
                    )
                    for balance in balances
                ],
                sum_fen=total(balance.amount for balance in balances).count,
                transaction_count=transaction_count,
                posting_count=posting_count,
            )

        return await self._read_snapshot(work)

    async def RecordDisbursement(
        self, request: fund_pb2.RecordDisbursementRequest, context: Context
    ) -> fund_pb2.Disbursement:
        """Record that a run's money has left the account."""
        disbursement = _disbursement(request)
        command = self._context.command()
        if disbursement.disburse_date > command.today:
            raise Malformed.of("disburse_date", "the bank's day cannot be in the future")

        async def work(tx: Transaction) -> fund_pb2.Disbursement:
            recorded = await disbursements.record_disbursement(tx, disbursement, command)
            return _disbursement_to_wire(recorded)

        return await change(
            self._context, request, fund_pb2.Disbursement, work, resource=disbursement.name
        )

    async def TrialSettlement(
        self, request: fund_pb2.TrialSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Compute a month's settlement and post nothing."""
        return await self._statement(month_from_wire(request.month, "month"))

    async def ProposeSettlement(
        self, request: fund_pb2.ProposeSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Freeze a month's figures for approval."""
        month = month_from_wire(request.month, "month")
        return await self._step(
            request,
            month,
            lambda tx, command: settlement.propose_settlement(tx, month, command),
        )

    async def WithdrawSettlement(
        self, request: fund_pb2.WithdrawSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Withdraw a proposal."""
        month = month_from_wire(request.month, "month")
        reason = request.reason.strip()
        if not 0 < len(reason) <= REASON_CHARACTERS_MAX:
            raise Malformed.of(
                "reason", f"give the reason in 1 to {REASON_CHARACTERS_MAX} characters"
            )
        return await self._step(
            request,
            month,
            lambda tx, command: settlement.withdraw_settlement(tx, month, reason, command),
        )

    async def ApproveSettlement(
        self, request: fund_pb2.ApproveSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Approve a proposal by its hash."""
        month = month_from_wire(request.month, "month")
        if len(request.hash) != HASH_BYTES:
            raise Malformed.of("hash", "send the 32 bytes of the hash that the statement shows")
        return await self._step(
            request,
            month,
            lambda tx, command: settlement.approve_settlement(tx, month, request.hash, command),
        )

    async def CloseSettlement(
        self, request: fund_pb2.CloseSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Post the approved transfers and close the month."""
        month = month_from_wire(request.month, "month")
        return await self._step(
            request,
            month,
            lambda tx, command: settlement.close_settlement(tx, month, command),
        )

    async def GetSettlementPeriod(
        self, request: fund_pb2.GetSettlementPeriodRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """One month's settlement: the statement."""
        (text,) = names.parse(request.name, "settlementPeriods")
        return await self._statement(_month(text, "name"), name=request.name)

    async def ListSettlementPeriods(
        self, request: fund_pb2.ListSettlementPeriodsRequest, context: Context
    ) -> fund_pb2.ListSettlementPeriodsResponse:
        """The months, newest first, without findings."""
        page = page_of(request, Month)
        before = page.after[0] if page.after else None

        async def work(tx: Transaction) -> fund_pb2.ListSettlementPeriodsResponse:
            periods = await period_store.list_page(tx, before, page.size)
            return fund_pb2.ListSettlementPeriodsResponse(
                settlement_periods=[
                    _period(
                        Statement(period.month, period, figures_in(period.text), period.hash, ())
                    )
                    for period in periods
                ],
                next_page_token=page.next_token(periods, key=lambda period: (period.month,)),
            )

        return await read(self._context, work)

    async def ReplaySettlement(
        self, request: fund_pb2.ReplaySettlementRequest, context: Context
    ) -> fund_pb2.SettlementReplay:
        """Compute a closed month again and compare it byte for byte."""
        month = month_from_wire(request.month, "month")

        async def work(tx: Transaction) -> fund_pb2.SettlementReplay:
            replayed = await settlement.replay_settlement(tx, month)
            return fund_pb2.SettlementReplay(
                approved_hash=replayed.approved_hash,
                replayed_hash=replayed.replayed_hash,
                equal=replayed.equal,
                text=replayed.text,
            )

        return await self._read_snapshot(work)

    async def _read_snapshot(self, work: Callable[[Transaction], Awaitable[R]]) -> R:
        """Read from one snapshot, while postings go on."""
        scope = caller().scope

        async def attempt() -> R:
            async with self._context.database.begin(scope, serializable=True) as tx:
                return await work(tx)

        return await retrying(attempt)

    async def _statement(self, month: Month, name: str = "") -> fund_pb2.SettlementPeriod:
        """A month's statement. With `name`, a month without postings raises NotFound."""
        command = self._context.command()

        async def work(tx: Transaction) -> fund_pb2.SettlementPeriod:
            statement = await settlement.trial_settlement(tx, month, command)
            if name and statement.period is None:
                raise NotFound(name=name)
            return _period(statement)

        return await self._read_snapshot(work)

    async def _step(
        self,
        request: fund_pb2.ProposeSettlementRequest
        | fund_pb2.WithdrawSettlementRequest
        | fund_pb2.ApproveSettlementRequest
        | fund_pb2.CloseSettlementRequest,
        month: Month,
        step: Step,
    ) -> fund_pb2.SettlementPeriod:
        """Take one step of a settlement while no posting runs."""
        command = self._context.command()

        async def work(tx: Transaction) -> fund_pb2.SettlementPeriod:
            return _period(await step(tx, command))

        async with self._stepping, self._context.database.begin() as gate:
            await period_store.lock_postings(gate)
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
        id=names.id_from(request.request_id, "disbursement"),
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


def _disbursement_to_wire(disbursement: Disbursement) -> fund_pb2.Disbursement:
    return fund_pb2.Disbursement(
        name=disbursement.name,
        payment_run=disbursement.payment_run,
        pooling_area=disbursement.pooling_area,
        disburse_date=date_to_wire(disbursement.disburse_date),
        amount_fen=disbursement.amount.count,
        bank_reference=disbursement.bank_reference,
    )


def _transaction(posted: PostedTransaction) -> fund_pb2.LedgerTransaction:
    transaction = posted.transaction
    return fund_pb2.LedgerTransaction(
        name=names.name("ledgerTransactions", transaction.id),
        pooling_area=transaction.pooling_area,
        month=month_to_wire(transaction.month),
        accounting_date=date_to_wire(transaction.accounting_date),
        source=transaction.source,
        text=transaction.text,
        postings=[
            fund_pb2.LedgerTransaction.Posting(
                account=enum_number(posting.account.value),
                amount_fen=posting.amount.count,
                industry=enum_number(industry_number(posting.industry)),
                quantity=posting.quantity,
            )
            for posting in transaction.postings
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
        pools=[_pool(pool) for pool in statement.figures],
        hash=statement.hash,
        findings=findings_to_wire(statement.findings),
        proposer=period.proposer if period else "",
        approver=period.approver if period else "",
        close_time=moment_to_wire(period.close_time) if period and period.close_time else None,
        revision=period.revision if period else 0,
        obstacles=[obstacle.text for obstacle in statement.obstacles],
        obstacles_zh=[obstacle.text_zh for obstacle in statement.obstacles],
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
