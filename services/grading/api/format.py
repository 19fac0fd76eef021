"""Domain values as messages."""

from __future__ import annotations

from oip.grading.v1 import grading_pb2

from services.grading.domain.appraisals import Appraisal
from services.grading.domain.panels import Opinion, Specialist
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire


def specialist_to_wire(specialist: Specialist) -> grading_pb2.Specialist:
    """A specialist of the pool."""
    return grading_pb2.Specialist(
        name=specialist.name, field=specialist.field, provincial=specialist.provincial
    )


def opinion_to_wire(opinion: Opinion) -> grading_pb2.Opinion:
    """The opinion of one member."""
    return grading_pb2.Opinion(
        specialist=opinion.specialist,
        impairments=[
            grading_pb2.Opinion.Impairment(
                item=impairment.item,
                pre_existing=impairment.pre_existing,
                worsened=impairment.worsened,
                grade_of_injury_alone=impairment.grade_of_injury_alone,
                measure=impairment.measure,
            )
            for impairment in opinion.impairments
        ],
        care_items=[
            enum_number(number) for number in sorted(item.value for item in opinion.care_items)
        ],
    )


def appraisal_to_wire(appraisal: Appraisal) -> grading_pb2.Appraisal:
    """An appraisal without its panel, opinions and findings."""
    care = appraisal.care_dependence
    message = grading_pb2.Appraisal(
        name=appraisal.name,
        claim=appraisal.claim,
        level=enum_number(appraisal.level.value),
        state=enum_number(appraisal.state.value),
        grade=appraisal.grade,
        care_dependence=enum_number(care.value if care else 0),
        due_date=date_to_wire(appraisal.due_date),
        create_time=moment_to_wire(appraisal.create_time),
        revision=appraisal.revision,
        absence_count=appraisal.absence_count,
        previous=appraisal.previous,
        extended=appraisal.extended,
    )
    if appraisal.conclude_date is not None:
        message.conclude_date.CopyFrom(date_to_wire(appraisal.conclude_date))
    if appraisal.not_before is not None:
        message.not_before_date.CopyFrom(date_to_wire(appraisal.not_before))
    return message
