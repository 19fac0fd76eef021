"""Values of the fund as messages."""

from __future__ import annotations

from oip.fund.v1 import fund_pb2

from services.fund.commands.settlement import Statement
from services.fund.domain.ledger import Disbursement, industry_number
from services.fund.domain.settlement import PoolFigures, State
from services.fund.store.ledger import PostedTransaction
from services.kernel import names
from services.runtime.rpc.wire import (
    date_to_wire,
    enum_number,
    findings_to_wire,
    moment_to_wire,
    month_to_wire,
)


def disbursement_to_wire(disbursement: Disbursement) -> fund_pb2.Disbursement:
    """A disbursement."""
    return fund_pb2.Disbursement(
        name=disbursement.name,
        payment_run=disbursement.payment_run,
        pooling_area=disbursement.pooling_area,
        disburse_date=date_to_wire(disbursement.disburse_date),
        amount_fen=disbursement.amount.count,
        bank_reference=disbursement.bank_reference,
        reversed=disbursement.is_reversed,
    )


def transaction_to_wire(posted: PostedTransaction) -> fund_pb2.LedgerTransaction:
    """A transaction with its postings."""
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


def period_to_wire(statement: Statement) -> fund_pb2.SettlementPeriod:
    """A month's settlement: the statement."""
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
        obstacles=[
            fund_pb2.SettlementPeriod.Obstacle(
                reason=obstacle.reason, text=obstacle.sentence, text_zh=obstacle.sentence_zh
            )
            for obstacle in statement.obstacles
        ],
        cursors=[
            fund_pb2.SettlementPeriod.Cursor(
                producer=cursor.producer,
                epoch=cursor.epoch,
                pub_seq=cursor.pub_seq,
                fingerprint=cursor.fingerprint,
            )
            for cursor in statement.cursors
        ],
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
