"""What requests say, as values; each field that cannot be read is refused by its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from google.protobuf.message import Message
from oip.premiums.v1 import premiums_pb2

from services.kernel import names
from services.kernel.identifiers import is_credit_code, is_division
from services.kernel.periods import Month
from services.kernel.problems import Malformed
from services.premiums.commands.receiving import Incoming
from services.premiums.commands.terms import Charged
from services.premiums.domain.terms import Industry
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import date_from_wire, fen_from_wire

TEXT_MAX = 500
ROWS_MAX = 5_000
FIRST_YEAR, LAST_YEAR = 2022, 2200
_INDUSTRIES = {industry.value: industry for industry in Industry}


def platform_code(text: str, field: str = "platform") -> str:
    """The credit code in `platforms/{credit code}`; a platform may name only itself."""
    (code,) = names.parse(text, "platforms", field=field)
    if not is_credit_code(code):
        raise Malformed.of(field, f"{code} is no unified social credit code; check its characters")
    caller().require_platform(code)
    return code


def platform_or_all(text: str) -> str:
    """A platform's credit code; nothing for all that the caller may see."""
    return platform_code(text) if text else ""


def bill_name(text: str, field: str = "bill") -> tuple[str, Month]:
    """Platform and month of `platforms/{credit code}/premiumBills/{month}`."""
    code, month = names.parse(text, "platforms", "premiumBills", field=field)
    caller().require_platform(code)
    try:
        return code, Month.parse(month)
    except ValueError:
        raise Malformed.of(field, f"write the month as 2025-07, not {month}") from None


def industry(number: int, field: str = "industry") -> Industry:
    """One of the scheme's industries."""
    if number not in _INDUSTRIES:
        choices = ", ".join(one.name for one in Industry)
        raise Malformed.of(field, f"choose one of {choices}")
    return _INDUSTRIES[number]


def decimal(text: str, field: str) -> Decimal:
    """A decimal above zero, for example `0.07`."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal(0)
    exponent = found.as_tuple().exponent
    if not found.is_finite() or found <= 0 or not isinstance(exponent, int) or exponent < -4:
        raise Malformed.of(field, "write a decimal above 0 with at most four places, such as 0.07")
    return found


def incoming(request: premiums_pb2.RecordPremiumReceiptRequest) -> Incoming:
    """Money as the bank's statement shows it: above zero, with day and reference."""
    amount = fen_from_wire(request.amount_fen, "amount_fen")
    if not amount:
        raise Malformed.of("amount_fen", "write an amount above 0 fen")
    return Incoming(
        amount,
        date_from_wire(request.receipt_date, "receipt_date"),
        words(request.bank_reference, "bank_reference"),
    )


def year(number: int) -> int:
    """A year of the scheme."""
    if not FIRST_YEAR <= number <= LAST_YEAR:
        raise Malformed.of("year", f"write a year between {FIRST_YEAR} and {LAST_YEAR}")
    return number


def words(text: str, field: str) -> str:
    """A short text for people; not empty."""
    found = text.strip()
    if not 1 <= len(found) <= TEXT_MAX:
        raise Malformed.of(field, f"write 1 to {TEXT_MAX} characters")
    return found


def day_or(request: Message, field: str, default: date) -> date:
    """The day in a field that may be left out."""
    return date_from_wire(getattr(request, field), field) if request.HasField(field) else default


def declared_rows(
    rows: Sequence[premiums_pb2.DeclarePremiumRequest.Row],
) -> list[tuple[str, int, int]]:
    """A declaration's rows; a platform without orders declares none."""
    if len(rows) > ROWS_MAX:
        raise Malformed.of("rows", f"send at most {ROWS_MAX:,} rows")
    found = []
    for index, row in enumerate(rows):
        if not is_division(row.pooling_area):
            what = "write the pooling area as six digits, for example 440100"
            raise Malformed.of(f"rows[{index}].pooling_area", what)
        number = industry(row.industry, f"rows[{index}].industry").value
        found.append((row.pooling_area, number, row.order_count))
    return found


def charged_rows(rows: Sequence[premiums_pb2.RefixBandsRequest.Row]) -> list[Charged]:
    """What benefits say about each platform; each at most once."""
    if not 1 <= len(rows) <= ROWS_MAX:
        raise Malformed.of("rows", f"send 1 to {ROWS_MAX:,} platforms")
    found = [
        Charged(
            platform_code(row.platform, f"rows[{index}].platform"),
            fen_from_wire(row.benefit_fen, f"rows[{index}].benefit_fen").count,
            row.lift,
        )
        for index, row in enumerate(rows)
    ]
    if len({row.platform for row in found}) < len(found):
        raise Malformed.of("rows", "a platform stands in more than one row; add them up")
    return found
