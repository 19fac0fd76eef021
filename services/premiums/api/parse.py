"""Requests as values; a field that cannot be read is refused by its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from google.protobuf.message import Message
from oip.premiums.v1 import premiums_pb2

from services.kernel import names
from services.kernel.identifiers import is_credit_code, is_division, spelling_key
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import GivenTwice, Malformed
from services.kernel.scheme import Industry
from services.premiums.domain.bills import BillState
from services.premiums.domain.experience import BenefitsCharged
from services.premiums.domain.receipts import BankEntry, IncomingPayment
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store.bills import BillFilter
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import date_from_wire, month_from_wire

_INDUSTRIES = {industry.value: industry for industry in Industry}


def platform_code(text: str, field: str = "platform") -> str:
    """The credit code in `platforms/{credit code}`; a platform may name only itself."""
    (code,) = names.parse(text, "platforms", field=field)
    if not is_credit_code(code):
        raise Malformed.of(
            field,
            "NOT_A_CREDIT_CODE",
            "{code} is not a unified social credit code; check its characters",
            "{code} 不是统一社会信用代码; 请核对",
            code=code,
        )
    caller().require_platform(code)
    return code


def platform_or_all(text: str) -> str:
    """A platform's credit code; empty for all that the caller may see."""
    return platform_code(text) if text else ""


def bill_name(text: str, field: str = "bill") -> tuple[str, Month]:
    """Platform and month of `platforms/{credit code}/premiumBills/{month}`."""
    code, month = names.parse(text, "platforms", "premiumBills", field=field)
    caller().require_platform(code)
    try:
        return code, Month.parse(month)
    except ValueError:
        raise Malformed.form(field, "platforms/{credit_code}/premiumBills/2025-07") from None


def base_term(request: premiums_pb2.AssignPremiumBaseRequest) -> Term:
    """The base that a request assigns."""
    return Term(
        platform=platform_code(request.platform),
        kind=TermKind.BASE,
        since=date_from_wire(request.since_date, "since_date"),
        value=decimal(request.base_yuan, "base_yuan"),
        industry=industry(request.industry),
        reason=request.reason.strip(),
        id=names.id_from(request.request_id, request.platform, caller().key),
    )


def band_term(request: premiums_pb2.AssignExperienceBandRequest) -> Term:
    """The band that a request assigns."""
    return Term(
        platform=platform_code(request.platform),
        kind=TermKind.BAND,
        since=date_from_wire(request.since_date, "since_date"),
        value=decimal(request.band, "band"),
        reason=request.reason.strip(),
        id=names.id_from(request.request_id, request.platform, caller().key),
    )


def bill_filter(
    request: premiums_pb2.ListPremiumBillsRequest | premiums_pb2.ListPremiumReceiptsRequest,
) -> BillFilter:
    """What a list is restricted to, and its order."""
    states: tuple[BillState, ...] = ()
    if isinstance(request, premiums_pb2.ListPremiumBillsRequest):
        states = tuple(BillState(state) for state in request.states if state)
    return BillFilter(
        platform_or_all(request.platform),
        month_from_wire(request.month, "month") if request.HasField("month") else None,
        states,
        request.newest_first,
    )


def industry(number: int, field: str = "industry") -> Industry:
    """One of the scheme's industries."""
    if number not in _INDUSTRIES:
        raise Malformed.choice(field, Industry)
    return _INDUSTRIES[number]


def decimal(text: str, field: str) -> Decimal:
    """A decimal above zero, for example `0.07`."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    exponent = number.as_tuple().exponent
    if not number.is_finite() or number <= 0 or not isinstance(exponent, int) or exponent < -4:
        raise Malformed.of(
            field,
            "NOT_A_RATE",
            "write a decimal above 0 with at most four places, such as 0.07",
            "请填写大于 0 且至多四位小数的数, 如 0.07",
        )
    return number


def incoming_payment(request: premiums_pb2.RecordPremiumReceiptRequest) -> IncomingPayment:
    """Money as the bank's statement shows it: above zero, with day and reference."""
    return IncomingPayment(
        Fen(request.amount_fen),
        date_from_wire(request.receipt_date, "receipt_date"),
        BankEntry(
            reference(request.receiving_account, "receiving_account"),
            reference(request.bank_reference, "bank_reference"),
            request.occurrence or 1,
            is_stated=bool(request.occurrence),
        ),
    )


def reference(text: str, field: str) -> str:
    """An account or a number of the bank: a short text with letters or digits."""
    stripped = text.strip()
    if not spelling_key(stripped):
        raise Malformed.of(
            field,
            "NO_LETTERS_OR_DIGITS",
            "write the letters and digits of the original",
            "请照原件填写其中的字母和数字",
        )
    return stripped


def day_or(request: Message, field: str, default: date) -> date:
    """The day in a field that may be left out."""
    return date_from_wire(getattr(request, field), field) if request.HasField(field) else default


def declaration_rows(
    rows: Sequence[premiums_pb2.DeclarePremiumRequest.Row],
) -> list[tuple[str, int, int]]:
    """The rows (pooling area, industry, count) of a declaration; none without orders."""
    cells = []
    for index, row in enumerate(rows):
        if not is_division(row.pooling_area):
            raise Malformed.of(
                f"rows[{index}].pooling_area",
                "NOT_A_DIVISION",
                "write a division code of six digits, such as 440106",
                "请填写六位行政区划代码, 如 440106",
            )
        number = industry(row.industry, f"rows[{index}].industry").value
        cells.append((row.pooling_area, number, row.order_count))
    return cells


def benefits_charged(rows: Sequence[premiums_pb2.RefixBandsRequest.Row]) -> list[BenefitsCharged]:
    """The benefits charged to each platform; each platform at most once."""
    charged = [
        BenefitsCharged(
            platform_code(row.platform, f"rows[{index}].platform"),
            row.benefit_fen,
            row.lift,
        )
        for index, row in enumerate(rows)
    ]
    if len({row.platform for row in charged}) < len(charged):
        raise GivenTwice.of("rows")
    return charged
