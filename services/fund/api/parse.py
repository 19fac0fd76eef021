"""Requests of the fund as values."""

from __future__ import annotations

import re

from oip.fund.v1 import fund_pb2

from services.fund.domain.ledger import Disbursement
from services.kernel import names
from services.kernel.identifiers import is_division
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import Malformed
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import date_from_wire

_BANK_REFERENCE = re.compile(r"\S{1,64}")


def disbursement_from_wire(request: fund_pb2.RecordDisbursementRequest) -> Disbursement:
    """What has left the account. Raises Malformed."""
    (run,) = names.parse(request.payment_run, "paymentRuns", field="payment_run")
    month_from_text(run, "payment_run")
    if not _BANK_REFERENCE.fullmatch(request.bank_reference):
        raise Malformed.of(
            "bank_reference",
            "TEXT_LENGTH",
            "write 1 to {most} characters, all of which can be seen",
            "请填写 1 至 {most} 个可见字符",
            most=64,
        )
    return Disbursement(
        id=names.id_from(request.request_id, "disbursement", caller().key),
        payment_run=request.payment_run,
        pooling_area=pooling_area_from_wire(request.pooling_area),
        disburse_date=date_from_wire(request.disburse_date, "disburse_date"),
        amount=Fen(request.amount_fen),
        bank_reference=request.bank_reference,
    )


def pooling_area_from_wire(text: str) -> str:
    """A division code. Raises Malformed."""
    if not is_division(text):
        raise Malformed.of(
            "pooling_area",
            "NOT_A_DIVISION",
            "write a division code of six digits, such as 440106",
            "请填写六位行政区划代码, 如 440106",
        )
    return text


def month_from_text(text: str, field: str) -> Month:
    """A month as resource names have it. Raises Malformed for a field."""
    try:
        return Month.parse(text)
    except ValueError:
        raise Malformed.form(field, "2025-07") from None
