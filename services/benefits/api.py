"""Entrance for RPC: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc

from services.benefits import commands, store
from services.benefits.domain.expenses import Expense
from services.benefits.domain.model import Award, BenefitKind
from services.benefits.domain.problems import NotAnExpense
from services.benefits.events import award_message, part_message
from services.benefits.store import HeldRecovery, Instruction, Run
from services.kernel import names
from services.kernel.money import total
from services.kernel.periods import Month
from services.kernel.problems import Malformed, NotFound
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
    next_token,
    page_of,
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
        (award,) = names.parse(request.name, "awards")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            held = await store.get_award(tx, award)
            if held is None:
                raise NotFound(name=request.name)
            return award_message(held, whole=True)

        return await read(self._context, work)

    async def ListAwards(
        self, request: benefits_pb2.ListAwardsRequest, context: Context
    ) -> benefits_pb2.ListAwardsResponse:
        """Awards of a claim or of all."""
        page = page_of(request)

        async def work(tx: Transaction) -> benefits_pb2.ListAwardsResponse:
            held = await store.list_awards(tx, request.claim, page.after, page.size)
            full = len(held) == page.size
            return benefits_pb2.ListAwardsResponse(
                awards=[award_message(one) for one in held],
                next_page_token=next_token([held[-1].claim, held[-1].award]) if full else "",
            )

        return await read(self._context, work)

    async def GrantExpense(
        self, request: benefits_pb2.GrantExpenseRequest, context: Context
    ) -> benefits_pb2.Award:
        """Grant the reimbursement of a bill."""
        names.parse(request.claim, "claims", field="claim")
        expense = _expense(request)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            now = self._context.clock.now()
            request_id, claim = request.request_id, request.claim
            return _whole(await commands.grant_expense(tx, request_id, claim, expense, now))

        return await self._change(request, work)

    async def SuspendAward(
        self, request: benefits_pb2.SuspendAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """Stop payment while a condition is not met."""
        (award,) = names.parse(request.name, "awards")
        month = month_from_wire(request.first_month, "first_month")
        reason = _reason(request.reason)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            now = self._context.clock.now()
            return _whole(await commands.suspend_award(tx, award, month, reason, now))

        return await self._change(request, work)

    async def ResumeAward(
        self, request: benefits_pb2.ResumeAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """Let payment go on."""
        (award,) = names.parse(request.name, "awards")
        month = month_from_wire(request.first_month, "first_month")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            now = self._context.clock.now()
            return _whole(await commands.resume_award(tx, award, month, now))

        return await self._change(request, work)

    async def TerminateAward(
        self, request: benefits_pb2.TerminateAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """End an award after a last month."""
        (award,) = names.parse(request.name, "awards")
        month = month_from_wire(request.last_month, "last_month")
        reason = _reason(request.reason)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            now = self._context.clock.now()
            return _whole(await commands.terminate_award(tx, award, month, reason, now))

        return await self._change(request, work)

    async def RecordPension(
        self, request: benefits_pb2.RecordPensionRequest, context: Context
    ) -> benefits_pb2.Award:
        """Record the basic pension that a worker receives."""
        names.parse(request.claim, "claims", field="claim")
        month = month_from_wire(request.first_month, "first_month")
        pension = fen_from_wire(request.pension_fen, "pension_fen")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            now = self._context.clock.now()
            return _whole(await commands.record_pension(tx, request.claim, month, pension, now))

        return await self._change(request, work)

    async def IndexAwards(
        self, request: benefits_pb2.IndexAwardsRequest, context: Context
    ) -> benefits_pb2.IndexAwardsResponse:
        """Bring awards up to the law as published."""
        if not 0 <= request.claim_count <= CLAIM_COUNT_MAX:
            raise Malformed.of("claim_count", f"give 0 to {CLAIM_COUNT_MAX:,} cases")
        claim_count = request.claim_count or CLAIM_COUNT

        async def work(tx: Transaction) -> benefits_pb2.IndexAwardsResponse:
            done = await commands.index_awards(tx, claim_count, self._context.clock.now())
            return benefits_pb2.IndexAwardsResponse(
                claim_count=done.claim_count,
                award_count=done.award_count,
                remaining_count=done.remaining_count,
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
            now = self._context.clock.now()
            return _run(await commands.instruct_payments(tx, month, now))

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
            run = await store.get_run(tx, month)
            if not run.parts:
                raise NotFound(name=request.name)
            return _run(run)

        return await read(self._context, work)

    async def ListPaymentInstructions(
        self, request: benefits_pb2.ListPaymentInstructionsRequest, context: Context
    ) -> benefits_pb2.ListPaymentInstructionsResponse:
        """The instructions of a month or of an award."""
        page = page_of(request)
        run_month = (
            month_from_wire(request.run_month, "run_month")
            if request.HasField("run_month")
            else None
        )
        award = names.parse(request.award, "awards", field="award")[0] if request.award else ""
        if page.after and not all(one.isascii() and one.isdigit() for one in page.after):
            raise Malformed.of("page_token", "send the token of the page before, unchanged")

        async def work(tx: Transaction) -> benefits_pb2.ListPaymentInstructionsResponse:
            held = await store.list_instructions(tx, run_month, award, page.after, page.size)
            full = len(held) == page.size
            return benefits_pb2.ListPaymentInstructionsResponse(
                payment_instructions=[_instruction(one) for one in held],
                next_page_token=next_token(held[-1].key) if full else "",
            )

        return await read(self._context, work)

    async def ListRecoveries(
        self, request: benefits_pb2.ListRecoveriesRequest, context: Context
    ) -> benefits_pb2.ListRecoveriesResponse:
        """Money paid that was not due."""
        page = page_of(request)

        async def work(tx: Transaction) -> benefits_pb2.ListRecoveriesResponse:
            held = await store.list_recoveries(tx, request.claim, page.after, page.size)
            full = len(held) == page.size
            last = held[-1].recovery if full else None
            return benefits_pb2.ListRecoveriesResponse(
                recoveries=[_recovery(one) for one in held],
                next_page_token=next_token([last.claim, last.recovery]) if last else "",
            )

        return await read(self._context, work)

    async def _change(self, request: Message, work: Work) -> benefits_pb2.Award:
        return await change(
            self._context, request, benefits_pb2.Award, work, resource=lambda award: award.name
        )


def _whole(award: Award) -> benefits_pb2.Award:
    return award_message(award, whole=True)


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
        raise Malformed.of("reason", f"say why, in 1 to {REASON_LENGTH_MAX} characters")
    return reason


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError:
        raise Malformed.of("name", "write it as paymentRuns/2025-07") from None


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


def _instruction(one: Instruction) -> benefits_pb2.PaymentInstruction:
    return benefits_pb2.PaymentInstruction(
        name=names.name("paymentInstructions", f"{one.award}-{one.month}"),
        award=names.name("awards", one.award),
        kind=enum_number(one.kind.value),
        month=month_to_wire(one.month),
        run_month=month_to_wire(one.run_month),
        amount_fen=fen_to_wire(one.amount),
        withheld_fen=fen_to_wire(one.withheld),
    )


def _recovery(held: HeldRecovery) -> benefits_pb2.Recovery:
    one = held.recovery
    return benefits_pb2.Recovery(
        name=names.name("recoveries", one.recovery),
        award=names.name("awards", one.award),
        claim=one.claim,
        beneficiary=one.beneficiary,
        amount_fen=fen_to_wire(one.amount),
        reason=one.reason,
        findings=findings_to_wire(one.findings),
        create_time=moment_to_wire(held.create_time),
    )
