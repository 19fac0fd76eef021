"""Fields of forms: what is read, what is refused, and with which sentence."""

from __future__ import annotations

from typing import Any

import pytest
from oip.claims.v1 import claims_pb2
from oip.premiums.v1 import premiums_pb2

from services.console.forms import Ask, Form, entered_in
from services.console.listings import harmless
from services.console.values import fen_cell, page_of, text_cell
from services.kernel.phrases import Language

Receipt = premiums_pb2.RecordPremiumReceiptRequest
Determine = claims_pb2.DetermineClaimRequest


def read(request: Any, asks: tuple[Ask, ...], **entered: str) -> tuple[Any, dict[str, str]]:
    pairs = [(name.replace("__", "."), value) for name, value in entered.items()]
    form = Form(request, asks, Language.EN, entered_in(pairs))
    return form.read(), form.errors


def test_an_amount_in_yuan_becomes_fen() -> None:
    request, errors = read(Receipt, (Ask("amount_fen"),), amount_fen="1,234.5")

    assert (request.amount_fen, errors) == (123450, {})


@pytest.mark.parametrize("text", ["", " ", "1.234", "1e3", "－1", "1;2", "9" * 30])
def test_what_is_no_amount_is_refused(text: str) -> None:
    _, errors = read(Receipt, (Ask("amount_fen"),), amount_fen=text)

    assert set(errors) == {"amount_fen"}


@pytest.mark.parametrize(
    ("text", "holds"), [("2025-07-01", True), ("2025-02-30", False), ("1.7.2025", False)]
)
def test_a_day_is_read_or_refused(text: str, holds: bool) -> None:
    request, errors = read(Receipt, (Ask("receipt_date"),), receipt_date=text)

    assert (not errors) == holds
    assert (request.receipt_date.day == 1) == holds


def test_parts_lists_and_answers_are_filled() -> None:
    asks = (
        Ask("enquiry.harm_established", required=True),
        Ask("enquiry.exclusions"),
        Ask("enquiry.death_time"),
    )
    request, errors = read(
        Determine,
        asks,
        enquiry__harm_established="yes",
        enquiry__exclusions="INTOXICATION",
        enquiry__death_time="2025-07-01T08:30",
    )

    assert not errors
    assert request.enquiry.harm_established
    assert list(request.enquiry.exclusions) == [Determine.INTOXICATION]
    assert request.enquiry.death_time.ToJsonString() == "2025-07-01T00:30:00Z"
    _, errors = read(Determine, asks, enquiry__exclusions="NONE_OF_THEM")
    assert set(errors) == {"enquiry.harm_established", "enquiry.exclusions"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_of_a_spreadsheet_is_a_formula(text: str) -> None:
    assert harmless(text_cell(text)) == f"'{text}"
    assert harmless(fen_cell(-100)) == "-100"


@pytest.mark.parametrize(
    "name", ["claims/1/../../x", "https://evil", "javascript:alert(1)", "//evil", "claims/<b>"]
)
def test_a_name_leads_nowhere_else(name: str) -> None:
    href = page_of(name)

    assert href == "" or href.startswith("/")
    assert not href.startswith("//")
    assert "<" not in href
