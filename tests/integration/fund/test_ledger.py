from __future__ import annotations

import asyncio
from datetime import date

import grpc
import pytest
import sqlalchemy as sa
from oip.fund.v1 import fund_pb2 as pb
from oip.type.v1 import type_pb2
from sqlalchemy.exc import DBAPIError

from services.fund.domain.problems import TransactionDiffers
from services.fund.store import tables
from services.runtime.storage.sessions import as_psycopg
from tests.integration.fund.conftest import (
    DELIVERY,
    JULY,
    RIDE,
    A,
    B,
    assessed,
    close_month,
    day_message,
    instructed,
    month_message,
    officer,
    propose,
    received,
)
from tests.support.stack_client import StackClient, refused


async def balances(client: StackClient) -> dict[tuple[str, str], int]:
    balance = await officer(client).GetTrialBalance(pb.GetTrialBalanceRequest())
    return {
        (row.pooling_area, pb.LedgerAccount.Name(row.account)): row.balance_fen
        for row in balance.rows
    }


def disbursement(
    amount: int, request_id: str = "d1", bank_reference: str = "BANK-1"
) -> pb.RecordDisbursementRequest:
    return pb.RecordDisbursementRequest(
        request_id=request_id,
        payment_run="paymentRuns/2025-07",
        pooling_area=A,
        disburse_date=day_message(date(2025, 8, 20)),
        amount_fen=amount,
        bank_reference=bank_reference,
    )


async def test_premiums_and_benefits_are_posted_by_pooling_area(client: StackClient) -> None:
    await client.consume(
        "fund", assessed(JULY, (A, DELIVERY, 100, 700), (A, RIDE, 5, 5), (B, RIDE, 9, 9))
    )
    await client.consume("fund", received("r1", date(2025, 8, 15), (A, 705, 3, 2), (B, 9, 0, 0)))
    await client.consume("fund", instructed(JULY, A, DELIVERY, 400))

    balance = await officer(client).GetTrialBalance(pb.GetTrialBalanceRequest())

    assert await balances(client) == {
        (A, "PREMIUM_RECEIVABLE"): 0,
        (A, "PREMIUM_INCOME"): -705,
        (A, "SURCHARGE_INCOME"): -3,
        (A, "PREMIUM_CREDIT"): -2,
        (A, "FISCAL_SPECIAL_ACCOUNT"): 710,
        (A, "BENEFIT_EXPENSE"): 400,
        (A, "BENEFITS_PAYABLE"): -400,
        (B, "PREMIUM_RECEIVABLE"): 0,
        (B, "PREMIUM_INCOME"): -9,
        (B, "FISCAL_SPECIAL_ACCOUNT"): 9,
    }
    assert (balance.sum_fen, balance.transaction_count, balance.posting_count) == (0, 5, 13)


async def test_an_event_consumed_again_is_posted_once(client: StackClient) -> None:
    for _ in range(3):
        await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700)))
        await client.consume("fund", instructed(JULY, A, DELIVERY, 400))
        await client.consume("fund", received("r1", date(2025, 8, 15), (A, 700, 0, 0)))

    listed = await officer(client).ListLedgerTransactions(pb.ListLedgerTransactionsRequest())

    assert len(listed.ledger_transactions) == 3


async def test_the_same_transaction_with_different_amounts_is_refused(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700)))

    with pytest.raises(TransactionDiffers):
        await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 701)))


async def test_transactions_are_listed_newest_first_page_by_page(client: StackClient) -> None:
    for addition in (1, 2, 3):
        await client.consume("fund", instructed(JULY, A, DELIVERY, addition, addition))
    request = pb.ListLedgerTransactionsRequest(
        page_size=2, pooling_area=A, month=month_message(JULY)
    )

    first = await officer(client).ListLedgerTransactions(request)
    request.page_token = first.next_page_token
    second = await officer(client).ListLedgerTransactions(request)

    amounts = [
        transaction.postings[0].amount_fen
        for page in (first, second)
        for transaction in page.ledger_transactions
    ]
    assert amounts == [3, 2, 1]


async def test_no_more_is_disbursed_than_is_payable(client: StackClient) -> None:
    await client.consume("fund", instructed(JULY, A, DELIVERY, 400))

    paid = await officer(client).RecordDisbursement(disbursement(300))
    again = await officer(client).RecordDisbursement(disbursement(300))
    too_much = await refused(officer(client).RecordDisbursement(disbursement(101, "d2", "BANK-2")))
    same_reference = await refused(
        officer(client).RecordDisbursement(disbursement(100, "d3", "BANK-1"))
    )
    await officer(client).RecordDisbursement(disbursement(100, "d4", "BANK-2"))

    assert paid == again
    assert (too_much.code, too_much.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MORE_THAN_PAYABLE",
    )
    assert (same_reference.code, same_reference.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "DISBURSEMENT_REFERENCE_USED",
    )
    after = await balances(client)
    assert (after[A, "BENEFITS_PAYABLE"], after[A, "FISCAL_SPECIAL_ACCOUNT"]) == (0, -400)
    assert await client.broken("fund") == []


@pytest.mark.parametrize(
    "statement",
    [
        "update posting set amount_fen = amount_fen + 1",
        "delete from posting",
        "truncate posting cascade",
        "update ledger_transaction set text = ''",
        "delete from ledger_transaction",
        "update period_total set amount_fen = 0",
        "insert into period_total select * from period_total",
        "delete from settlement_period",
        "update disbursement set amount_fen = 1",
    ],
)
async def test_the_service_cannot_change_what_is_posted(
    client: StackClient, statement: str
) -> None:
    await client.consume("fund", instructed(JULY, A, DELIVERY, 400))

    with pytest.raises(DBAPIError):
        async with client.database("fund").begin() as tx:
            await tx.exec_driver_sql(statement)


HEADER = (
    "insert into ledger_transaction (transaction_id, kind, source, subject, pooling_area, month,"
    " accounting_date, text, posting_count, create_time)"
    " values ('t', 'disbursed', 's', '', '440100', '2025-07-01', '2025-07-01', '', 2, now())"
)
POSTING = "insert into posting values ('t', {line}, '440100', '2025-07-01', 5, 0, {amount}, 0)"


@pytest.mark.parametrize(
    "lines",
    [[], [(1, 0)], [(1, 5), (2, -4)], [(1, 5), (2, -5), (3, 0)]],
    ids=["none", "one", "unequal", "more than said"],
)
async def test_the_database_refuses_an_unbalanced_transaction(
    client: StackClient, lines: list[tuple[int, int]]
) -> None:
    await client.consume("fund", instructed(JULY, A, DELIVERY, 400))

    async def post() -> None:
        async with client.database("fund").begin() as tx:
            await tx.exec_driver_sql(HEADER)
            for line, amount in lines:
                await tx.exec_driver_sql(POSTING.format(line=line, amount=amount))

    with pytest.raises(DBAPIError, match="transaction t has"):
        await post()


async def test_the_database_refuses_a_posting_into_a_closed_month(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700)))
    await close_month(client, JULY)

    with pytest.raises(DBAPIError, match="takes no postings"):
        async with client.database("fund").begin() as tx:
            await tx.exec_driver_sql(HEADER)


async def test_a_reversed_disbursement_is_as_if_it_had_never_been(client: StackClient) -> None:
    await client.consume("fund", instructed(JULY, A, DELIVERY, 400))
    before = await balances(client)
    wrong = await officer(client).RecordDisbursement(disbursement(300))
    reversal = pb.ReverseDisbursementRequest(
        request_id="r1", name=wrong.name, code=type_pb2.WRONG_AMOUNT, reason="a digit too many"
    )

    reversed_one = await officer(client).ReverseDisbursement(reversal)
    again = await officer(client).ReverseDisbursement(reversal)
    after = await balances(client)
    reversal.request_id = "r2"
    twice = await refused(officer(client).ReverseDisbursement(reversal))
    right = await officer(client).RecordDisbursement(disbursement(400, "d2"))

    assert reversed_one == again
    assert reversed_one.reversed
    assert {key: fen for key, fen in after.items() if fen} == before
    assert twice.reason == "ALREADY_REVERSED"
    assert (right.amount_fen, right.bank_reference) == (400, wrong.bank_reference)
    same_reference = await refused(officer(client).RecordDisbursement(disbursement(1, "d3")))
    assert same_reference.reason in {"DISBURSEMENT_REFERENCE_USED", "MORE_THAN_PAYABLE"}
    assert await client.broken("fund") == []
    assert await client.broken_common("fund") == []


async def test_a_disbursement_waits_for_its_signature_and_falls_with_what_is_payable(
    client: StackClient,
) -> None:
    client.signs = False
    await client.consume("fund", instructed(JULY, A, DELIVERY, 400))
    needed = await refused(officer(client).RecordDisbursement(disbursement(300)))
    await client.consume("fund", instructed(JULY, A, DELIVERY, 50, addition=2))

    digest = bytes.fromhex(needed.metadata["hash"])
    changed = await refused(client.sign("fund", needed.metadata["pending_act"], digest))

    assert (needed.reason, changed.reason) == ("SECOND_SIGNATURE_NEEDED", "ACT_CHANGED")
    assert await client.rows("fund", "select from disbursement") == []


async def test_the_database_refuses_one_person_and_another_hash(client: StackClient) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700)))
    await propose(client, JULY)
    approve = (
        "update settlement_period set state = 3, approver = '{who}', approve_time = now(),"
        " approver_member = 'staffMembers/{who}', approved_hash = {digest}"
    )

    with pytest.raises(DBAPIError, match="maker_is_not_checker"):
        async with client.database("fund").begin() as tx:
            await tx.exec_driver_sql(approve.format(who="officer-li", digest="hash"))
    with pytest.raises(DBAPIError, match="approved_as_proposed"):
        async with client.database("fund").begin() as tx:
            await tx.exec_driver_sql(approve.format(who="approver-wu", digest="'\\x00'"))


def differences(url: str) -> list[object]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    names = {table.name for table in tables.metadata.tables.values()}

    def include(_thing: object, name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or name in names

    engine = sa.create_engine(as_psycopg(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_schemas": True, "include_object": include}
        )
        return list(compare_metadata(context, tables.metadata))


async def test_the_migrated_schema_is_that_of_the_store(client: StackClient) -> None:
    assert await asyncio.to_thread(differences, client.stack.settings.database_url) == []


async def test_a_transaction_is_found_by_its_name_and_by_what_caused_it(
    client: StackClient,
) -> None:
    await client.consume("fund", assessed(JULY, (A, DELIVERY, 100, 700), (B, RIDE, 9, 9)))
    stub = officer(client)
    listed = (
        await stub.ListLedgerTransactions(pb.ListLedgerTransactionsRequest())
    ).ledger_transactions

    one = await stub.GetLedgerTransaction(pb.GetLedgerTransactionRequest(name=listed[0].name))
    caused = await stub.ListLedgerTransactions(
        pb.ListLedgerTransactionsRequest(source=listed[0].source, pooling_area=A)
    )
    other = await stub.ListLedgerTransactions(pb.ListLedgerTransactionsRequest(source="none/1"))
    unknown = await refused(
        stub.GetLedgerTransaction(pb.GetLedgerTransactionRequest(name="ledgerTransactions/none"))
    )

    assert one == listed[0]
    assert sum(posting.amount_fen for posting in one.postings) == 0
    assert {row.source for row in caused.ledger_transactions} == {listed[0].source}
    assert {row.pooling_area for row in caused.ledger_transactions} == {A}
    assert list(other.ledger_transactions) == []
    assert unknown.code is grpc.StatusCode.NOT_FOUND
