"""The upload stream: batches out, receipts in; a batch without an answer is sent again."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.client.upload.batches import Batch
from services.orderlog.columns import BatchTooLarge
from services.runtime.rpc.client import RemoteProblem, problem_of

# Batches in memory without an answer: twice as many as the service handles at once per stream.
WINDOW = 6
STREAM_SECONDS = 3600
TRIES_MAX = 8
FIRST_WAIT_SECONDS = 0.3
RETRY_SECONDS_MAX = 60
# Worth another try: the batch was not stored, or its fate is unknown.
_RETRIED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)
# A refusal of the caller, not of the batch: every further batch would get the same answer.
_OF_CALLER = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Answer:
    """The answer to a batch: its receipt, or the refusal of the whole batch."""

    batch: Batch
    receipt: orders_pb2.OrderBatch | None = None
    refusal: RemoteProblem | None = None


async def send_batches(
    stub: orders_pb2_grpc.OrderServiceAsyncStub, platform: str, batches: Iterable[Batch]
) -> AsyncGenerator[Answer, None]:
    """Send batches on one stream; yields the answer to each, in their order.

    Only a few batches are in memory at a time. A batch whose fate is unknown is sent again under
    the same id, at most eight times in a row without progress; then the error is raised. Raises
    RemoteProblem if the caller is refused. A refused batch is an answer, and the others follow.
    """
    upload = _Upload(stub, platform, iter(batches))
    tries = 0
    while not upload.is_done:
        try:
            async with aclosing(upload.attempt()) as answers:
                async for answer in answers:
                    tries = 0
                    yield answer
        except (grpc.aio.AioRpcError, RemoteProblem) as error:
            tries += 1
            if not _is_transient(error) or tries >= TRIES_MAX:
                raise
            await asyncio.sleep(max(min(5.0, FIRST_WAIT_SECONDS * 2**tries), _asked_wait(error)))


async def upload_orders(
    stub: orders_pb2_grpc.OrderServiceAsyncStub,
    platform: str,
    batches: Iterable[Batch],
    on_receipt: Callable[[Batch, orders_pb2.OrderBatch], None] = lambda _batch, _receipt: None,
) -> list[orders_pb2.OrderBatch]:
    """Send batches that must all be stored; their receipts.

    `on_receipt` is called with each receipt as it arrives. Raises RemoteProblem for the first batch
    that is refused as a whole; earlier receipts stay valid. See `send_batches`.
    """
    receipts: list[orders_pb2.OrderBatch] = []
    async with aclosing(send_batches(stub, platform, batches)) as answers:
        async for answer in answers:
            if answer.receipt is None:
                assert answer.refusal is not None
                raise answer.refusal
            receipts.append(answer.receipt)
            on_receipt(answer.batch, answer.receipt)
    return receipts


class _Upload:
    """Batches under way, over as many streams as needed."""

    def __init__(
        self, stub: orders_pb2_grpc.OrderServiceAsyncStub, platform: str, batches: Iterator[Batch]
    ) -> None:
        self._stub = stub
        self._platform = platform
        self._batches = batches
        self._is_exhausted = False
        # Sent and unanswered; `_first` is the number of the oldest.
        self._waiting: deque[Batch] = deque()
        self._first = 0
        self._has_room = asyncio.Event()
        # The error of the iterator of batches.
        self._failure: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether every batch has its answer."""
        return self._is_exhausted and not self._waiting

    async def attempt(self) -> AsyncGenerator[Answer, None]:
        """One stream: first the batches without an answer, then the rest."""
        call = self._stub.UploadOrders(self._requests(), timeout=STREAM_SECONDS)
        try:
            async for response in call:
                answer = _answer(self._waiting[0], response)
                self._waiting.popleft()
                self._first += 1
                self._has_room.set()
                yield answer
        finally:
            call.cancel()
        if self._failure is not None:
            raise self._failure
        if not self.is_done:
            raise RemoteProblem(grpc.StatusCode.UNAVAILABLE, "", "The stream ended too early.")

    async def _requests(self) -> AsyncIterator[orders_pb2.UploadOrdersRequest]:
        number = self._first
        while True:
            while number - self._first >= WINDOW:
                self._has_room.clear()
                await self._has_room.wait()
            if number - self._first == len(self._waiting) and not self._take():
                return
            batch = self._waiting[number - self._first]
            yield orders_pb2.UploadOrdersRequest(
                batch_id=batch.batch_id,
                platform=f"platforms/{self._platform}",
                arrow_ipc=batch.content,
            )
            number += 1

    def _take(self) -> bool:
        """Take the next batch, which then waits for its answer; False if there is none."""
        try:
            batch = next(self._batches, None)
        except Exception as error:  # noqa: BLE001 - gRPC would drop it; it is raised after the answers
            self._failure = error
            return False
        if batch is None:
            self._is_exhausted = True
            return False
        self._waiting.append(batch)
        return True


def _answer(batch: Batch, response: orders_pb2.UploadOrdersResponse) -> Answer:
    if response.WhichOneof("outcome") != "problem":
        return Answer(batch, receipt=response.receipt)
    problem = problem_of_batch(response.problem)
    if problem.code in _OF_CALLER or _is_transient(problem):
        raise problem
    return Answer(batch, refusal=problem)


def _is_transient(error: grpc.aio.AioRpcError | RemoteProblem) -> bool:
    problem = error if isinstance(error, RemoteProblem) else problem_of(error)
    # A batch that is too large has the code of overload, but stays too large.
    return problem.code in _RETRIED and problem.reason != BatchTooLarge.reason


def _asked_wait(error: grpc.aio.AioRpcError | RemoteProblem) -> float:
    """The seconds after which the service says to try again, at most a minute; 0 if it does not."""
    problem = error if isinstance(error, RemoteProblem) else problem_of(error)
    seconds = problem.metadata.get("retry_seconds", "")
    return min(float(RETRY_SECONDS_MAX), float(seconds)) if seconds.isdecimal() else 0.0


def problem_of_batch(status: status_pb2.Status) -> RemoteProblem:
    """The refusal of a whole batch, in the form of other refusals."""
    reason, sentence_zh, metadata = "", "", dict[str, str]()
    for detail in status.details:
        error_info = error_details_pb2.ErrorInfo()
        localized = error_details_pb2.LocalizedMessage()
        if detail.Unpack(error_info):
            reason, metadata = error_info.reason, dict(error_info.metadata)
        elif detail.Unpack(localized):
            sentence_zh = localized.message
    code = _BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    return RemoteProblem(code, reason, status.message, sentence_zh, metadata)
