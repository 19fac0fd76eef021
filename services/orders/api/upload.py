"""The stream of UploadOrders: batches are accepted a few at a time and answered in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from oip.orders.v1 import orders_pb2

from services.kernel.problems import Problem
from services.orders.api import format as out
from services.orders.api import parse
from services.orders.commands.intake import Intake
from services.orders.domain.batches import Upload
from services.runtime.base.failpoints import FailpointError
from services.runtime.base.log import logger
from services.runtime.rpc.access import caller
from services.runtime.rpc.error_status import as_problem, is_unavailable, log_fields, status_of
from services.runtime.rpc.quotas import LimitReached

log = logger("orders")

# Batches of one stream under way; the next one is read only after one of them is done.
WINDOW = 3
# Before the next message is read of a platform that has reached a limit.
PAUSE_SECONDS = 1.0

AnswerTask = asyncio.Task[orders_pb2.UploadOrdersResponse]


class UploadStream:
    """One call of UploadOrders: its batches in the order sent, and those under way."""

    def __init__(self, intake: Intake, service: str) -> None:
        self._intake = intake
        self._service = service
        self._tenant = caller().platform
        self._window = asyncio.Semaphore(WINDOW)
        self._waiting: asyncio.Queue[AnswerTask | None] = asyncio.Queue()
        self._under_way: set[AnswerTask] = set()

    async def answers(
        self, requests: AsyncIterator[orders_pb2.UploadOrdersEnvelope]
    ) -> AsyncIterator[orders_pb2.UploadOrdersResponse]:
        """A receipt or a problem for each batch, in the order sent."""
        reading = asyncio.create_task(self._read(requests))
        try:
            while (answer := await self._waiting.get()) is not None:
                yield await answer
                self._window.release()
            await reading
        finally:
            reading.cancel()
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(reading, *self._under_way, return_exceptions=True)

    async def _read(self, requests: AsyncIterator[orders_pb2.UploadOrdersEnvelope]) -> None:
        """Start a batch for each request once it has a slot in memory; None ends the answers."""
        previous: AnswerTask | None = None
        try:
            async for request in requests:
                batch_id, upload = request.batch_id[:64], self._upload_or_problem(request)
                # The upload has the content; the message must not stay in memory as well.
                del request
                await self._window.acquire()
                await self._intake.slots.acquire(self._tenant)
                task = asyncio.create_task(self._accept(batch_id, upload, previous))
                task.add_done_callback(lambda _: self._intake.slots.release(self._tenant))
                task.add_done_callback(self._under_way.discard)
                self._under_way.add(task)
                previous = task
                self._waiting.put_nowait(task)
                if isinstance(upload, LimitReached):
                    # Who sends on is read later: a refused batch has cost its way here.
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            # Without waiting: no reader of the queue may be left.
            self._waiting.put_nowait(None)

    async def _accept(
        self, batch_id: str, upload: Upload | Problem, previous: AnswerTask | None
    ) -> orders_pb2.UploadOrdersResponse:
        answer = orders_pb2.UploadOrdersResponse(batch_id=batch_id)
        try:
            batch = await self._intake.upload(_require_upload(upload), previous)
            answer.receipt.CopyFrom(out.order_batch(batch))
        except FailpointError:
            raise
        except Exception as error:  # noqa: BLE001 - one batch must not end the others
            self._log(error, batch_id)
            answer.problem.CopyFrom(status_of(error, self._service))
        if previous is not None:
            # The next batch waits for this one and thereby for all before it, refused or not.
            await asyncio.wait([previous])
        return answer

    def _upload_or_problem(self, request: orders_pb2.UploadOrdersEnvelope) -> Upload | Problem:
        refusal = self._intake.allowances.refusal(self._tenant, request.ByteSize())
        if refusal is not None:
            return refusal
        try:
            return parse.upload(request)
        except Problem as problem:
            # Its traceback would keep the message in memory.
            return problem.with_traceback(None)

    def _log(self, error: Exception, batch_id: str) -> None:
        problem = as_problem(error, self._service)
        if problem is not None:
            log.info("batch_refused", batch=batch_id, reason=problem.reason)
        elif is_unavailable(error):
            log.warning("batch_unknown", batch=batch_id, error=type(error).__name__)
        else:
            log.error("batch_failed", batch=batch_id, **log_fields(error))


def _require_upload(upload: Upload | Problem) -> Upload:
    if isinstance(upload, Problem):
        raise upload
    return upload
