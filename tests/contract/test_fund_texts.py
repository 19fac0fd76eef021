"""The texts that the fund signs and publishes: every version must produce the same bytes."""

from __future__ import annotations

from google.protobuf import text_format

from services.fund import events
from services.fund.domain.equalisation_rules import rules_on
from services.fund.domain.law import LAW
from services.fund.domain.settlement import settle
from services.kernel.periods import Month
from tests.rules.fund.adapter import books_of, pools_of
from tests.support.golden import check_golden

JULY = Month(2025, 7)


def test_the_canonical_text_of_a_settlement_does_not_change() -> None:
    books = books_of(JULY, pools_of({"pools": "E7"}))
    rules = rules_on(LAW, JULY.last_day, "440000", known=JULY.plus(1).first_day)

    check_golden("fund/settlement.txt", settle(books, rules, "440000").text)


def test_settlement_period_closed_is_published_as_before() -> None:
    message = events.settlement_period_closed(JULY, bytes(range(32)))

    check_golden("fund/settlement_period_closed.txtpb", text_format.MessageToString(message))
