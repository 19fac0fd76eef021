"""The RPCs of benefits: parse, open the transaction, call a command or a store, format."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc

from services.benefits.commands import awards, expenses, indexation, payment_runs, pensions
from services.benefits.domain.award import Award
from services.benefits.domain.expenses import Expense
from services.benefits.domain.kinds import BenefitKind
from services.benefits.domain.problems import NotAnExpense
from services.benefits.domain.recovery import Recovery
from services.benefits.events import award_message, part_message
from services.benefits.store import awards as award_store
from services.benefits.store import payment_runs as run_store
from services.benefits.store import recoveries as recovery_store
from services.benefits.store.payment_runs import Instruction, Run
from services.kernel import names
from services.kernel.money import total
from services.kernel.periods import Month
from services.kernel.problems import Malformed, NotFound
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    enum_number,
    fen_from_wire,
    fen_to_wire,
    findings_to_wire,
    moment_to_wire,
    month_from_wire,
    month_to_wire,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction

REASON_LENGTH_MAX = 500
BILL_NUMBER_LENGTH_MAX = 100
CLAIM_COUNT = 500
CLAIM_COUNT_MAX = 5_000

Work: TypeAlias = Callable[[Transaction], Awaitable[benefits_pb2.Award]]


class BenefitApi(benefits_pb2_grpc.BenefitServiceServicer):
    """Grants awards and instructs their payment."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def GetAward(
        self, request: benefits_pb2.GetAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """One award with the findings that explain each fen."""
        (award_id,) = names.parse(request.name, "awards")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            award = await award_store.find(tx, award_id)
            if award is None:
                raise NotFound(name=request.name)
            return _whole(award)

        return await read(self._context, work)

    async def ListAwards(
        self, request: benefits_pb2.ListAwardsRequest, context: Context
    ) -> benefits_pb2.ListAwardsResponse:
        """Awards of a claim or of all."""
        page = page_of(request, str, str)

        async def work(tx: Transaction) -> benefits_pb2.ListAwardsResponse:
            rows = await award_store.list_awards(tx, request.claim, page.after, page.size)
            return benefits_pb2.ListAwardsResponse(
                awards=[award_message(award) for award in rows],
                next_page_token=page.next_token(rows, lambda award: (award.claim, award.id)),
            )

        return await read(self._context, work)

    async def GrantExpense(
        self, request: benefits_pb2.GrantExpenseRequest, context: Context
    ) -> benefits_pb2.Award:
        """Grant the reimbursement of a bill."""
        names.parse(request.claim, "claims", field="claim")
        expense = _expense(request)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            return _whole(
                await expenses.grant_expense(
                    tx, request.request_id, request.claim, expense, self._context.command()
                )
            )

        return await self._change(request, work)

    async def SuspendAward(
        self, request: benefits_pb2.SuspendAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """Stop payment while a condition is not met."""
        (award_id,) = names.parse(request.name, "awards")
        month = month_from_wire(request.first_month, "first_month")
        reason = _reason(request.reason)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return _whole(await awards.suspend_award(tx, award_id, month, reason, command))

        return await self._change(request, work)

    async def ResumeAward(
        self, request: benefits_pb2.ResumeAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """Continue payment."""
        (award_id,) = names.parse(request.name, "awards")
        month = month_from_wire(request.first_month, "first_month")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return _whole(await awards.resume_award(tx, award_id, month, command))

        return await self._change(request, work)

    async def TerminateAward(
        self, request: benefits_pb2.TerminateAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """End an award after a last month."""
        (award_id,) = names.parse(request.name, "awards")
        month = month_from_wire(request.last_month, "last_month")
        reason = _reason(request.reason)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return _whole(await awards.terminate_award(tx, award_id, month, reason, command))

        return await self._change(request, work)

    async def RecordPension(
        self, request: benefits_pb2.RecordPensionRequest, context: Context
    ) -> benefits_pb2.Award:
        """Record the basic pension that a worker receives."""
        names.parse(request.claim, "claims", field="claim")
        month = month_from_wire(request.first_month, "first_month")
        pension = fen_from_wire(request.pension_fen, "pension_fen")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return _whole(await pensions.record_pension(tx, request.claim, month, pension, command))

        return await self._change(request, work)

    async def IndexAwards(
        self, request: benefits_pb2.IndexAwardsRequest, context: Context
    ) -> benefits_pb2.IndexAwardsResponse:
        """Bring awards up to the law as published."""
        if not 0 <= request.claim_count <= CLAIM_COUNT_MAX:
            raise Malformed.of("claim_count", f"give 0 to {CLAIM_COUNT_MAX:,} cases")
        claim_count = request.claim_count or CLAIM_COUNT

        async def work(tx: Transaction) -> benefits_pb2.IndexAwardsResponse:
            result = await indexation.index_awards(tx, claim_count, self._context.command())
            return benefits_pb2.IndexAwardsResponse(
                claim_count=result.claim_count,
                award_count=result.award_count,
                remaining_count=result.remaining_count,
            )

        return await change(
            self._context, request, benefits_pb2.IndexAwardsResponse, work, resource="awards"
        )

    async def InstructPayments(
        self, request: benefits_pb2.InstructPaymentsRequest, context: Context
    ) -> benefits_pb2.PaymentRun:
        """Instruct all payments due up to a month, each once."""
        month = month_from_wire(request.month, "month")

        async def work(tx: Transaction) -> benefits_pb2.PaymentRun:
            command = self._context.command()
            return _run(await payment_runs.instruct_payments(tx, month, command))

        return await change(
            self._context,
            request,
            benefits_pb2.PaymentRun,
            work,
            resource=names.name("paymentRuns", str(month)),
        )

    async def GetPaymentRun(
        self, request: benefits_pb2.GetPaymentRunRequest, context: Context
    ) -> benefits_pb2.PaymentRun:
        """One month's run."""
        (text,) = names.parse(request.name, "paymentRuns")
        month = _month(text)

        async def work(tx: Transaction) -> benefits_pb2.PaymentRun:
            run = await run_store.get(tx, month)
            if not run.parts:
                raise NotFound(name=request.name)
            return _run(run)

        return await read(self._context, work)

    async def ListPaymentInstructions(
        self, request: benefits_pb2.ListPaymentInstructionsRequest, context: Context
    ) -> benefits_pb2.ListPaymentInstructionsResponse:
        """The instructions of a month or of an award."""
        page = page_of(request, int, Month)
        run_month = (
            month_from_wire(request.run_month, "run_month")
            if request.HasField("run_month")
            else None
        )
        award = names.parse(request.award, "awards", field="award")[0] if request.award else ""

        async def work(tx: Transaction) -> benefits_pb2.ListPaymentInstructionsResponse:
            rows = await run_store.list_instructions(tx, run_month, award, page.after, page.size)
            return benefits_pb2.ListPaymentInstructionsResponse(
                payment_instructions=[_instruction(instruction) for instruction in rows],
                next_page_token=page.next_token(rows, lambda instruction: instruction.key),
            )

        return await read(self._context, work)

    async def ListRecoveries(
        self, request: benefits_pb2.ListRecoveriesRequest, context: Context
    ) -> benefits_pb2.ListRecoveriesResponse:
        """Money paid that was not due."""
        page = page_of(request, str, str)

        async def work(tx: Transaction) -> benefits_pb2.ListRecoveriesResponse:
            rows = await recovery_store.list_recoveries(tx, request.claim, page.after, page.size)
            return benefits_pb2.ListRecoveriesResponse(
                recoveries=[_recovery(recovery) for recovery in rows],
                next_page_token=page.next_token(
                    rows, lambda recovery: (recovery.claim, recovery.id)
                ),
            )

        return await read(self._context, work)

    async def _change(self, request: Message, work: Work) -> benefits_pb2.Award:
        return await change(
            self._context, request, benefits_pb2.Award, work, resource=lambda award: award.name
        )


def _expense(request: benefits_pb2.GrantExpenseRequest) -> Expense:
    if not request.kind:
        raise NotAnExpense(field="kind", kind="a benefit without a kind")
    return Expense(
        kind=BenefitKind(request.kind),
        day=date_from_wire(request.expense_date, "expense_date"),
        allowed_cost=fen_from_wire(request.allowed_cost_fen, "allowed_cost_fen"),
        day_count=request.day_count,
        paid_by_third_party=fen_from_wire(
            request.paid_by_third_party_fen, "paid_by_third_party_fen"
        ),
        device=request.device,
        bill_number=_bill_number(request.bill_number),
    )


def _bill_number(text: str) -> str:
    number = text.strip()
    if len(number) > BILL_NUMBER_LENGTH_MAX:
        raise Malformed.of("bill_number", f"write at most {BILL_NUMBER_LENGTH_MAX} characters")
    return number


def _reason(text: str) -> str:
    reason = text.strip()
    if not 1 <= len(reason) <= REASON_LENGTH_MAX:
        raise Malformed.of("reason", f"give the reason, in 1 to {REASON_LENGTH_MAX} characters")
    return reason


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise Malformed.of("name", "write it as paymentRuns/2025-07") from None


def _whole(award: Award) -> benefits_pb2.Award:
    return award_message(award, whole=True)


def _run(run: Run) -> benefits_pb2.PaymentRun:
    message = benefits_pb2.PaymentRun(
        name=run.name,
        payment_count=sum(part.payment_count for part in run.parts),
        sum_fen=fen_to_wire(total(part.amount for part in run.parts)),
        parts=[part_message(part) for part in run.parts],
    )
    if run.update_time is not None:
        message.update_time.CopyFrom(moment_to_wire(run.update_time))
    return message


def _instruction(instruction: Instruction) -> benefits_pb2.PaymentInstruction:
    return benefits_pb2.PaymentInstruction(
        name=names.name("paymentInstructions", f"{instruction.award}-{instruction.month}"),
        award=names.name("awards", instruction.award),
        kind=enum_number(instruction.kind.value),
        month=month_to_wire(instruction.month),
        run_month=month_to_wire(instruction.run_month),
        amount_fen=fen_to_wire(instruction.amount),
        withheld_fen=fen_to_wire(instruction.withheld),
    )


def _recovery(recovery: Recovery) -> benefits_pb2.Recovery:
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
