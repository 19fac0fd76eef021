"""Entrance for RPC: parse, open the transaction, call a command or a store question, format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc

from services.enrolment import commands, domain, store
from services.enrolment.domain import Decision, DocumentKind, Row, Status
from services.enrolment.store import Enrolment, HeldPlatform
from services.kernel import names
from services.kernel.problems import Malformed, NotFound
from services.runtime.base.clock import today
from services.runtime.rpc.access import caller
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    date_to_wire,
    enum_number,
    moment_to_wire,
    next_token,
    page_of,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, read
from services.runtime.storage.database import Transaction


class EnrolmentApi(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Registers platforms and enrols workers."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def RegisterPlatform(
        self, request: enrolment_pb2.RegisterPlatformRequest, context: Context
    ) -> enrolment_pb2.Platform:
        """Register a platform company by its credit code."""
        platform = domain.platform(
            request.credit_code, request.display_name, map(int, request.industries)
        )
        now = self._context.clock.now()

        async def work(tx: Transaction) -> enrolment_pb2.Platform:
            return _platform(await commands.register_platform(tx, platform, now))

        return await change(
            self._context, request, enrolment_pb2.Platform, work, resource=platform.name
        )

    async def GetPlatform(
        self, request: enrolment_pb2.GetPlatformRequest, context: Context
    ) -> enrolment_pb2.Platform:
        """One platform."""
        (code,) = names.parse(request.name, "platforms")

        async def work(tx: Transaction) -> enrolment_pb2.Platform:
            held = await store.get_platform(tx, code)
            if held is None:
                raise NotFound(name=request.name)
            return _platform(held)

        return await read(self._context, work)

    async def ListPlatforms(
        self, request: enrolment_pb2.ListPlatformsRequest, context: Context
    ) -> enrolment_pb2.ListPlatformsResponse:
        """The platforms, by credit code."""
        page = page_of(request)
        after = page.after[0] if page.after else ""

        async def work(tx: Transaction) -> enrolment_pb2.ListPlatformsResponse:
            held = await store.list_platforms(tx, after, page.size)
            full = len(held) == page.size
            return enrolment_pb2.ListPlatformsResponse(
                platforms=[_platform(one) for one in held],
                next_page_token=next_token([held[-1].platform.credit_code]) if full else "",
            )

        return await read(self._context, work)

    async def EnrolWorkers(
        self, request: enrolment_pb2.EnrolWorkersRequest, context: Context
    ) -> enrolment_pb2.EnrolWorkersResponse:
        """Enrol up to 5,000 workers of one platform."""
        code = _own_platform(request.platform)
        now = self._context.clock.now()
        rows = _rows(request.rows, today(self._context.clock))

        async def work(tx: Transaction) -> enrolment_pb2.EnrolWorkersResponse:
            cipher = self._context.cipher
            return _outcomes(await commands.enrol_workers(tx, cipher, code, rows, now))

        return await change(
            self._context,
            request,
            enrolment_pb2.EnrolWorkersResponse,
            work,
            resource=request.platform,
        )

    async def LookUpWorkers(
        self, request: enrolment_pb2.LookUpWorkersRequest, context: Context
    ) -> enrolment_pb2.LookUpWorkersResponse:
        """The opaque ids of a platform's own worker numbers."""
        code = _own_platform(request.platform)
        numbers = list(request.worker_numbers)
        if not 1 <= len(numbers) <= domain.NUMBERS_PER_LOOK_UP:
            what = f"ask for 1 to {domain.NUMBERS_PER_LOOK_UP:,} numbers at a time"
            raise Malformed.of("worker_numbers", what)

        async def work(tx: Transaction) -> enrolment_pb2.LookUpWorkersResponse:
            found = await store.look_up(tx, code, numbers)
            return enrolment_pb2.LookUpWorkersResponse(
                workers=[found.get(number, 0) for number in numbers]
            )

        return await read(self._context, work)

    async def GetWorker(
        self, request: enrolment_pb2.GetWorkerRequest, context: Context
    ) -> enrolment_pb2.Worker:
        """One worker, with the platforms the caller may know of."""
        (text,) = names.parse(request.name, "workers")
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
            raise NotFound(name=request.name)

        async def work(tx: Transaction) -> enrolment_pb2.Worker:
            enrolments = await store.enrolments_of(tx, int(text))
            if not enrolments:
                raise NotFound(name=request.name)
            return self._worker(enrolments)

        return await read(self._context, work)

    async def ListWorkers(
        self, request: enrolment_pb2.ListWorkersRequest, context: Context
    ) -> enrolment_pb2.ListWorkersResponse:
        """The workers of a platform, by worker number."""
        code = _own_platform(request.platform)
        page = page_of(request)
        after = page.after[0] if page.after else ""

        async def work(tx: Transaction) -> enrolment_pb2.ListWorkersResponse:
            held = await store.list_enrolments(tx, code, after, page.size)
            full = len(held) == page.size
            return enrolment_pb2.ListWorkersResponse(
                workers=[self._worker([enrolment]) for enrolment in held],
                next_page_token=next_token([held[-1].worker_number]) if full else "",
            )

        return await read(self._context, work)

    def _worker(self, enrolments: Sequence[Enrolment]) -> enrolment_pb2.Worker:
        cipher = self._context.cipher
        first = enrolments[0]
        number = commands.open_document_number(cipher, first)
        return enrolment_pb2.Worker(
            name=names.name("workers", first.worker),
            masked_document_number=domain.mask(number),
            enrolments=[
                enrolment_pb2.Worker.Enrolment(
                    platform=names.name("platforms", one.platform),
                    worker_number=one.worker_number,
                    enrol_date=date_to_wire(one.enrol_date),
                )
                for one in enrolments
            ],
        )


def _own_platform(name: str) -> str:
    (code,) = names.parse(name, "platforms", field="platform")
    caller().require_platform(code)
    return code


def _rows(rows: Sequence[enrolment_pb2.EnrolWorkersRequest.Row], day: date) -> list[Row]:
    if not 1 <= len(rows) <= domain.ROWS_PER_REQUEST:
        raise Malformed.of("rows", f"send 1 to {domain.ROWS_PER_REQUEST:,} rows at a time")
    return [
        Row(
            worker_number=row.worker_number,
            document_kind=DocumentKind(row.document_kind or DocumentKind.CITIZEN_NUMBER.value),
            document_number=row.document_number.strip().upper(),
            phone=row.phone,
            enrol_date=date_from_wire(row.enrol_date, f"rows[{index}].enrol_date")
            if row.HasField("enrol_date")
            else day,
        )
        for index, row in enumerate(rows)
    ]


def _outcomes(decisions: Sequence[Decision]) -> enrolment_pb2.EnrolWorkersResponse:
    created = sum(made.status is Status.CREATED for made in decisions)
    exists = sum(made.status is Status.EXISTS for made in decisions)
    return enrolment_pb2.EnrolWorkersResponse(
        received_count=len(decisions),
        created_count=created,
        exists_count=exists,
        rejected_count=len(decisions) - created - exists,
        outcomes=[
            enrolment_pb2.EnrolWorkersResponse.Outcome(
                index=made.index,
                status=enum_number(made.status.value),
                worker=made.worker,
                text=domain.SENTENCES.get(made.status, ""),
            )
            for made in decisions
        ],
    )


def _platform(held: HeldPlatform) -> enrolment_pb2.Platform:
    return enrolment_pb2.Platform(
        name=held.platform.name,
        display_name=held.platform.display_name,
        industries=[enum_number(one) for one in held.platform.industries],
        create_time=moment_to_wire(held.create_time),
        revision=held.revision,
    )
