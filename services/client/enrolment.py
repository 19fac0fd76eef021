"""Enrolling a platform's workers (参保登记): lists of any length, an outcome for each worker."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from google.type.date_pb2 import Date
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc

ROWS_PER_REQUEST = 2_000
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_TAKEN = frozenset(
    {enrolment_pb2.EnrolWorkersResponse.CREATED, enrolment_pb2.EnrolWorkersResponse.EXISTS}
)


@dataclass(frozen=True)
class NewWorker:
    """A worker as the platform knows them; without a first day the enrolment begins today."""

    worker_number: str
    document_number: str
    document_kind: enrolment_pb2.DocumentKind.ValueType = enrolment_pb2.CITIZEN_NUMBER
    phone: str = ""
    enrol_date: date | None = None


@dataclass(frozen=True)
class EnrolOutcome:
    """What became of one worker: the status, the id, and why a row was refused."""

    worker_number: str
    status: str
    worker: int
    text: str

    @property
    def is_enrolled(self) -> bool:
        """Whether the worker is enrolled now, by this call or before."""
        return enrolment_pb2.EnrolWorkersResponse.Status.Value(self.status) in _TAKEN


async def enrol_workers(
    stub: enrolment_pb2_grpc.EnrolmentServiceAsyncStub,
    platform: str,
    workers: Iterable[NewWorker],
    run: str,
) -> AsyncIterator[EnrolOutcome]:
    """Enrol workers, some thousands at a time; yields the outcome of each, in their order.

    `platform` is the credit code. The list under the same `run` again gets the first outcomes; for
    another list choose another run, where workers who are enrolled count as EXISTS. A run has 1 to
    40 characters; any other raises ValueError. Raises grpc.aio.AioRpcError if a request is refused;
    outcomes before it stay valid.
    """
    if not _RUN.fullmatch(run):
        raise ValueError("a run is 1 to 40 letters, digits, '.', '_' or '-'")
    for number, lot in enumerate(_lots(workers)):
        request = enrolment_pb2.EnrolWorkersRequest(
            request_id=f"{run}-{number:05d}",
            platform=f"platforms/{platform}",
            rows=map(_row, lot),
        )
        answer = await stub.EnrolWorkers(request)
        for worker, outcome in zip(lot, answer.outcomes, strict=True):
            status = enrolment_pb2.EnrolWorkersResponse.Status.Name(outcome.status)
            yield EnrolOutcome(worker.worker_number, status, outcome.worker, outcome.text)


def _lots(workers: Iterable[NewWorker]) -> Iterator[list[NewWorker]]:
    waiting = iter(workers)
    while lot := list(islice(waiting, ROWS_PER_REQUEST)):
        yield lot


def _row(worker: NewWorker) -> enrolment_pb2.EnrolWorkersRequest.Row:
    day = worker.enrol_date
    return enrolment_pb2.EnrolWorkersRequest.Row(
        worker_number=worker.worker_number,
        document_kind=worker.document_kind,
        document_number=worker.document_number,
        phone=worker.phone,
        enrol_date=Date(year=day.year, month=day.month, day=day.day) if day else None,
    )
