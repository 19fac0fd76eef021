"""Events of grading: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from google.protobuf.message import Message
from oip.grading.v1 import events_pb2
from oip.type.v1 import type_pb2

from services.grading.domain.appraisals import Appraisal
from services.runtime.rpc.wire import date_to_wire, enum_number
from services.runtime.service.context import Guard
from services.runtime.storage.erasures import Erasure


def _concluded(event: events_pb2.AppraisalConcluded) -> str:
    return f"{event.appraisal} of {event.claim}, revision {event.revision}: concluded"


def _revoked(event: events_pb2.AppraisalRevoked) -> str:
    return f"{event.appraisal} of {event.claim}, revision {event.revision}: revoked"


# Lost in a restore, a conclusion keeps the same claim from being concluded otherwise.
GUARDS: Mapping[type[Message], Guard] = {
    events_pb2.AppraisalConcluded: Guard("claim", _concluded),
    events_pb2.AppraisalRevoked: Guard("claim", _revoked),
}


def appraisal_concluded(appraisal: Appraisal) -> events_pb2.AppraisalConcluded:
    """An appraisal was concluded."""
    assert appraisal.conclude_date is not None
    assert appraisal.care_dependence is not None
    return events_pb2.AppraisalConcluded(
        appraisal=appraisal.name,
        revision=appraisal.revision,
        claim=appraisal.claim,
        level=enum_number(appraisal.level.value),
        grade=appraisal.grade,
        care_dependence=enum_number(appraisal.care_dependence.value),
        conclude_date=date_to_wire(appraisal.conclude_date),
    )


def appraisal_ended(appraisal: Appraisal, day: date) -> events_pb2.AppraisalEnded:
    """An appraisal ended on a day without a conclusion."""
    assert appraisal.cause is not None
    return events_pb2.AppraisalEnded(
        appraisal=appraisal.name,
        revision=appraisal.revision,
        claim=appraisal.claim,
        cause=enum_number(appraisal.cause.value),
        end_date=date_to_wire(day),
        level=enum_number(appraisal.level.value),
        applicant=enum_number(appraisal.applicant.value),
    )


def appraisal_resumed(appraisal: Appraisal) -> events_pb2.AppraisalResumed:
    """An appraisal that had ended goes on."""
    return events_pb2.AppraisalResumed(
        appraisal=appraisal.name, revision=appraisal.revision, claim=appraisal.claim
    )


def appraisal_revoked(appraisal: Appraisal, day: date) -> events_pb2.AppraisalRevoked:
    """A conclusion was revoked on a day."""
    return events_pb2.AppraisalRevoked(
        appraisal=appraisal.name,
        revision=appraisal.revision,
        claim=appraisal.claim,
        revoke_date=date_to_wire(day),
    )


def data_key_erased(key: str) -> events_pb2.DataKeyErased:
    """The data key of an erased person was destroyed."""
    return events_pb2.DataKeyErased(key=key)


def worker_erased(erasure: Erasure) -> events_pb2.WorkerErased:
    """A worker was erased here."""
    return events_pb2.WorkerErased(
        worker=erasure.name,
        code=enum_number(erasure.code),
        document_number=erasure.document_number,
        document_hash=erasure.document_hash,
    )


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
