"""RPCs of the fund: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from oip.fund.v1 import fund_pb2, fund_pb2_grpc

from services.fund.api.format import disbursement_to_wire, period_to_wire, transaction_to_wire
from services.fund.api.parse import (
    disbursement_from_wire,
    month_from_text,
    pooling_area_from_wire,
)
from services.fund.commands import disbursements, settlement
from services.fund.commands.producers import ask_producers
from services.fund.commands.settlement import Statement
from services.fund.domain.settlement import figures_in
from services.fund.store import ledger as ledger_store
from services.fund.store import periods as period_store
from services.fund.store.ledger import TransactionFilter
from services.kernel import names
from services.kernel.money import total
from services.kernel.periods import Month
from services.kernel.problems import Malformed, NotFound
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    enum_number,
    month_from_wire,
)
from services.runtime.service.context import CommandContext, ServiceContext
from services.runtime.service.requests import change, read, stored_response
from services.runtime.storage.database import Transaction, retrying

HASH_BYTES = 32

R = TypeVar("R")
Step = Callable[[Transaction, CommandContext], Awaitable[Statement]]


class FundApi(fund_pb2_grpc.FundServiceServicer):
    """Keeps the books and closes the months."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        # A step holds two connections; one step at a time leaves the rest of the pool to others.
        self._stepping = asyncio.Lock()

    async def GetLedgerTransaction(
        self, request: fund_pb2.GetLedgerTransactionRequest, context: Context
    ) -> fund_pb2.LedgerTransaction:
        """One transaction with its postings."""
        (transaction_id,) = names.parse(request.name, "ledgerTransactions")

        async def work(tx: Transaction) -> fund_pb2.LedgerTransaction:
            return transaction_to_wire(await ledger_store.get_transaction(tx, transaction_id))

        return await read(self._context, work)

    async def ListLedgerTransactions(
        self, request: fund_pb2.ListLedgerTransactionsRequest, context: Context
    ) -> fund_pb2.ListLedgerTransactionsResponse:
        """The ledger's transactions, newest first."""
        page = page_of(request, int)
        before = page.after[0] if page.after else None
        chosen = TransactionFilter(
            pooling_area_from_wire(request.pooling_area) if request.pooling_area else "",
            month_from_wire(request.month, "month") if request.HasField("month") else None,
            request.source,
        )

        async def work(tx: Transaction) -> fund_pb2.ListLedgerTransactionsResponse:
            posted = await ledger_store.list_transactions(tx, chosen, before, page.size)
            return fund_pb2.ListLedgerTransactionsResponse(
                ledger_transactions=[transaction_to_wire(entry) for entry in posted],
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
        disbursement = disbursement_from_wire(request)
        command = self._context.command()
        if disbursement.disburse_date > command.today:
            raise Malformed.of(
                "disburse_date",
                "IN_THE_FUTURE",
                "the bank's day cannot be in the future",
                "银行日期不得晚于今天",
            )

        async def work(tx: Transaction) -> fund_pb2.Disbursement:
            recorded = await disbursements.record_disbursement(tx, disbursement, command)
            return disbursement_to_wire(recorded)

        return await change(
            self._context, request, fund_pb2.Disbursement, work, resource=disbursement.name
        )

    async def ReverseDisbursement(
        self, request: fund_pb2.ReverseDisbursementRequest, context: Context
    ) -> fund_pb2.Disbursement:
        """Reverse a disbursement that was recorded by mistake."""
        (disbursement_id,) = names.parse(request.name, "disbursements")
        code, reason = request.code, request.reason.strip()
        command = self._context.command()

        async def work(tx: Transaction) -> fund_pb2.Disbursement:
            return disbursement_to_wire(
                await disbursements.reverse_disbursement(tx, disbursement_id, code, reason, command)
            )

        return await change(
            self._context, request, fund_pb2.Disbursement, work, resource=request.name
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
        stored = await stored_response(self._context, request, fund_pb2.SettlementPeriod)
        if stored is not None:
            return stored
        deliveries = await ask_producers(self._context, month)
        return await self._step(
            request,
            month,
            lambda tx, command: settlement.propose_settlement(tx, month, deliveries, command),
        )

    async def WithdrawSettlement(
        self, request: fund_pb2.WithdrawSettlementRequest, context: Context
    ) -> fund_pb2.SettlementPeriod:
        """Withdraw a proposal."""
        month = month_from_wire(request.month, "month")
        reason = request.reason.strip()
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
            raise Malformed.of(
                "hash",
                "NOT_A_STATEMENT_HASH",
                "send the 32 bytes of the hash that the statement shows",
                "请提供结算表所示的哈希值 (32 字节)",
            )
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
        return await self._statement(month_from_text(text, "name"), name=request.name)

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
                    period_to_wire(
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
        is_open = await read(self._context, lambda tx: settlement.is_open(tx, month))
        deliveries = await ask_producers(self._context) if is_open else None

        async def work(tx: Transaction) -> fund_pb2.SettlementPeriod:
            statement = await settlement.trial_settlement(tx, month, deliveries, command)
            if name and statement.period is None:
                raise NotFound(name=name)
            return period_to_wire(statement)

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
            return period_to_wire(await step(tx, command))

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
