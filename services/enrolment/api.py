"""RPCs of enrolment: parse, call a command or a query in a transaction, format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date

from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc

from services.enrolment.clients import erasure_obstacles
from services.enrolment.commands.enrolments import enrol_workers
from services.enrolment.commands.erasures import erase_worker
from services.enrolment.commands.platforms import register_platform
from services.enrolment.domain.enrolments import (
    SENTENCES,
    EnrolmentRow,
    RowOutcome,
    Status,
)
from services.enrolment.domain.erasures import Obstacle, order_of
from services.enrolment.domain.platforms import RegisteredPlatform, platform_name, platform_of
from services.enrolment.domain.workers import DocumentKind, Worker, identity_of, mask
from services.enrolment.store import enrolments as enrolment_store
from services.enrolment.store import platforms as platform_store
from services.enrolment.store import workers as worker_store
from services.kernel import names
from services.kernel.phrases import Phrase
from services.kernel.problems import NotFound
from services.runtime.rpc.access import caller
from services.runtime.rpc.paging import page_of
from services.runtime.rpc.wire import (
    Context,
    date_from_wire,
    date_to_wire,
    enum_number,
    moment_to_wire,
)
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import change, change_after, read
from services.runtime.storage import erasures
from services.runtime.storage.database import Transaction
from services.runtime.storage.erasures import Erasure

# A refusal does not repeat the number.
NO_WORKER = Phrase("WORKER", "enrolled worker with this document", "该证件对应的参保人员")


class EnrolmentApi(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Registers platforms and enrols workers."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def RegisterPlatform(
        self, request: enrolment_pb2.RegisterPlatformRequest, context: Context
    ) -> enrolment_pb2.Platform:
        """Register a platform company by its credit code."""
        platform = platform_of(
            request.credit_code, request.display_name, map(int, request.industries)
        )
        command = self._context.command()

        async def work(tx: Transaction) -> enrolment_pb2.Platform:
            return platform_to_wire(await register_platform(tx, platform, command))

        return await change(
            self._context, request, enrolment_pb2.Platform, work, resource=platform.name
        )

    async def GetPlatform(
        self, request: enrolment_pb2.GetPlatformRequest, context: Context
    ) -> enrolment_pb2.Platform:
        """One platform."""
        (code,) = names.parse(request.name, "platforms")

        async def work(tx: Transaction) -> enrolment_pb2.Platform:
            return platform_to_wire(await platform_store.get(tx, code))

        return await read(self._context, work)

    async def ListPlatforms(
        self, request: enrolment_pb2.ListPlatformsRequest, context: Context
    ) -> enrolment_pb2.ListPlatformsResponse:
        """The platforms, by credit code."""
        page = page_of(request, str)
        (after,) = page.after or ("",)

        async def work(tx: Transaction) -> enrolment_pb2.ListPlatformsResponse:
            platforms = await platform_store.list_by_code(tx, after, page.size)
            return enrolment_pb2.ListPlatformsResponse(
                platforms=[platform_to_wire(registered) for registered in platforms],
                next_page_token=page.next_token(
                    platforms, lambda registered: (registered.platform.credit_code,)
                ),
            )

        return await read(self._context, work)

    async def EnrolWorkers(
        self, request: enrolment_pb2.EnrolWorkersRequest, context: Context
    ) -> enrolment_pb2.EnrolWorkersResponse:
        """Enrol up to 5,000 workers of one platform."""
        code = own_platform(request.platform)
        command = self._context.command()
        rows = rows_from_wire(request.rows, command.today)

        async def work(tx: Transaction) -> enrolment_pb2.EnrolWorkersResponse:
            return outcomes_to_wire(await enrol_workers(tx, code, rows, command))

        answer = enrolment_pb2.EnrolWorkersResponse
        return await change(self._context, request, answer, work, resource=request.platform)

    async def LookUpWorkers(
        self, request: enrolment_pb2.LookUpWorkersRequest, context: Context
    ) -> enrolment_pb2.LookUpWorkersResponse:
        """The opaque ids of a platform's own worker numbers."""
        code = own_platform(request.platform)
        numbers = list(request.worker_numbers)

        async def work(tx: Transaction) -> enrolment_pb2.LookUpWorkersResponse:
            enrolled = await enrolment_store.find_enrolled(tx, code, numbers)
            return enrolment_pb2.LookUpWorkersResponse(
                workers=[enrolled.worker_of_number.get(number, 0) for number in numbers]
            )

        return await read(self._context, work)

    async def GetWorker(
        self, request: enrolment_pb2.GetWorkerRequest, context: Context
    ) -> enrolment_pb2.Worker:
        """One worker, with the platforms the caller may know of."""
        worker_id = worker_id_of(request.name)

        async def work(tx: Transaction) -> enrolment_pb2.Worker:
            return worker_to_wire(await worker_store.get(tx, self._context.cipher, worker_id))

        return await read(self._context, work)

    async def FindWorker(
        self, request: enrolment_pb2.FindWorkerRequest, context: Context
    ) -> enrolment_pb2.Worker:
        """The worker whom a document names."""
        kind = DocumentKind(request.document_kind or DocumentKind.CITIZEN_NUMBER.value)
        index = self._context.cipher.blind_index(identity_of(kind, document_number(request)))

        async def work(tx: Transaction) -> enrolment_pb2.Worker:
            ids = await worker_store.find_ids(tx, [index])
            if index not in ids:
                raise NotFound(name=NO_WORKER)
            return worker_to_wire(await worker_store.get(tx, self._context.cipher, ids[index]))

        return await read(self._context, work)

    async def ListWorkers(
        self, request: enrolment_pb2.ListWorkersRequest, context: Context
    ) -> enrolment_pb2.ListWorkersResponse:
        """The workers of a platform, by worker number."""
        code = own_platform(request.platform)
        page = page_of(request, str)
        (after,) = page.after or ("",)
        cipher = self._context.cipher

        async def work(tx: Transaction) -> enrolment_pb2.ListWorkersResponse:
            workers = await worker_store.list_by_number(tx, cipher, code, after, page.size)
            count = await worker_store.count_of_platform(tx, code) if request.count_all else 0
            return enrolment_pb2.ListWorkersResponse(
                workers=[worker_to_wire(worker) for worker in workers],
                total_count=count,
                next_page_token=page.next_token(
                    workers, lambda worker: (worker.enrolments[0].worker_number,)
                ),
            )

        return await read(self._context, work)

    async def EraseWorker(
        self, request: enrolment_pb2.EraseWorkerRequest, context: Context
    ) -> enrolment_pb2.Erasure:
        """Erase a worker, once the services that hold data of the person have no open case."""
        order = order_of(
            worker_id_of(request.name),
            request.code,
            request.document_number,
            request.document_hash,
        )
        command = self._context.command()

        async def ask() -> list[Obstacle]:
            return await erasure_obstacles(self._context.channels, order.worker_name)

        async def work(tx: Transaction, obstacles: list[Obstacle]) -> enrolment_pb2.Erasure:
            return erasure_to_wire(await erase_worker(tx, order, obstacles, command))

        answer = enrolment_pb2.Erasure
        return await change_after(
            self._context, request, answer, ask, work, resource=order.worker_name
        )

    async def ListErasures(
        self, request: enrolment_pb2.ListErasuresRequest, context: Context
    ) -> enrolment_pb2.ListErasuresResponse:
        """The erasures of workers, the earliest first."""
        page = page_of(request, int)
        (after,) = page.after or (0,)

        async def work(tx: Transaction) -> enrolment_pb2.ListErasuresResponse:
            found = await erasures.list_by_position(tx, after, page.size)
            return enrolment_pb2.ListErasuresResponse(
                erasures=[erasure_to_wire(erasure) for erasure in found],
                next_page_token=page.next_token(found, lambda erasure: (erasure.position,)),
            )

        return await read(self._context, work)


# Parse


def own_platform(name: str) -> str:
    """The credit code in a resource name; raises Forbidden for another platform than the caller."""
    (code,) = names.parse(name, "platforms", field="platform")
    caller().require_platform(code)
    return code


def worker_id_of(name: str) -> int:
    """The id in a worker's name; raises NotFound for a text that is not an id."""
    (text,) = names.parse(name, "workers")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise NotFound(name=name)
    return int(text)


def rows_from_wire(
    rows: Sequence[enrolment_pb2.EnrolWorkersRequest.Row], today: date
) -> list[EnrolmentRow]:
    """The rows of a request; one without a first day begins today."""
    return [
        EnrolmentRow(
            worker_number=row.worker_number,
            document_kind=DocumentKind(row.document_kind or DocumentKind.CITIZEN_NUMBER.value),
            document_number=document_number(row),
            phone=row.phone,
            enrol_date=date_from_wire(row.enrol_date, f"rows[{index}].enrol_date")
            if row.HasField("enrol_date")
            else today,
        )
        for index, row in enumerate(rows)
    ]


def document_number(
    message: enrolment_pb2.EnrolWorkersRequest.Row | enrolment_pb2.FindWorkerRequest,
) -> str:
    """The number of a document as it is compared."""
    return message.document_number.strip().upper()


# Format


def outcomes_to_wire(outcomes: Sequence[RowOutcome]) -> enrolment_pb2.EnrolWorkersResponse:
    """The outcome of each row, and how many rows have which."""
    counts = Counter(outcome.status for outcome in outcomes)
    accepted_count = counts[Status.CREATED] + counts[Status.EXISTS]
    return enrolment_pb2.EnrolWorkersResponse(
        received_count=len(outcomes),
        created_count=counts[Status.CREATED],
        exists_count=counts[Status.EXISTS],
        rejected_count=len(outcomes) - accepted_count,
        outcomes=[
            enrolment_pb2.EnrolWorkersResponse.Outcome(
                index=outcome.index,
                status=enum_number(outcome.status.value),
                worker=outcome.worker,
                text=text,
                text_zh=text_zh,
            )
            for outcome in outcomes
            for text, text_zh in [SENTENCES.get(outcome.status, ("", ""))]
        ],
    )


def worker_to_wire(worker: Worker) -> enrolment_pb2.Worker:
    """A worker with a masked document number."""
    return enrolment_pb2.Worker(
        name=names.name("workers", worker.id),
        masked_document_number=worker.document_number
        if worker.erased
        else mask(worker.document_number),
        erased=worker.erased,
        enrolments=[
            enrolment_pb2.Worker.Enrolment(
                platform=platform_name(enrolment.platform),
                worker_number=enrolment.worker_number,
                enrol_date=date_to_wire(enrolment.enrol_date),
                create_time=moment_to_wire(enrolment.create_time),
            )
            for enrolment in worker.enrolments
        ],
    )


def erasure_to_wire(erasure: Erasure) -> enrolment_pb2.Erasure:
    """An erasure."""
    message = enrolment_pb2.Erasure(
        name=names.name("erasures", erasure.name.removeprefix("workers/")),
        worker=erasure.name,
        code=enum_number(erasure.code),
        document_number=erasure.document_number,
        document_hash=erasure.document_hash,
        maker_member=erasure.maker,
        signer_member=erasure.signer,
    )
    if erasure.erase_time is not None:
        message.erase_time.CopyFrom(moment_to_wire(erasure.erase_time))
    return message


def platform_to_wire(registered: RegisteredPlatform) -> enrolment_pb2.Platform:
    """A platform as registered."""
    platform = registered.platform
    return enrolment_pb2.Platform(
        name=platform.name,
        display_name=platform.display_name,
        industries=[enum_number(industry.value) for industry in platform.industries],
        create_time=moment_to_wire(registered.create_time),
        revision=registered.revision,
    )
