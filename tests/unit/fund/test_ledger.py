from __future__ import annotations

from datetime import date

import pytest

from services.fund.domain import ledger
from services.fund.domain.ledger import (
    Account,
    LedgerTransaction,
    PaymentPart,
    Posting,
    PremiumLine,
    ReceiptPart,
    TransactionKind,
    UnbalancedError,
    industry_name,
    industry_number,
    industry_of,
)
from services.kernel.money import ZERO, Fen, total
from services.kernel.periods import Month
from services.kernel.scheme import Industry

JULY = Month(2025, 7)
A, B = "440100", "440600"


def test_premiums_are_one_transaction_a_pooling_area_with_a_line_an_industry() -> None:
    posted = ledger.premium_assessed(
        "platforms/X/premiumBills/2025-07",
        JULY,
        [
            PremiumLine(B, Industry.RIDE_HAILING, 9, Fen(9)),
            PremiumLine(A, Industry.INSTANT_DELIVERY, 100, Fen(700)),
            PremiumLine(A, Industry.RIDE_HAILING, 5, Fen(5)),
        ],
    )

    assert [transaction.pooling_area for transaction in posted] == [A, B]
    assert posted[0].postings == (
        Posting(Account.PREMIUM_RECEIVABLE, Fen(705)),
        Posting(Account.PREMIUM_INCOME, Fen(-5), Industry.RIDE_HAILING, 5),
        Posting(Account.PREMIUM_INCOME, Fen(-700), Industry.INSTANT_DELIVERY, 100),
    )
    assert posted[0].accounting_date == date(2025, 7, 31)


def test_a_receipt_belongs_to_the_month_of_the_banks_day() -> None:
    (posted,) = ledger.premium_received(
        "premiumReceipts/r", date(2025, 8, 1), [ReceiptPart(A, Fen(700), Fen(3), Fen(2))]
    )

    assert posted.month == Month(2025, 8)
    assert posted.postings[0] == Posting(Account.FISCAL_SPECIAL_ACCOUNT, Fen(705))


def test_a_set_off_of_credit_moves_no_money() -> None:
    (posted,) = ledger.premium_received(
        "premiumReceipts/r", date(2025, 8, 1), [ReceiptPart(A, Fen(700), ZERO, Fen(-700))]
    )

    assert posted.postings == (
        Posting(Account.PREMIUM_RECEIVABLE, Fen(-700)),
        Posting(Account.PREMIUM_CREDIT, Fen(700)),
    )


def test_a_receipt_part_of_nothing_is_not_posted() -> None:
    assert not ledger.premium_received(
        "premiumReceipts/r", date(2025, 8, 1), [ReceiptPart(A, ZERO, ZERO, ZERO)]
    )


def test_each_addition_to_a_run_has_a_separate_source() -> None:
    part = PaymentPart(A, Industry.RIDE_HAILING, "DEATH_GRANT", 1, Fen(5))
    first = ledger.benefits_instructed("paymentRuns/2025-07", 1, JULY, part)
    second = ledger.benefits_instructed("paymentRuns/2025-07", 2, JULY, part)

    assert first.id != second.id
    assert first.subject == second.subject == "paymentRuns/2025-07"


def test_what_an_area_receives_is_income_against_a_claim_on_the_others() -> None:
    posted = ledger.equalised(JULY, A, [("risk adjustment", Fen(30)), ("deficit", Fen(-10))])

    assert posted is not None
    assert [(posting.account, posting.amount.count) for posting in posted.postings] == [
        (Account.EQUALISATION_TRANSFER, -30),
        (Account.EQUALISATION_CLEARING, 30),
        (Account.EQUALISATION_TRANSFER, 10),
        (Account.EQUALISATION_CLEARING, -10),
    ]
    assert not total(posting.amount for posting in posted.postings)


def test_an_area_without_transfers_has_nothing_to_post() -> None:
    assert ledger.equalised(JULY, A, [("risk adjustment", ZERO)]) is None


@pytest.mark.parametrize(
    ("postings", "message"),
    [
        ((), "fewer than two postings"),
        ((Posting(Account.BENEFIT_EXPENSE, ZERO),), "fewer than two postings"),
        ((Posting(Account.BENEFIT_EXPENSE, Fen(1)),) * 2, "sum to 2 fen, not to 0"),
    ],
)
def test_a_transaction_that_does_not_balance_cannot_be_made(
    postings: tuple[Posting, ...], message: str
) -> None:
    with pytest.raises(UnbalancedError, match=message):
        LedgerTransaction(TransactionKind.DISBURSED, "s", A, JULY, JULY.first_day, "", postings)


@pytest.mark.parametrize(
    ("industry", "number", "name"),
    [
        (None, 0, "NONE"),
        (Industry.RIDE_HAILING, 1, "RIDE_HAILING"),
        (Industry.INSTANT_DELIVERY, 2, "INSTANT_DELIVERY"),
        (Industry.SAME_CITY_FREIGHT, 3, "SAME_CITY_FREIGHT"),
    ],
)
def test_an_industry_or_none_is_stored_under_its_number_and_named_in_texts(
    industry: Industry | None, number: int, name: str
) -> None:
    assert industry_of(number) is industry
    assert industry_number(industry) == number
    assert industry_name(industry) == name


def test_benefits_without_an_industry_have_a_source_that_says_so() -> None:
    posted = ledger.benefits_instructed(
        "paymentRuns/2025-07", 1, JULY, PaymentPart(A, None, "DEATH_GRANT", 1, Fen(5))
    )

    assert posted.source == "paymentRuns/2025-07/additions/1/NONE/DEATH_GRANT"
