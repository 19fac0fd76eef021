"""The RPCs of grading."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import date

from google.protobuf.message import Message
from oip.grading.v1 import grading_pb2, grading_pb2_grpc

from services.grading.api import parse
from services.grading.api.format import appraisal_to_wire, opinion_to_wire, specialist_to_wire
from services.grading.commands import appraisals, conclusions, panels
from services.grading.domain.appraisals import Appraisal
from services.grading.store import appraisals as appraisal_store
from services.grading.store import panels as panel_store
from services.grading.store import specialists as specialist_store
from services.kernel import names
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import Context, date_from_wire, findings_to_wire
from services.runtime.service.context import CommandContext, ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class GradingApi(grading_pb2_grpc.GradingServiceServicer):
    """Appraises the lasting harm of an injury."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._random = secrets.SystemRandom()

    async def RegisterSpecialist(
        self, request: grading_pb2.RegisterSpecialistRequest, context: Context
    ) -> grading_pb2.Specialist:
        """Add a specialist to the pool."""
        number = parse.text_of(request.specialist_number, "specialist_number", parse.CODE_MAX)
        field = parse.text_of(request.field, "field", parse.CODE_MAX)
        command = self._context.command()

        async def work(tx: Transaction) -> grading_pb2.Specialist:
            specialist = await panels.register_specialist(
                tx, number, field, command, provincial=request.provincial
            )
            return specialist_to_wire(specialist)

        return await change(
            self._context,
            request,
            grading_pb2.Specialist,
            work,
            resource=lambda answer: answer.name,
        )

    async def ListSpecialists(
        self, request: grading_pb2.ListSpecialistsRequest, context: Context
    ) -> grading_pb2.ListSpecialistsResponse:
        """The pool, by number."""
        page = page_of(request, str)
        (after,) = page.after or ("",)

        async def work(tx: Transaction) -> grading_pb2.ListSpecialistsResponse:
            pool = await specialist_store.list_by_number(tx, after, page.size)
            return grading_pb2.ListSpecialistsResponse(
                specialists=[specialist_to_wire(specialist) for specialist in pool],
                next_page_token=page.next_token(pool, lambda specialist: (specialist.number,)),
            )

        return await read(self._context, work)

    async def GetAppraisal(
        self, request: grading_pb2.GetAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """One appraisal."""
        appraisal_id = parse.appraisal_id_of(request.name)

        async def work(tx: Transaction) -> grading_pb2.Appraisal:
            return await self._complete(tx, await appraisal_store.get(tx, appraisal_id))

        return await read(self._context, work)

    async def ListAppraisals(
        self, request: grading_pb2.ListAppraisalsRequest, context: Context
    ) -> grading_pb2.ListAppraisalsResponse:
        """Appraisals by due date."""
        if request.claim:
            names.parse(request.claim, "claims", field="claim")
        states = parse.states_of(request.states)
        page = page_of(request, date, str)

        async def work(tx: Transaction) -> grading_pb2.ListAppraisalsResponse:
            listed_appraisals = await appraisal_store.list_by_due_date(
                tx, states, request.claim, page.after, page.size
            )
            return grading_pb2.ListAppraisalsResponse(
                appraisals=[appraisal_to_wire(appraisal) for appraisal in listed_appraisals],
                next_page_token=page.next_token(
                    listed_appraisals, lambda appraisal: (appraisal.due_date, appraisal.id)
                ),
            )

        return await read(self._context, work)

    async def DrawPanel(
        self, request: grading_pb2.DrawPanelRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Draw a panel at random."""
        appraisal_id = parse.appraisal_id_of(request.name)
        excluded = parse.excluded_of(request.excluded_specialists)
        return await self._change(
            request,
            lambda tx, command: panels.draw_panel(
                tx,
                appraisal_id,
                command,
                size=request.panel_size,
                excluded=excluded,
                random=self._random,
            ),
        )

    async def RecordOpinion(
        self, request: grading_pb2.RecordOpinionRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record one specialist's opinion."""
        appraisal_id = parse.appraisal_id_of(request.name)
        opinion = parse.opinion_of(request.opinion)
        return await self._change(
            request,
            lambda tx, command: panels.record_opinion(tx, appraisal_id, opinion, command),
        )

    async def ConcludeAppraisal(
        self, request: grading_pb2.ConcludeAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Conclude on the panel's opinions."""
        appraisal_id = parse.appraisal_id_of(request.name)
        return await self._change(
            request,
            lambda tx, command: conclusions.conclude_appraisal(
                tx, appraisal_id, request.revision, command
            ),
        )

    async def DeferAppraisal(
        self, request: grading_pb2.DeferAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Wait until the condition is stable."""
        appraisal_id = parse.appraisal_id_of(request.name)
        until = date_from_wire(request.until_date, "until_date")
        note = parse.text_of(request.reason, "reason")
        kind = parse.injury_kind_of(request.injury_kind)
        return await self._change(
            request,
            lambda tx, command: appraisals.defer_appraisal(
                tx, appraisal_id, command, until=until, kind=kind, note=note
            ),
        )

    async def ExtendAppraisal(
        self, request: grading_pb2.ExtendAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Extend the time limit of a complex case."""
        appraisal_id = parse.appraisal_id_of(request.name)
        note = parse.text_of(request.reason, "reason")
        return await self._change(
            request,
            lambda tx, command: appraisals.extend_appraisal(tx, appraisal_id, note, command),
        )

    async def RecordAbsence(
        self, request: grading_pb2.RecordAbsenceRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record that the worker missed an examination."""
        appraisal_id = parse.appraisal_id_of(request.name)
        examination = date_from_wire(request.examination_date, "examination_date")
        return await self._change(
            request,
            lambda tx, command: appraisals.record_absence(
                tx, appraisal_id, examination, command, excused=request.excused
            ),
        )

    async def OpenAppraisal(
        self, request: grading_pb2.OpenAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Open a re-appraisal or a review."""
        previous_id = parse.appraisal_id_of(request.previous, "previous")
        level = parse.level_of(request.level)
        application_date = parse.application_date_of(request, self._context.command().today)
        receive_date = parse.receive_date_of(request)
        appraisal_id = names.id_from(request.request_id, "appraisal")
        return await self._change(
            request,
            lambda tx, command: appraisals.open_appraisal(
                tx,
                appraisal_id,
                command,
                previous_id=previous_id,
                level=level,
                application_date=application_date,
                receive_date=receive_date,
            ),
        )

    async def _change(
        self,
        request: Message,
        command: Callable[[Transaction, CommandContext], Awaitable[Appraisal]],
    ) -> grading_pb2.Appraisal:
        """Run a command on one appraisal; the answer is the appraisal after it."""
        command_context = self._context.command()

        async def work(tx: Transaction) -> grading_pb2.Appraisal:
            return await self._complete(tx, await command(tx, command_context))

        return await change(
            self._context,
            request,
            grading_pb2.Appraisal,
            work,
            resource=lambda answer: answer.name,
        )

    async def _complete(self, tx: Transaction, appraisal: Appraisal) -> grading_pb2.Appraisal:
        """An appraisal with its panel, opinions and findings."""
        message = appraisal_to_wire(appraisal)
        members = await panel_store.list_members(tx, appraisal)
        message.panel.extend(specialist_to_wire(member) for member in members)
        opinions = await panel_store.list_opinions(tx, self._context.cipher, appraisal)
        message.opinions.extend(opinion_to_wire(opinion) for opinion in opinions)
        message.findings.extend(findings_to_wire(appraisal.findings))
        return message
