"""The events that grading consumes."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.claims.v1 import events_pb2 as claim_events

from services.grading.commands import appraisals
from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {
    claim_events.ClaimDetermined: appraisals.on_claim_determined,
    claim_events.DeterminationRevoked: appraisals.on_determination_revoked,
    claim_events.ClaimsMerged: appraisals.on_claims_merged,
}
