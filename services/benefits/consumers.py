"""The events that benefits consumes, with the command for each."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import events_pb2 as grading_events

from services.benefits.commands import cases
from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {
    claims_events.ClaimDetermined: cases.on_claim_determined,
    claims_events.ClaimsMerged: cases.on_claims_merged,
    claims_events.DeterminationRevoked: cases.on_determination_revoked,
    grading_events.AppraisalConcluded: cases.on_appraisal_concluded,
    grading_events.AppraisalEnded: cases.on_appraisal_ended,
    grading_events.AppraisalResumed: cases.on_appraisal_resumed,
    grading_events.AppraisalRevoked: cases.on_appraisal_revoked,
}
