"""Domain values as messages."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from oip.premiums.v1 import premiums_pb2

from services.kernel.law import Finding
from services.kernel.money import Fen, total
from services.kernel.names import name
from services.kernel.periods import Month
from services.premiums.domain.advance_payment import AdvancePayment, Bearer
from services.premiums.domain.assessment import Assessment
from services.premiums.domain.bills import Bill, bill_name
from services.premiums.domain.declarations import DeclarationResult, explain_difference
from services.premiums.domain.lines import Line, LineKind, explain_line
from services.premiums.domain.receipts import Receipt
from services.premiums.domain.standing import Standing
from services.premiums.domain.tallies import Tally
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store.bills import BillSummary
from services.runtime.rpc.wire import (
    date_to_wire,
    enum_number,
    findings_to_wire,
    moment_to_wire,
    month_to_wire,
)

_CENTS = Decimal("0.01")


def rate(value: Decimal) -> str:
    """A base or factor with at least two decimals: `0.07`, `1.20`, `0.0375`."""
    text = f"{value.normalize():f}"
    return f"{value.quantize(_CENTS):f}" if len(text.partition(".")[2]) < 2 else text


def term(platform_term: Term) -> premiums_pb2.PremiumTerm:
    """A base or a band."""
    is_base = platform_term.kind is TermKind.BASE
    return premiums_pb2.PremiumTerm(
        name=name("platforms", platform_term.platform, "premiumTerms", platform_term.id),
        since_date=date_to_wire(platform_term.since),
        industry=enum_number(platform_term.industry.value if platform_term.industry else 0),
        base_yuan=rate(platform_term.value) if is_base else "",
        band="" if is_base else rate(platform_term.value),
        reason=platform_term.reason,
        findings=findings_to_wire(platform_term.findings),
    )


def accrual(tally: Tally) -> premiums_pb2.Accrual:
    """Orders that are not assessed."""
    return premiums_pb2.Accrual(
        platform=name("platforms", tally.platform),
        pooling_area=tally.pooling_area,
        industry=enum_number(tally.industry),
        service_date=date_to_wire(tally.service_date),
        order_count=tally.order_count,
    )


def declaration(result: DeclarationResult) -> premiums_pb2.Declaration:
    """A declaration with its differences from the recorded orders."""
    return premiums_pb2.Declaration(
        name=name("platforms", result.platform, "declarations", str(result.month)),
        differences=[
            premiums_pb2.Declaration.Difference(
                pooling_area=difference.pooling_area,
                industry=enum_number(difference.industry),
                declared_count=difference.declared_count,
                held_count=difference.recorded_count,
            )
            for difference in result.differences
        ],
        create_time=moment_to_wire(result.create_time),
        revision=result.revision,
        findings=findings_to_wire(
            explain_difference(difference, result.due) for difference in result.differences
        ),
    )


def assessment(assessed: Assessment) -> premiums_pb2.PremiumAssessment:
    """An assessed month."""
    return premiums_pb2.PremiumAssessment(
        name=name("premiumAssessments", str(assessed.month)),
        bill_count=assessed.bill_count,
        line_count=assessed.line_count,
        order_count=assessed.order_count,
        premium_fen=assessed.premium.count,
        due_date=date_to_wire(assessed.due),
        gap_day_count=assessed.gap_day_count,
    )


def line(premium_line: Line, bill_month: Month) -> premiums_pb2.PremiumLine:
    """A line with how it was computed."""
    is_orders = premium_line.kind is LineKind.ORDERS
    return premiums_pb2.PremiumLine(
        platform=name("platforms", premium_line.key.platform),
        pooling_area=premium_line.key.pooling_area,
        industry=enum_number(premium_line.key.industry),
        month=month_to_wire(premium_line.key.month),
        order_count=premium_line.order_count,
        base_yuan=rate(premium_line.base) if is_orders else "",
        band=rate(premium_line.band) if is_orders else "",
        premium_fen=premium_line.premium.count,
        findings=findings_to_wire(explain_line(premium_line, bill_month)),
        kind=enum_number(premium_line.kind.value),
        due_date=date_to_wire(premium_line.due),
        markup=f"{premium_line.markup.normalize():f}" if is_orders else "",
    )


def whole_bill(bill: BillSummary, lines: Sequence[Line]) -> premiums_pb2.PremiumBill:
    """A bill with its lines."""
    message = bill_summary(bill)
    message.lines.extend(line(row, bill.month) for row in lines)
    return message


def bill_summary(bill: BillSummary) -> premiums_pb2.PremiumBill:
    """A bill without its lines."""
    return premiums_pb2.PremiumBill(
        name=bill_name(bill.platform, bill.month),
        month=month_to_wire(bill.month),
        state=enum_number(bill.state.value),
        premium_fen=bill.premium.count,
        received_fen=bill.received.count,
        surcharge_received_fen=bill.surcharge_received.count,
        due_date=date_to_wire(bill.due),
        create_time=moment_to_wire(bill.create_time),
        revision=bill.revision,
    )


def receipt(premium_receipt: Receipt) -> premiums_pb2.PremiumReceipt:
    """A receipt with its parts."""
    entry, reversal = premium_receipt.entry, premium_receipt.reversal
    return premiums_pb2.PremiumReceipt(
        name=premium_receipt.name,
        bill=premium_receipt.bill,
        receipt_date=date_to_wire(premium_receipt.day),
        amount_fen=premium_receipt.amount.count,
        premium_fen=premium_receipt.premium.count,
        surcharge_fen=premium_receipt.surcharge.count,
        credit_fen=premium_receipt.credit.count,
        bank_reference=entry.number if entry else "",
        receiving_account=entry.account if entry else "",
        occurrence=entry.occurrence if entry else 0,
        findings=findings_to_wire(premium_receipt.findings),
        parts=[
            premiums_pb2.PremiumReceipt.Part(
                pooling_area=part.pooling_area,
                premium_fen=part.premium.count,
                surcharge_fen=part.surcharge.count,
                credit_fen=part.credit.count,
            )
            for part in premium_receipt.parts
        ],
        reverses=f"premiumReceipts/{reversal.receipt}" if reversal else "",
        reversal_code=enum_number(reversal.code if reversal else 0),
        reversal_reason=reversal.reason if reversal else "",
    )


def standing(
    bill_standing: Standing, bill: Bill, credit: Fen, due_finding: Finding
) -> premiums_pb2.PremiumStanding:
    """What a platform owes for a bill on a day."""
    return premiums_pb2.PremiumStanding(
        bill=bill.name,
        assessed_fen=bill_standing.assessed.count,
        received_fen=bill_standing.received.count,
        arrears_fen=bill_standing.arrears.count,
        surcharge_fen=bill_standing.surcharge.count,
        days_late=bill_standing.days_late,
        findings=findings_to_wire((due_finding, *bill_standing.findings)),
        on_date=date_to_wire(bill_standing.day),
        credit_fen=credit.count,
    )


def advance_terms(
    bearer: Bearer,
    standings: Sequence[Standing],
    days: AdvancePayment | None,
    findings: Sequence[Finding],
) -> premiums_pb2.AdvanceTerms:
    """Who bears a cost, and the days of an advance payment if the platform does."""
    message = premiums_pb2.AdvanceTerms(
        bearer=enum_number(bearer.value),
        arrears_fen=total(row.arrears for row in standings).count,
        surcharge_fen=total(row.surcharge for row in standings).count,
        findings=findings_to_wire(findings),
    )
    if days is not None:
        message.urge_date.CopyFrom(date_to_wire(days.urge))
        message.payment_date.CopyFrom(date_to_wire(days.payment))
        message.advance_from_date.CopyFrom(date_to_wire(days.advance_from))
        if days.repayment:
            message.repayment_date.CopyFrom(date_to_wire(days.repayment))
    return message
