"""The events of benefits: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2, events_pb2
from oip.type.v1 import type_pb2

from services.benefits.domain.award import Award
from services.benefits.domain.payments import Part
from services.kernel import names
from services.kernel.periods import Month
from services.runtime.rpc.wire import (
    date_to_wire,
    enum_number,
    fen_to_wire,
    findings_to_wire,
    moment_to_wire,
    month_to_wire,
)
from services.runtime.service.context import Guard


def _instructed(event: events_pb2.PaymentInstructed) -> str:
    part = event.part
    kind = benefits_pb2.BenefitKind.Name(part.kind)
    return (
        f"{event.payment_run}, addition {event.revision}: {part.payment_count} payments {kind}"
        f" in {part.pooling_area}, {part.sum_fen} fen"
    )


# Lost in a restore, these keep other payments from being instructed.
GUARDS: Mapping[type[Message], Guard] = {events_pb2.PaymentInstructed: Guard("", _instructed)}


def award_granted(award: Award) -> events_pb2.AwardGranted:
    """An award was granted or changed; the event leaves its findings out."""
    return events_pb2.AwardGranted(award=award_message(award))


def payment_instructed(
    month: Month, revision: int, part: Part, accounting_month: Month
) -> events_pb2.PaymentInstructed:
    """Payments were instructed for one pooling area, industry and kind."""
    return events_pb2.PaymentInstructed(
        payment_run=names.name("paymentRuns", str(month)),
        revision=revision,
        month=month_to_wire(month),
        part=part_message(part),
        accounting_month=month_to_wire(accounting_month),
    )


def award_message(award: Award, *, whole: bool = False) -> benefits_pb2.Award:
    """An award; `whole` with the findings and rates that explain it."""
    message = benefits_pb2.Award(
        name=award.name,
        claim=award.claim,
        kind=enum_number(award.kind.value),
        state=enum_number(award.state.value),
        beneficiary=award.beneficiary,
        periodic=award.periodic,
        amount_fen=fen_to_wire(award.amount),
        first_month=month_to_wire(award.first_month),
        pooling_area=award.pooling_area,
        industry=enum_number(award.industry),
        event_date=date_to_wire(award.event_date),
        revision=award.revision,
        provisional=award.provisional,
        adjusts=names.name("awards", award.adjusts) if award.adjusts else "",
        worker=award.worker,
        accident=award.accident,
        merged_into=names.name("awards", award.merged_into) if award.merged_into else "",
        reversed=award.is_reversed,
        awaited_figures=[
            benefits_pb2.AwaitedFigure(
                parameter=figure.parameter,
                place=figure.place,
                day=date_to_wire(figure.day),
                stand_in=figure.stand_in,
            )
            for figure in award.awaits
        ],
        erased=award.is_erased,
    )
    if award.last_month is not None:
        message.last_month.CopyFrom(month_to_wire(award.last_month))
    if award.create_time is not None:
        message.create_time.CopyFrom(moment_to_wire(award.create_time))
    if whole:
        message.findings.extend(findings_to_wire(award.findings))
        message.rates.extend(
            benefits_pb2.Award.Rate(
                since_month=month_to_wire(segment.since),
                amount_fen=fen_to_wire(segment.amount),
                reason=segment.reason,
            )
            for segment in award.segments
        )
    return message


def part_message(part: Part) -> benefits_pb2.PaymentRun.Part:
    """The total of one pooling area, industry and kind."""
    return benefits_pb2.PaymentRun.Part(
        pooling_area=part.pooling_area,
        industry=enum_number(part.industry),
        kind=enum_number(part.kind.value),
        payment_count=part.payment_count,
        sum_fen=fen_to_wire(part.amount),
    )


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
