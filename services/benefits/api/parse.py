"""Requests of benefits as domain values."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import TypeVar

from oip.benefits.v1 import benefits_pb2

from services.benefits.domain.award import State
from services.benefits.domain.bills import Bill
from services.benefits.domain.case import CauseOfDeath
from services.benefits.domain.expenses import Expense
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.life import LifeEvent, LifeState
from services.benefits.store.awards import AwardFilter
from services.kernel import names
from services.kernel.identifiers import is_division
from services.kernel.money import Fen
from services.kernel.names import id_from
from services.kernel.periods import Month, civil_day
from services.kernel.problems import FieldMissing, Malformed
from services.runtime.rpc.access import caller
from services.runtime.rpc.survivors import survivors_from_wire
from services.runtime.rpc.wire import date_from_wire

E = TypeVar("E", bound=Enum)


def expense(request: benefits_pb2.GrantExpenseRequest) -> Expense:
    """A bill or a stay to reimburse."""
    if not request.kind:
        raise FieldMissing.of("kind")
    return Expense(
        kind=BenefitKind(request.kind),
        day=date_from_wire(request.expense_date, "expense_date"),
        allowed_cost=Fen(request.allowed_cost_fen),
        day_count=request.day_count,
        paid_by_third_party=Fen(request.paid_by_third_party_fen),
        device=request.device,
        bill=Bill(
            institution=request.institution.strip(),
            number=request.bill_number.strip(),
            document_hash=_document_hash(request.document_hash),
        ),
    )


def award_filter(request: benefits_pb2.ListAwardsRequest) -> AwardFilter:
    """Which awards to list."""
    return AwardFilter(
        claim=request.claim,
        worker=request.worker,
        kinds=tuple(_one_of(BenefitKind, kind, "kinds") for kind in request.kinds),
        states=tuple(_one_of(State, state, "states") for state in request.states),
        newest_first=request.newest_first,
    )


def life_event(request: benefits_pb2.RecordLifeEventRequest, now: datetime) -> LifeEvent:
    """A life event to record."""
    (claim_id,) = names.parse(request.claim, "claims", field="claim")
    return LifeEvent(
        id=id_from(caller().key, request.request_id, claim_id),
        claim=request.claim,
        worker="",
        state=_one_of(LifeState, request.state, "state"),
        day=date_from_wire(request.day, "day") if request.HasField("day") else None,
        cause=_one_of(CauseOfDeath, request.cause, "cause") if request.cause else None,
        hardship=request.hardship,
        survivors=survivors_from_wire(request.survivors),
        document_hash=_document_hash(request.document_hash),
        reason=request.reason.strip(),
        record_date=civil_day(now),
    )


def _one_of(kinds: type[E], number: int, field: str) -> E:
    try:
        return kinds(number)
    except ValueError:
        raise Malformed.choice(field, kinds) from None


def _document_hash(digest: bytes) -> bytes:
    if len(digest) not in {0, sha256().digest_size}:
        raise Malformed.of(
            "document_hash",
            "NOT_A_HASH",
            "give the 32 bytes of the SHA-256 of the document",
            "请提供文件的 SHA-256 (32 字节)",
        )
    return digest


def pooling_area_of(text: str) -> str:
    """A division code, or empty for all areas."""
    if text and not is_division(text):
        raise Malformed.of(
            "pooling_area",
            "NOT_A_DIVISION_CODE",
            "write the six digits of its division code",
            "请填写六位行政区划代码",
        )
    return text


def month_of_run(text: str) -> Month:
    """The month in the name of a run."""
    try:
        return Month.parse(text)
    except ValueError:
        raise Malformed.form("name", "paymentRuns/2025-07") from None
