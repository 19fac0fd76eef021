"""Entrance for events: what grading hears of claims."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.message import Message
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events

from services.grading import commands
from services.grading.domain.appraisal import Injury
from services.runtime.rpc.wire import date_from_wire
from services.runtime.service.context import Handler
from services.runtime.storage.database import Transaction


async def _claim_determined(
    tx: Transaction, event: claim_events.ClaimDetermined, now: datetime
) -> None:
    confirmed = event.outcome == claims_pb2.Determination.CONFIRMED
    injury = Injury(
        claim=event.claim,
        revision=event.revision,
        appraisable=confirmed and event.disability_expected and not event.HasField("death_date"),
        accident_date=date_from_wire(event.accident_date, "accident_date")
        if event.HasField("accident_date")
        else None,
        pooling_area=event.pooling_area,
    )
    await commands.hear_determination(tx, injury, now)


async def _determination_revoked(
    tx: Transaction, event: claim_events.DeterminationRevoked, now: datetime
) -> None:
    await commands.hear_revocation(tx, event.claim, event.revision, now)


HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {
    "claims": {
        claim_events.ClaimDetermined: _claim_determined,
        claim_events.DeterminationRevoked: _determination_revoked,
    }
}
