"""Entrance for RPC: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from datetime import date

from oip.grading.v1 import grading_pb2, grading_pb2_grpc

from services.grading import commands, store
from services.grading.domain.appraisal import (
    Appraisal,
    CareItem,
    Impairment,
    InjuryKind,
    Level,
    Opinion,
    Specialist,
    State,
)
from services.kernel import names
from services.kernel.problems import Malformed, NotFound
from services.runtime.base.clock import today
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    date_to_wire,
    enum_number,
    findings_to_wire,
    moment_to_wire,
    next_token,
    page_of,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction

IMPAIRMENTS_MAX = 50
EXCLUDED_MAX = 1_000
TEXT_MAX = 2_000


class GradingApi(grading_pb2_grpc.GradingServiceServicer):
    """Appraises what an injury leaves behind."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._random = secrets.SystemRandom()

    async def RegisterSpecialist(
        self, request: grading_pb2.RegisterSpecialistRequest, context: Context
    ) -> grading_pb2.Specialist:
        """Add a specialist to the pool."""
        number = _text(request.specialist_number, "specialist_number", 64)
        field = _text(request.field, "field", 64)
        now = self._context.clock.now()

        async def work(tx: Transaction) -> grading_pb2.Specialist:
            return _specialist(
                await commands.register_specialist(
                    tx, number, field, now, provincial=request.provincial
                )
            )

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
        page = page_of(request)
        after = page.after[0] if page.after else ""

        async def work(tx: Transaction) -> grading_pb2.ListSpecialistsResponse:
            held = await store.list_specialists(tx, after, page.size)
            full = len(held) == page.size
            return grading_pb2.ListSpecialistsResponse(
                specialists=[_specialist(one) for one in held],
                next_page_token=next_token([held[-1].number]) if full else "",
            )

        return await read(self._context, work)

    async def GetAppraisal(
        self, request: grading_pb2.GetAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """One appraisal."""
        (appraisal_id,) = names.parse(request.name, "appraisals")

        async def work(tx: Transaction) -> grading_pb2.Appraisal:
            found = await store.get_appraisal(tx, appraisal_id)
            if found is None:
                raise NotFound(name=request.name)
            return await self._whole(tx, found)

        return await read(self._context, work)

    async def ListAppraisals(
        self, request: grading_pb2.ListAppraisalsRequest, context: Context
    ) -> grading_pb2.ListAppraisalsResponse:
        """Appraisals by due date."""
        if request.claim:
            names.parse(request.claim, "claims", field="claim")
        states = [_state(number) for number in request.states]
        page = page_of(request)
        after = _due_key(page.after) if page.after else None

        async def work(tx: Transaction) -> grading_pb2.ListAppraisalsResponse:
            held = await store.list_appraisals(tx, states, request.claim, after, page.size)
            full = len(held) == page.size
            return grading_pb2.ListAppraisalsResponse(
                appraisals=[_appraisal(one) for one in held],
                next_page_token=next_token([held[-1].due_date, held[-1].id]) if full else "",
            )

        return await read(self._context, work)

    async def DrawPanel(
        self, request: grading_pb2.DrawPanelRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Draw a panel at random."""
        (appraisal_id,) = names.parse(request.name, "appraisals")
        if len(request.excluded_specialists) > EXCLUDED_MAX:
            raise Malformed.of("excluded_specialists", f"name at most {EXCLUDED_MAX:,}")
        for index, name in enumerate(request.excluded_specialists):
            names.parse(name, "specialists", field=f"excluded_specialists[{index}]")
        excluded = list(request.excluded_specialists)
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.draw_panel(
                tx,
                appraisal_id,
                size=request.panel_size,
                excluded=excluded,
                random=self._random,
                now=now,
            ),
        )

    async def RecordOpinion(
        self, request: grading_pb2.RecordOpinionRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record one specialist's opinion."""
        (appraisal_id,) = names.parse(request.name, "appraisals")
        opinion = _opinion_from(request.opinion)
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.record_opinion(
                tx, self._context.cipher, appraisal_id, opinion, now
            ),
        )

    async def ConcludeAppraisal(
        self, request: grading_pb2.ConcludeAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Conclude on the panel's opinions."""
        (appraisal_id,) = names.parse(request.name, "appraisals")
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.conclude_appraisal(
                tx, self._context.cipher, appraisal_id, request.revision, now
            ),
        )

    async def DeferAppraisal(
        self, request: grading_pb2.DeferAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Wait until the condition is stable."""
        (appraisal_id,) = names.parse(request.name, "appraisals")
        until = date_from_wire(request.until_date, "until_date")
        note = _text(request.reason, "reason", TEXT_MAX)
        kind = _injury_kind(request.injury_kind)
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.defer_appraisal(
                tx,
                self._context.cipher,
                appraisal_id,
                until=until,
                kind=kind,
                note=note,
                now=now,
            ),
        )

    async def ExtendAppraisal(
        self, request: grading_pb2.ExtendAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Lengthen the time limit of a complex case."""
        (appraisal_id,) = names.parse(request.name, "appraisals")
        note = _text(request.reason, "reason", TEXT_MAX)
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.extend_appraisal(tx, self._context.cipher, appraisal_id, note, now),
        )

    async def RecordAbsence(
        self, request: grading_pb2.RecordAbsenceRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Record that the worker did not come."""
        (appraisal_id,) = names.parse(request.name, "appraisals")
        examination = date_from_wire(request.examination_date, "examination_date")
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.record_absence(
                tx, appraisal_id, examination, now, excused=request.excused
            ),
        )

    async def OpenAppraisal(
        self, request: grading_pb2.OpenAppraisalRequest, context: Context
    ) -> grading_pb2.Appraisal:
        """Open a re-appraisal or a review."""
        (previous_id,) = names.parse(request.previous, "appraisals", field="previous")
        level = _level(request.level)
        day = today(self._context.clock)
        asked = _past(date_from_wire(request.application_date, "application_date"), day)
        received = (
            date_from_wire(request.receive_date, "receive_date")
            if request.HasField("receive_date")
            else None
        )
        appraisal_id = names.id_from(request.request_id, "appraisal")
        now = self._context.clock.now()
        return await self._change(
            request,
            lambda tx: commands.open_appraisal(
                tx,
                appraisal_id,
                previous_id=previous_id,
                level=level,
                asked=asked,
                received=received,
                now=now,
            ),
        )

    async def _change(
        self,
        request: grading_pb2.DrawPanelRequest
        | grading_pb2.RecordOpinionRequest
        | grading_pb2.ConcludeAppraisalRequest
        | grading_pb2.DeferAppraisalRequest
        | grading_pb2.ExtendAppraisalRequest
        | grading_pb2.RecordAbsenceRequest
        | grading_pb2.OpenAppraisalRequest,
        command: Callable[[Transaction], Awaitable[Appraisal]],
    ) -> grading_pb2.Appraisal:
        async def work(tx: Transaction) -> grading_pb2.Appraisal:
            return await self._whole(tx, await command(tx))

        return await change(
            self._context,
            request,
            grading_pb2.Appraisal,
            work,
            resource=lambda answer: answer.name,
        )

    async def _whole(self, tx: Transaction, appraisal: Appraisal) -> grading_pb2.Appraisal:
        """An appraisal with its panel, opinions and findings."""
        message = _appraisal(appraisal)
        message.panel.extend(_specialist(one) for one in await store.get_panel(tx, appraisal))
        opinions = await store.get_opinions(tx, self._context.cipher, appraisal)
        message.opinions.extend(_opinion(one) for one in opinions)
        message.findings.extend(findings_to_wire(appraisal.findings))
        return message


def _text(text: str, field: str, longest: int) -> str:
    text = text.strip()
    if not 1 <= len(text) <= longest:
        raise Malformed.of(field, f"write 1 to {longest:,} characters")
    return text


def _state(number: int) -> State:
    try:
        return State(number)
    except ValueError:
        raise Malformed.of("states", "name states of an appraisal") from None


def _level(number: int) -> Level:
    try:
        return Level(number)
    except ValueError:
        raise Malformed.of("level", "write RE_APPRAISAL or REVIEW") from None


def _injury_kind(number: int) -> InjuryKind | None:
    try:
        return InjuryKind(number) if number else None
    except ValueError:
        raise Malformed.of("injury_kind", "name a kind of injury, or leave it out") from None


def _past(day: date, today_: date) -> date:
    if day > today_:
        raise Malformed.of("application_date", f"write the day it was asked for, {today_} at most")
    return day


def _due_key(after: tuple[str, ...]) -> tuple[date, str]:
    try:
        day, appraisal_id = after
        return date.fromisoformat(day), appraisal_id
    except ValueError:
        raise Malformed.of("page_token", "send the token of the page before, unchanged") from None


def _opinion_from(message: grading_pb2.Opinion) -> Opinion:
    names.parse(message.specialist, "specialists", field="opinion.specialist")
    if len(message.impairments) > IMPAIRMENTS_MAX:
        raise Malformed.of("opinion.impairments", f"name at most {IMPAIRMENTS_MAX}")
    items = list(message.care_items)
    known = {item.value for item in CareItem}
    if len(set(items)) != len(items) or not known.issuperset(items):
        raise Malformed.of("opinion.care_items", "name each of the five things once at most")
    return Opinion(
        message.specialist,
        tuple(
            Impairment(
                one.item,
                one.pre_existing,
                one.worsened,
                one.grade_of_injury_alone,
                one.measure,
            )
            for one in message.impairments
        ),
        frozenset(CareItem(number) for number in items),
    )


def _opinion(opinion: Opinion) -> grading_pb2.Opinion:
    return grading_pb2.Opinion(
        specialist=opinion.specialist,
        impairments=[
            grading_pb2.Opinion.Impairment(
                item=one.item,
                pre_existing=one.pre_existing,
                worsened=one.worsened,
                grade_of_injury_alone=one.grade_of_injury_alone,
                measure=one.measure,
            )
            for one in opinion.impairments
        ],
        care_items=[
            enum_number(number) for number in sorted(item.value for item in opinion.care_items)
        ],
    )


def _specialist(specialist: Specialist) -> grading_pb2.Specialist:
    return grading_pb2.Specialist(
        name=specialist.name, field=specialist.field, provincial=specialist.provincial
    )


def _appraisal(appraisal: Appraisal) -> grading_pb2.Appraisal:
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
