"""Domain values as messages."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from oip.premiums.v1 import premiums_pb2

from services.kernel.law import Finding
from services.kernel.money import Fen, total
from services.kernel.names import name
from services.kernel.periods import Month
from services.premiums.commands.terms import Declared
from services.premiums.domain import assessing, declaring
from services.premiums.domain.advancing import AdvanceDates, Bearer
from services.premiums.domain.assessing import Line, LineKind, Tally
from services.premiums.domain.paying import Bill, Receipt, Standing
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store.assessing import Assessment
from services.premiums.store.paying import HeldBill
from services.runtime.rpc.wire import (
    date_to_wire,
    enum_number,
    findings_to_wire,
    moment_to_wire,
    month_to_wire,
)

_PLACES = Decimal("0.01")


def rate(value: Decimal) -> str:
    """A base or factor with at least two decimals: `0.07`, `1.20`, `0.0375`."""
    text = f"{value.normalize():f}"
    return f"{value.quantize(_PLACES):f}" if len(text.partition(".")[2]) < 2 else text


def term(held: Term) -> premiums_pb2.PremiumTerm:
    """A base or a band."""
    is_base = held.kind is TermKind.BASE
    return premiums_pb2.PremiumTerm(
        name=name("platforms", held.platform, "premiumTerms", held.id),
        since_date=date_to_wire(held.since),
        industry=enum_number(held.industry.value if held.industry else 0),
        base_yuan=rate(held.value) if is_base else "",
        band="" if is_base else rate(held.value),
        reason=held.reason,
        findings=findings_to_wire(held.findings),
    )


def accrual(tally: Tally) -> premiums_pb2.Accrual:
    """Orders counted and not assessed."""
    return premiums_pb2.Accrual(
        platform=tally.platform,
        pooling_area=tally.pooling_area,
        industry=enum_number(tally.industry),
        service_date=date_to_wire(tally.service_date),
        order_count=tally.order_count,
    )


def declaration(held: Declared) -> premiums_pb2.Declaration:
    """A declaration beside what is held."""
    return premiums_pb2.Declaration(
        name=name("platforms", held.platform, "declarations", str(held.month)),
        differences=[
            premiums_pb2.Declaration.Difference(
                pooling_area=one.pooling_area,
                industry=enum_number(one.industry),
                declared_count=one.declared_count,
                held_count=one.held_count,
            )
            for one in held.differences
        ],
        create_time=moment_to_wire(held.create_time),
        revision=held.revision,
        findings=findings_to_wire(declaring.explain(one, held.due) for one in held.differences),
    )


def assessment(held: Assessment) -> premiums_pb2.PremiumAssessment:
    """A month assessed."""
    return premiums_pb2.PremiumAssessment(
        name=name("premiumAssessments", str(held.month)),
        bill_count=held.bill_count,
        line_count=held.line_count,
        order_count=held.order_count,
        premium_fen=held.premium.count,
        due_date=date_to_wire(held.due),
        gap_day_count=held.gap_day_count,
    )


def line(held: Line, bill_month: Month) -> premiums_pb2.PremiumLine:
    """A line with how it was computed."""
    is_orders = held.kind is LineKind.ORDERS
    return premiums_pb2.PremiumLine(
        platform=held.key.platform,
        pooling_area=held.key.pooling_area,
        industry=enum_number(held.key.industry),
        month=month_to_wire(held.key.month),
        order_count=held.order_count,
        base_yuan=rate(held.base) if is_orders else "",
        band=rate(held.band) if is_orders else "",
        premium_fen=held.premium.count,
        findings=findings_to_wire(assessing.explain(held, bill_month)),
        kind=enum_number(held.kind.value),
        due_date=date_to_wire(held.due),
        markup=f"{held.markup.normalize():f}" if is_orders else "",
    )


def whole_bill(bill: HeldBill, lines: Sequence[Line]) -> premiums_pb2.PremiumBill:
    """A bill with its lines."""
    message = listed_bill(bill)
    message.lines.extend(line(one, bill.month) for one in lines)
    return message


def listed_bill(bill: HeldBill) -> premiums_pb2.PremiumBill:
    """A bill without its lines."""
    return premiums_pb2.PremiumBill(
        name=name("platforms", bill.platform, "premiumBills", str(bill.month)),
        month=month_to_wire(bill.month),
        state=enum_number(bill.state.value),
        premium_fen=bill.premium.count,
        received_fen=bill.received.count,
        surcharge_received_fen=bill.surcharge_received.count,
        due_date=date_to_wire(bill.due),
        create_time=moment_to_wire(bill.create_time),
        revision=bill.revision,
    )


def receipt(held: Receipt) -> premiums_pb2.PremiumReceipt:
    """A receipt with its parts."""
    return premiums_pb2.PremiumReceipt(
        name=held.name,
        bill=held.bill,
        receipt_date=date_to_wire(held.day),
        amount_fen=held.amount.count,
        premium_fen=held.premium.count,
        surcharge_fen=held.surcharge.count,
        credit_fen=held.credit.count,
        bank_reference=held.bank_reference or "",
        findings=findings_to_wire(held.findings),
        parts=[
            premiums_pb2.PremiumReceipt.Part(
                pooling_area=part.pooling_area,
                premium_fen=part.premium.count,
                surcharge_fen=part.surcharge.count,
                credit_fen=part.credit.count,
            )
            for part in held.parts
        ],
    )


def standing(
    held: Standing, bill: Bill, credit: Fen, due_finding: Finding
) -> premiums_pb2.PremiumStanding:
    """What a platform owes for a bill on a day."""
    return premiums_pb2.PremiumStanding(
        bill=bill.name,
        assessed_fen=held.assessed.count,
        received_fen=held.received.count,
        arrears_fen=held.arrears.count,
        surcharge_fen=held.surcharge.count,
        days_late=held.days_late,
        findings=findings_to_wire((due_finding, *held.findings)),
        on_date=date_to_wire(held.day),
        credit_fen=credit.count,
    )


def advance_terms(
    bearer: Bearer,
    standings: Sequence[Standing],
    dates: AdvanceDates | None,
    findings: Sequence[Finding],
) -> premiums_pb2.AdvanceTerms:
    """Who bears a cost, and the days of an advance payment if the platform does."""
    message = premiums_pb2.AdvanceTerms(
        bearer=enum_number(bearer.value),
        arrears_fen=total(one.arrears for one in standings).count,
        surcharge_fen=total(one.surcharge for one in standings).count,
        findings=findings_to_wire(findings),
    )
    if dates is not None:
        message.urge_date.CopyFrom(date_to_wire(dates.urge))
        message.payment_date.CopyFrom(date_to_wire(dates.payment))
        message.advance_from_date.CopyFrom(date_to_wire(dates.advance_from))
        if dates.repayment:
            message.repayment_date.CopyFrom(date_to_wire(dates.repayment))
    return message
