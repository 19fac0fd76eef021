"""The RPCs of grading."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, datetime

from google.protobuf.message import Message
from oip.grading.v1 import grading_pb2

from services.grading.api import parse
from services.grading.api.format import (
    appraisal_to_wire,
    exclusion_to_wire,
    invitation_to_wire,
    opinion_to_wire,
    service_to_wire,
    specialist_to_wire,
)
from services.grading.api.registers import RegisterApi
from services.grading.commands import applications, appraisals, conclusions, panels
from services.grading.domain.appraisals import Appraisal
from services.grading.domain.panels import Viewer, visible_opinions
from services.grading.store import appraisals as appraisal_store
from services.grading.store import conclusions as conclusion_store
from services.grading.store import draws as draw_store
from services.grading.store import injuries as injury_store
from services.grading.store import panels as panel_store
from services.grading.store.appraisals import AppraisalFilter
from services.kernel import names
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    enum_number,
    findings_to_wire,
    moment_to_wire,
)
from services.runtime.service.context import CommandContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class GradingApi(RegisterApi):
    """Appraises the lasting harm of an injury."""

    async def GetAppraisal(
        self, request: grading_pb2.GetAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """One appraisal."""
        appraisal_id = parse.appraisal_id_of(request.name)

        async def work(tx: Transaction) -> grading_pb2.Appraisal:
            appraisal = await appraisal_store.get(tx, self._context.cipher, appraisal_id)
            return await self._complete(tx, appraisal)

        return await read(self._context, work)

    async def ListAppraisals(
        self, request: grading_pb2.ListAppraisalsRequest, context: Context
    ) -> grading_pb2.ListAppraisalsResponse:
        """Appraisals by due date."""
        if request.claim:
            names.parse(request.claim, "claims", field="claim")
        newest_first = request.newest_first
        chosen = AppraisalFilter(parse.states_of(request.states), request.claim, newest_first)
        page = page_of(request, datetime if newest_first else date, str)

        async def work(tx: Transaction) -> grading_pb2.ListAppraisalsResponse:
            rows = await appraisal_store.list_appraisals(
                tx, self._context.cipher, chosen, after=page.after, size=page.size
            )
            count = await appraisal_store.count_appraisals(tx, chosen) if request.count_all else 0
            return grading_pb2.ListAppraisalsResponse(
                appraisals=[appraisal_to_wire(appraisal) for appraisal in rows],
                next_page_token=page.next_token(
                    rows,
                    lambda appraisal: (
                        appraisal.create_time if newest_first else appraisal.due_date,
                        appraisal.id,
                    ),
                ),
                total_count=count,
            )

        return await read(self._context, work)

    async def ListInvitations(
        self, request: grading_pb2.ListInvitationsRequest, context: Context
    ) -> grading_pb2.ListInvitationsResponse:
        """Injuries whose appraisal is invited and not applied for, by claim."""
        page = page_of(request, str)
        (after,) = page.after or ("",)

        async def work(tx: Transaction) -> grading_pb2.ListInvitationsResponse:
            injuries = await injury_store.list_invited(tx, after, page.size)
            return grading_pb2.ListInvitationsResponse(
                invitations=[invitation_to_wire(injury) for injury in injuries],
                next_page_token=page.next_token(injuries, lambda injury: (injury.claim,)),
            )

        return await read(self._context, work)

    async def OpenAppraisal(
        self, request: grading_pb2.OpenAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Open an appraisal on application."""
        applied = parse.applied_of(request, self._context.command().today)
        allowed = parse.applicants_of(caller().roles)
        appraisal_id = names.id_from(request.request_id, "appraisal", caller().key)
        return await self._change(
            request,
            lambda tx, command: applications.open_appraisal(
                tx, appraisal_id, applied, allowed, command
            ),
        )

    async def RequestDocuments(
        self, request: grading_pb2.RequestDocumentsRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Ask for missing documents, once."""
        appraisal_id = parse.appraisal_id_of(request.name)
        documents = request.documents.strip()
        until = date_from_wire(request.documents_date, "documents_date")
        return await self._change(
            request,
            lambda tx, command: applications.request_documents(
                tx, appraisal_id, documents, until, command
            ),
        )

    async def RecordDocuments(
        self, request: grading_pb2.RecordDocumentsRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record that the missing documents have come."""
        appraisal_id = parse.appraisal_id_of(request.name)
        return await self._change(
            request,
            lambda tx, command: applications.record_documents(tx, appraisal_id, command),
        )

    async def AbandonAppraisal(
        self, request: grading_pb2.AbandonAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """End an application whose missing documents did not come."""
        appraisal_id = parse.appraisal_id_of(request.name)
        return await self._change(
            request,
            lambda tx, command: applications.abandon_appraisal(tx, appraisal_id, command),
        )

    async def WithdrawAppraisal(
        self, request: grading_pb2.WithdrawAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Withdraw an application."""
        appraisal_id = parse.appraisal_id_of(request.name)
        reason, allowed = request.reason.strip(), parse.applicants_of(caller().roles)
        return await self._change(
            request,
            lambda tx, command: applications.withdraw_appraisal(
                tx, appraisal_id, reason, allowed, command
            ),
        )

    async def ExcludeSpecialist(
        self, request: grading_pb2.ExcludeSpecialistRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Keep a specialist from the panels of an appraisal."""
        appraisal_id = parse.appraisal_id_of(request.name)
        exclusion = parse.exclusion_of(request)
        return await self._change(
            request,
            lambda tx, command: panels.exclude_specialist(tx, appraisal_id, exclusion, command),
        )

    async def RecuseSpecialist(
        self, request: grading_pb2.RecuseSpecialistRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Let the caller step down from the panel; the answer shows nothing of the case."""
        appraisal_id = parse.appraisal_id_of(request.name)
        recusal = parse.recusal_of(request, caller().member)
        command = self._context.command()

        async def work(tx: Transaction) -> grading_pb2.Appraisal:
            recused = await panels.recuse_specialist(tx, appraisal_id, recusal, command)
            return grading_pb2.Appraisal(
                name=recused.name,
                state=enum_number(recused.state.value),
                revision=recused.revision,
            )

        return await change(
            self._context, request, grading_pb2.Appraisal, work, resource=request.name
        )

    async def DrawPanel(
        self, request: grading_pb2.DrawPanelRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Draw a panel by the committed seed."""
        appraisal_id = parse.appraisal_id_of(request.name)
        return await self._change(
            request,
            lambda tx, command: panels.draw_panel(
                tx, appraisal_id, command, size=request.panel_size
            ),
        )

    async def RecordOpinion(
        self, request: grading_pb2.RecordOpinionRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record the caller's own opinion."""
        appraisal_id = parse.appraisal_id_of(request.name)
        opinion, member = parse.opinion_of(request.opinion), caller().member
        return await self._change(
            request,
            lambda tx, command: panels.record_opinion(tx, appraisal_id, opinion, member, command),
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
        note = request.reason.strip()
        kind = parse.injury_kind_of(request.injury_kind)
        return await self._change(
            request,
            lambda tx, command: appraisals.defer_appraisal(
                tx, appraisal_id, command, until=until, kind=kind, note=note
            ),
        )

    async def AdjournAppraisal(
        self, request: grading_pb2.AdjournAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Adjourn the examination for a further check."""
        appraisal_id = parse.appraisal_id_of(request.name)
        until = date_from_wire(request.until_date, "until_date")
        note = request.reason.strip()
        return await self._change(
            request,
            lambda tx, command: appraisals.adjourn_appraisal(
                tx, appraisal_id, until, note, command
            ),
        )

    async def ExtendAppraisal(
        self, request: grading_pb2.ExtendAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Extend the time limit of a complex case."""
        appraisal_id = parse.appraisal_id_of(request.name)
        note = request.reason.strip()
        return await self._change(
            request,
            lambda tx, command: appraisals.extend_appraisal(tx, appraisal_id, note, command),
        )

    async def RecordAbsence(
        self, request: grading_pb2.RecordAbsenceRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record what kept the panel from its examination."""
        appraisal_id = parse.appraisal_id_of(request.name)
        absence = parse.absence_of(request)
        return await self._change(
            request,
            lambda tx, command: appraisals.record_absence(tx, appraisal_id, absence, command),
        )

    async def ResumeAppraisal(
        self, request: grading_pb2.ResumeAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Take back the end of an appraisal."""
        appraisal_id = parse.appraisal_id_of(request.name)
        reason = request.reason.strip()
        return await self._change(
            request,
            lambda tx, command: appraisals.resume_appraisal(tx, appraisal_id, reason, command),
        )

    async def ServeConclusion(
        self, request: grading_pb2.ServeConclusionRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record the service of a conclusion."""
        appraisal_id = parse.appraisal_id_of(request.name)
        service = parse.service_of(request)
        return await self._change(
            request,
            lambda tx, command: conclusions.serve_conclusion(tx, appraisal_id, service, command),
        )

    async def CorrectConclusion(
        self, request: grading_pb2.CorrectConclusionRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Correct a wrong conclusion."""
        appraisal_id = parse.appraisal_id_of(request.name)
        correction = parse.correction_of(request)
        return await self._change(
            request,
            lambda tx, command: conclusions.correct_conclusion(
                tx, appraisal_id, request.revision, correction, command
            ),
        )

    async def RevokeConclusion(
        self, request: grading_pb2.RevokeConclusionRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Revoke a conclusion that was obtained by fraud."""
        appraisal_id = parse.appraisal_id_of(request.name)
        reason = request.reason.strip()
        return await self._change(
            request,
            lambda tx, command: conclusions.revoke_conclusion(
                tx, appraisal_id, request.revision, reason, command
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
        """An appraisal with all of it that the caller may see; a platform sees the conclusion."""
        message = appraisal_to_wire(appraisal)
        if appraisal.conclusion_number:
            services = await conclusion_store.list_services(tx, appraisal)
            message.services.extend(service_to_wire(service) for service in services)
        if caller().is_platform:
            return message
        cipher = self._context.cipher
        members = await panel_store.list_members(tx, appraisal)
        message.panel.extend(specialist_to_wire(member) for member in members)
        opinions = await panel_store.list_opinions(tx, cipher, appraisal)
        shown = visible_opinions(opinions, members, self._viewer(appraisal))
        message.opinions.extend(opinion_to_wire(opinion) for opinion in shown)
        exclusions = await draw_store.list_exclusions(tx, appraisal.id)
        message.exclusions.extend(exclusion_to_wire(exclusion) for exclusion in exclusions)
        draw = appraisal.draw if appraisal.has_panel else appraisal.draw + 1
        message.draw_commitment = await draw_store.find_commitment(tx, appraisal, draw)
        if appraisal.has_panel:
            message.draw_seed = await draw_store.get_seed(tx, cipher, appraisal.id, draw)
            following = await draw_store.find_commitment(tx, appraisal, draw + 1)
            message.next_draw_commitment = following
        for revision, text, moment in await appraisal_store.list_notes(tx, cipher, appraisal):
            message.notes.add(revision=revision, text=text, create_time=moment_to_wire(moment))
        message.findings.extend(findings_to_wire(appraisal.findings))
        return message

    def _viewer(self, appraisal: Appraisal) -> Viewer:
        who = caller()
        return Viewer(
            member=who.member,
            is_staff=not who.is_platform and not who.person,
            is_concluded=appraisal.conclusion_number > 0,
        )
