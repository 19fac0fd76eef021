"""Answers of benefits from domain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from oip.benefits.v1 import benefits_pb2

from services.benefits.domain.award import Award
from services.benefits.domain.bills import Bill, Reversal
from services.benefits.domain.life import LifeEvent
from services.benefits.domain.recovery import Recovery
from services.benefits.domain.true_ups import TrueUp
from services.benefits.events import award_message, part_message
from services.benefits.store.payment_runs import Instruction, Run, RunTotal
from services.benefits.store.suspensions import StoredSuspension
from services.kernel import names
from services.kernel.lawbook import Law
from services.kernel.money import total
from services.runtime.rpc.survivors import survivor_to_wire
from services.runtime.rpc.wire import (
    date_to_wire,
    enum_number,
    fen_to_wire,
    findings_to_wire,
    moment_to_wire,
    month_to_wire,
    versions_to_wire,
)


def whole_award(award: Award) -> benefits_pb2.Award:
    """An award with the findings and rates that explain it."""
    return award_message(award, whole=True)


def award_history(
    message: benefits_pb2.Award,
    bill: Bill | None,
    reversal: Reversal | None,
    suspensions: Sequence[StoredSuspension],
) -> None:
    """Add to an award what it reimburses, its reversal and its suspensions."""
    if bill is not None:
        message.bill.institution, message.bill.number = bill.institution, bill.number
        message.bill.document_hash = bill.document_hash
    if reversal is not None:
        message.reversal.code = enum_number(reversal.code)
        message.reversal.reason, message.reversal.member = reversal.reason, reversal.member
        message.reversal.create_time.CopyFrom(moment_to_wire(reversal.create_time))
    for suspension in suspensions:
        row = message.suspensions.add(
            first_month=month_to_wire(suspension.first_month), reason=suspension.reason
        )
        if suspension.resume_month is not None:
            row.resume_month.CopyFrom(month_to_wire(suspension.resume_month))


def run_message(run: Run) -> benefits_pb2.PaymentRun:
    """A month's run in totals."""
    message = benefits_pb2.PaymentRun(
        name=run.name,
        payment_count=sum(part.payment_count for part in run.parts),
        sum_fen=fen_to_wire(total(part.amount for part in run.parts)),
        parts=[part_message(part) for part in run.parts],
    )
    if run.update_time is not None:
        message.update_time.CopyFrom(moment_to_wire(run.update_time))
    return message


def run_total_message(run: RunTotal) -> benefits_pb2.PaymentRun:
    """A run without its parts."""
    return benefits_pb2.PaymentRun(
        name=run.name,
        payment_count=run.payment_count,
        sum_fen=fen_to_wire(run.amount),
        update_time=moment_to_wire(run.update_time),
    )


def instruction_message(instruction: Instruction) -> benefits_pb2.PaymentInstruction:
    """An instruction to pay."""
    return benefits_pb2.PaymentInstruction(
        name=names.name("paymentInstructions", f"{instruction.award}-{instruction.month}"),
        award=names.name("awards", instruction.award),
        kind=enum_number(instruction.kind.value),
        month=month_to_wire(instruction.month),
        run_month=month_to_wire(instruction.run_month),
        amount_fen=fen_to_wire(instruction.amount),
        withheld_fen=fen_to_wire(instruction.withheld),
    )


def recovery_message(recovery: Recovery) -> benefits_pb2.Recovery:
    """Money to be given back."""
    message = benefits_pb2.Recovery(
        name=names.name("recoveries", recovery.id),
        award=names.name("awards", recovery.award),
        claim=recovery.claim,
        beneficiary=recovery.beneficiary,
        amount_fen=fen_to_wire(recovery.amount),
        reason=recovery.reason,
        findings=findings_to_wire(recovery.findings),
    )
    if recovery.create_time is not None:
        message.create_time.CopyFrom(moment_to_wire(recovery.create_time))
    return message


def true_up_message(true_up: TrueUp) -> benefits_pb2.TrueUp:
    """What published figures changed about one award; a preview has no name."""
    message = benefits_pb2.TrueUp(
        award=names.name("awards", true_up.award),
        claim=true_up.claim,
        kind=enum_number(true_up.kind.value),
        pooling_area=true_up.pooling_area,
        month=month_to_wire(true_up.month),
        before_fen=fen_to_wire(true_up.before),
        after_fen=fen_to_wire(true_up.after),
        difference_fen=fen_to_wire(true_up.difference),
        figures=versions_to_wire(true_up.figures),
        final=true_up.is_final,
        member=true_up.member,
    )
    if true_up.create_time is not None:
        message.name = true_up.name
        message.create_time.CopyFrom(moment_to_wire(true_up.create_time))
    return message


def provisional_award_message(
    award: Award, preview: TrueUp | None, law: Law, today: date
) -> benefits_pb2.ListProvisionalAwardsResponse.Row:
    """A provisional award, which of its figures are published, and what a true-up would change."""
    row = benefits_pb2.ListProvisionalAwardsResponse.Row(award=award_message(award))
    for message, figure in zip(row.award.awaited_figures, award.awaits, strict=True):
        message.published = figure.is_published(law, today)
    if preview is not None:
        row.true_up.CopyFrom(true_up_message(preview))
    return row


def life_event_message(event: LifeEvent) -> benefits_pb2.LifeEvent:
    """A life event with its findings."""
    message = benefits_pb2.LifeEvent(
        name=event.name,
        claim=event.claim,
        state=enum_number(event.state.value),
        cause=enum_number(event.cause.value if event.cause else 0),
        hardship=event.hardship,
        survivors=[survivor_to_wire(survivor) for survivor in event.survivors],
        document_hash=event.document_hash,
        reason=event.reason,
        member=event.member,
        findings=findings_to_wire(event.findings),
    )
    if event.day is not None:
        message.day.CopyFrom(date_to_wire(event.day))
    if event.create_time is not None:
        message.create_time.CopyFrom(moment_to_wire(event.create_time))
    return message
