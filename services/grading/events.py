"""Events of grading: domain values in, event messages out."""

from __future__ import annotations

from datetime import date

from oip.grading.v1 import events_pb2

from services.grading.domain.appraisals import Appraisal
from services.runtime.rpc.wire import date_to_wire, enum_number


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
    )
