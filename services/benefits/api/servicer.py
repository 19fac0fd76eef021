"""The RPCs of BenefitService: awards and their payment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2

from services.benefits.api import parse
from services.benefits.api.format import (
    award_history,
    instruction_message,
    life_event_message,
    recovery_message,
    run_message,
    run_total_message,
    whole_award,
)
from services.benefits.api.law_changes import LawChangeApi
from services.benefits.commands import awards, expenses, lives, payment_runs, pensions
from services.benefits.domain.problems import CaseNotConfirmed
from services.benefits.events import award_message
from services.benefits.store import awards as award_store
from services.benefits.store import bills as bill_store
from services.benefits.store import cases as case_store
from services.benefits.store import life_events as life_store
from services.benefits.store import payment_runs as run_store
from services.benefits.store import recoveries as recovery_store
from services.benefits.store import suspensions as suspension_store
from services.kernel import names
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.kernel.problems import NotFound
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    month_from_wire,
)
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction, seeing_everything

Work: TypeAlias = Callable[[Transaction], Awaitable[benefits_pb2.Award]]


class BenefitApi(LawChangeApi):
    """Grants awards and instructs their payment."""

    async def GetAward(
        self, request: benefits_pb2.GetAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """One award with the findings that explain each fen, and its history."""
        (award_id,) = names.parse(request.name, "awards")
        cipher = self._context.cipher

        async def work(tx: Transaction) -> benefits_pb2.Award:
            award = await award_store.find(tx, cipher, award_id)
            if award is None:
                raise NotFound(name=request.name)
            message = whole_award(award)
            bill = await bill_store.find(tx, cipher, award_id)
            reversal = await bill_store.find_reversal(tx, cipher, award_id)
            suspensions = await suspension_store.list_of_award(tx, cipher, award)
            award_history(message, bill, reversal, suspensions)
            return message

        return await read(self._context, work)

    async def ListAwards(
        self, request: benefits_pb2.ListAwardsRequest, context: Context
    ) -> benefits_pb2.ListAwardsResponse:
        """Awards of a claim or of all."""
        page = page_of(request, datetime if request.newest_first else str, str)
        chosen = parse.award_filter(request)

        async def work(tx: Transaction) -> benefits_pb2.ListAwardsResponse:
            rows = await award_store.list_awards(
                tx, self._context.cipher, chosen, page.after, page.size
            )
            count = await award_store.count_awards(tx, chosen) if request.count_all else 0
            return benefits_pb2.ListAwardsResponse(
                awards=[award_message(award) for award in rows],
                next_page_token=page.next_token(
                    rows,
                    lambda award: (
                        award.create_time if chosen.newest_first else award.claim,
                        award.id,
                    ),
                ),
                total_count=count,
            )

        return await read(self._context, work)

    async def GrantExpense(
        self, request: benefits_pb2.GrantExpenseRequest, context: Context
    ) -> benefits_pb2.Award:
        """Grant the reimbursement of a bill."""
        names.parse(request.claim, "claims", field="claim")
        expense = parse.expense(request)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            return whole_award(
                await expenses.grant_expense(
                    tx,
                    f"{caller().key}/{request.request_id}",
                    request.claim,
                    expense,
                    self._context.command(),
                )
            )

        return await self._change(request, self._on_case(request.claim, work))

    async def ReverseExpense(
        self, request: benefits_pb2.ReverseExpenseRequest, context: Context
    ) -> benefits_pb2.Award:
        """Reverse a reimbursement that was recorded by mistake."""
        (award_id,) = names.parse(request.name, "awards")
        code, reason = request.code, request.reason.strip()

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return whole_award(await expenses.reverse_expense(tx, award_id, code, reason, command))

        return await self._change(request, work)

    async def SuspendAward(
        self, request: benefits_pb2.SuspendAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """Stop payment while a condition is not met."""
        (award_id,) = names.parse(request.name, "awards")
        month = month_from_wire(request.first_month, "first_month")
        reason = request.reason.strip()

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return whole_award(await awards.suspend_award(tx, award_id, month, reason, command))

        return await self._change(request, self._on_award(award_id, work))

    async def ResumeAward(
        self, request: benefits_pb2.ResumeAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """Continue payment."""
        (award_id,) = names.parse(request.name, "awards")
        month = month_from_wire(request.first_month, "first_month")

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return whole_award(await awards.resume_award(tx, award_id, month, command))

        return await self._change(request, self._on_award(award_id, work))

    async def TerminateAward(
        self, request: benefits_pb2.TerminateAwardRequest, context: Context
    ) -> benefits_pb2.Award:
        """End an award after a last month."""
        (award_id,) = names.parse(request.name, "awards")
        month = month_from_wire(request.last_month, "last_month")
        reason = request.reason.strip()

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return whole_award(await awards.terminate_award(tx, award_id, month, reason, command))

        return await self._change(request, self._on_award(award_id, work))

    async def RecordPension(
        self, request: benefits_pb2.RecordPensionRequest, context: Context
    ) -> benefits_pb2.Award:
        """Record the basic pension that a worker receives."""
        names.parse(request.claim, "claims", field="claim")
        month = month_from_wire(request.first_month, "first_month")
        pension = Fen(request.pension_fen)

        async def work(tx: Transaction) -> benefits_pb2.Award:
            command = self._context.command()
            return whole_award(
                await pensions.record_pension(tx, request.claim, month, pension, command)
            )

        return await self._change(request, self._on_case(request.claim, work))

    async def RecordLifeEvent(
        self, request: benefits_pb2.RecordLifeEventRequest, context: Context
    ) -> benefits_pb2.LifeEvent:
        """Record that a worker has died, is missing, or is alive."""
        event = parse.life_event(request, self._context.clock.now())

        async def work(tx: Transaction) -> benefits_pb2.LifeEvent:
            if not await case_store.list_of_claim(tx, self._context.cipher, request.claim):
                raise CaseNotConfirmed(claim=request.claim)
            async with seeing_everything(tx):
                recorded = await lives.record_life_event(tx, event, self._context.command())
            return life_event_message(recorded)

        return await change(
            self._context,
            request,
            benefits_pb2.LifeEvent,
            work,
            resource=lambda recorded: recorded.name,
        )

    async def ListLifeEvents(
        self, request: benefits_pb2.ListLifeEventsRequest, context: Context
    ) -> benefits_pb2.ListLifeEventsResponse:
        """The life events on the claims of an accident."""
        names.parse(request.claim, "claims", field="claim")
        page = page_of(request, int)
        cipher = self._context.cipher

        async def work(tx: Transaction) -> benefits_pb2.ListLifeEventsResponse:
            rows = await life_store.list_of_claim(tx, cipher, request.claim, page.after, page.size)
            return benefits_pb2.ListLifeEventsResponse(
                life_events=[life_event_message(event) for _, event in rows],
                next_page_token=page.next_token(rows, lambda row: (row[0],)),
            )

        return await read(self._context, work)

    async def InstructPayments(
        self, request: benefits_pb2.InstructPaymentsRequest, context: Context
    ) -> benefits_pb2.PaymentRun:
        """Instruct all payments due up to a month, each once."""
        month = month_from_wire(request.month, "month")

        async def work(tx: Transaction) -> benefits_pb2.PaymentRun:
            command = self._context.command()
            return run_message(await payment_runs.instruct_payments(tx, month, command))

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
        month = parse.month_of_run(text)

        async def work(tx: Transaction) -> benefits_pb2.PaymentRun:
            run = await run_store.get(tx, month)
            if not run.parts:
                raise NotFound(name=request.name)
            return run_message(run)

        return await read(self._context, work)

    async def ListPaymentRuns(
        self, request: benefits_pb2.ListPaymentRunsRequest, context: Context
    ) -> benefits_pb2.ListPaymentRunsResponse:
        """The runs, newest month first."""
        page = page_of(request, Month)
        before = page.after[0] if page.after else None

        async def work(tx: Transaction) -> benefits_pb2.ListPaymentRunsResponse:
            runs = await run_store.list_runs(tx, before, page.size)
            return benefits_pb2.ListPaymentRunsResponse(
                payment_runs=[run_total_message(run) for run in runs],
                next_page_token=page.next_token(runs, lambda run: (run.month,)),
            )

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
                payment_instructions=[instruction_message(instruction) for instruction in rows],
                next_page_token=page.next_token(rows, lambda instruction: instruction.key),
            )

        return await read(self._context, work)

    async def ListRecoveries(
        self, request: benefits_pb2.ListRecoveriesRequest, context: Context
    ) -> benefits_pb2.ListRecoveriesResponse:
        """Money paid that was not due."""
        page = page_of(request, str, str)

        async def work(tx: Transaction) -> benefits_pb2.ListRecoveriesResponse:
            rows = await recovery_store.list_recoveries(
                tx, self._context.cipher, request.claim, page.after, page.size
            )
            return benefits_pb2.ListRecoveriesResponse(
                recoveries=[recovery_message(recovery) for recovery in rows],
                next_page_token=page.next_token(
                    rows, lambda recovery: (recovery.claim, recovery.id)
                ),
            )

        return await read(self._context, work)

    def _on_award(self, award_id: str, work: Work) -> Work:
        """A change of an award that the caller sees; it weighs all that the worker is paid."""

        async def seen(tx: Transaction) -> benefits_pb2.Award:
            if await award_store.find(tx, self._context.cipher, award_id) is None:
                raise NotFound(name=names.name("awards", award_id))
            async with seeing_everything(tx):
                return await work(tx)

        return seen

    def _on_case(self, claim: str, work: Work) -> Work:
        """A change of a case that the caller sees; it weighs all that the worker is paid."""

        async def seen(tx: Transaction) -> benefits_pb2.Award:
            if not await case_store.list_of_claim(tx, self._context.cipher, claim):
                raise CaseNotConfirmed(claim=claim)
            async with seeing_everything(tx):
                return await work(tx)

        return seen

    async def _change(self, request: Message, work: Work) -> benefits_pb2.Award:
        return await change(
            self._context, request, benefits_pb2.Award, work, resource=lambda award: award.name
        )
