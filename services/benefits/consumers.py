"""Entrance for messages: determinations from claims, conclusions from grading."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import events_pb2 as grading_events

from services.benefits import commands
from services.benefits.domain.model import (
    CareDependence,
    Case,
    CaseState,
    Conclusion,
    Level,
    Relation,
    Survivor,
)
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import Handler
from services.runtime.storage.database import Transaction


async def claim_determined(
    tx: Transaction, event: claims_events.ClaimDetermined, now: datetime
) -> None:
    """Grant what follows from a determination."""
    confirmed = event.outcome == claims_pb2.Determination.CONFIRMED
    case = Case(
        claim=event.claim,
        state=CaseState.CONFIRMED if confirmed else CaseState.REFUSED,
        pooling_area=event.pooling_area,
        industry=int(event.industry),
        accident_date=date_from_wire(event.accident_date, "accident_date"),
        determine_date=date_from_wire(event.determine_date, "determine_date"),
        death_date=date_from_wire(event.death_date, "death_date")
        if event.HasField("death_date")
        else None,
        survivors=tuple(_survivor(one) for one in event.survivors),
    )
    await commands.record_determination(tx, case, event.revision, event.worker, now)


async def determination_revoked(
    tx: Transaction, event: claims_events.DeterminationRevoked, now: datetime
) -> None:
    """End what a withdrawn determination had given."""
    await commands.record_revocation(tx, event.claim, event.revision, now)


async def appraisal_concluded(
    tx: Transaction, event: grading_events.AppraisalConcluded, now: datetime
) -> None:
    """Grant what follows from a grade and from dependence on care."""
    conclusion = Conclusion(
        appraisal=event.appraisal,
        level=Level(event.level),
        grade=event.grade,
        care=CareDependence(event.care_dependence or CareDependence.NONE.value),
        conclude_date=date_from_wire(event.conclude_date, "conclude_date"),
    )
    await commands.record_conclusion(tx, event.claim, conclusion, event.revision, now)


def _survivor(message: claims_pb2.Survivor) -> Survivor:
    return Survivor(
        survivor_id=message.survivor_id,
        relation=Relation(message.relation),
        birth_date=date_from_wire(message.birth_date, "birth_date")
        if message.HasField("birth_date")
        else None,
        male=message.male,
        totally_disabled=message.totally_disabled,
        alone=message.alone,
    )


HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {
    "claims": {
        claims_events.ClaimDetermined: claim_determined,
        claims_events.DeterminationRevoked: determination_revoked,
    },
    "grading": {grading_events.AppraisalConcluded: appraisal_concluded},
}
