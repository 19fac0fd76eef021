"""Domain values as messages."""

from __future__ import annotations

from oip.grading.v1 import grading_pb2

from services.grading.domain.appraisals import Appraisal, Injury, Service
from services.grading.domain.items import Item
from services.grading.domain.panels import Exclusion, Opinion, Specialist
from services.grading.domain.standard import Standard
from services.kernel import names
from services.kernel.phrases import Language
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire


def specialist_to_wire(specialist: Specialist) -> grading_pb2.Specialist:
    """A specialist of the pool."""
    message = grading_pb2.Specialist(
        name=specialist.name,
        field=specialist.field,
        provincial=specialist.provincial,
        member=specialist.member,
    )
    if specialist.term is not None:
        message.term_first_date.CopyFrom(date_to_wire(specialist.term.first_day))
        message.term_last_date.CopyFrom(date_to_wire(specialist.term.last_day))
    return message


def invitation_to_wire(injury: Injury) -> grading_pb2.Invitation:
    """An injury whose appraisal nobody has applied for."""
    message = grading_pb2.Invitation(claim=injury.claim, worker=injury.worker)
    if injury.accident_date is not None:
        message.accident_date.CopyFrom(date_to_wire(injury.accident_date))
    return message


def service_to_wire(service: Service) -> grading_pb2.Appraisal.Service:
    """A service of a conclusion."""
    return grading_pb2.Appraisal.Service(
        recipient=enum_number(service.recipient.value),
        means=enum_number(service.means.value),
        serve_date=date_to_wire(service.day),
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
                family=impairment.family,
                measurements=[
                    grading_pb2.Opinion.Measurement(name=name, value=value)
                    for name, value in impairment.measurements
                ],
            )
            for impairment in opinion.impairments
        ],
        care_items=[
            enum_number(number) for number in sorted(item.value for item in opinion.care_items)
        ],
    )


def exclusion_to_wire(exclusion: Exclusion) -> grading_pb2.Appraisal.Exclusion:
    """A specialist who may not sit on the panel, or of whom that is proposed."""
    return grading_pb2.Appraisal.Exclusion(
        specialist=exclusion.name,
        code=enum_number(exclusion.code.value),
    )


def appraisal_to_wire(appraisal: Appraisal) -> grading_pb2.Appraisal:
    """An appraisal without its panel, opinions, services, notes and findings."""
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
        applicant=enum_number(appraisal.applicant.value),
        application_date=date_to_wire(appraisal.application_date),
        conclusion_number=appraisal.conclusion_number,
        end_cause=enum_number(appraisal.cause.value if appraisal.cause else 0),
        erased=appraisal.erased,
    )
    for field, day in (
        (message.conclude_date, appraisal.conclude_date),
        (message.correct_date, appraisal.correct_date),
        (message.serve_due_date, appraisal.serve_due_date),
        (message.not_before_date, appraisal.not_before),
        (message.documents_date, appraisal.documents_date),
    ):
        if day is not None:
            field.CopyFrom(date_to_wire(day))
    return message


def item_to_wire(item: Item) -> grading_pb2.ImpairmentItem:
    """An item of the standard without the measures of its family."""
    return grading_pb2.ImpairmentItem(
        name=names.name("impairmentItems", item.number),
        number=item.number,
        grade=item.grade,
        clause=item.clause,
        label=item.label,
        label_zh=item.label_zh,
        kind=item.kind,
        regions=item.regions,
        family=item.family,
    )


def measured_item_to_wire(item: Item, standard: Standard) -> grading_pb2.ImpairmentItem:
    """An item of the standard with what is measured in its family."""
    message = item_to_wire(item)
    measures = standard.families[item.family].names if item.family else {}
    for name, measure in measures.items():
        form, form_zh = (measure.form.text(language) for language in Language)
        message.measures.add(
            name=name,
            label=measure.en,
            label_zh=measure.zh,
            form=form,
            form_zh=form_zh,
            required=measure.required,
        )
    return message
