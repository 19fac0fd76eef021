"""Rows of an enrolment request: the status of each, in order of precedence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from services.enrolment.domain.workers import DocumentKind, identity_of, is_document_number

_WORKER_NUMBER = re.compile(r"\S(?:.{0,62}\S)?")


class Status(Enum):
    """The statuses of a row, in order of precedence; numbers as in the proto."""

    BAD_WORKER_NUMBER = 1
    BAD_DOCUMENT_NUMBER = 2
    NUMBER_TWICE_IN_REQUEST = 3
    EXISTS_WITH_DIFFERENT_PERSON = 4
    EXISTS_WITH_DIFFERENT_NUMBER = 5
    EXISTS = 6
    CREATED = 7


SENTENCES = {
    Status.BAD_WORKER_NUMBER: (
        "Send the platform's own number of the worker, 1 to 64 characters.",
        "请填写平台自己的人员编号, 1 至 64 个字符。",
    ),
    Status.BAD_DOCUMENT_NUMBER: (
        "The document number is missing or its check character is wrong.",
        "证件号码缺失或校验位不符。",
    ),
    Status.NUMBER_TWICE_IN_REQUEST: (
        "The worker number appears twice, for different people.",
        "同一人员编号用于不同人员。",
    ),
    Status.EXISTS_WITH_DIFFERENT_PERSON: (
        "This worker number belongs to another person.",
        "该人员编号已属于其他人员。",
    ),
    Status.EXISTS_WITH_DIFFERENT_NUMBER: (
        "This person is enrolled under another worker number.",
        "该人员已以其他人员编号登记。",
    ),
}


@dataclass(frozen=True)
class EnrolmentRow:
    """One worker as a platform sends them."""

    worker_number: str
    document_kind: DocumentKind
    document_number: str
    phone: str
    enrol_date: date

    @property
    def identity(self) -> str:
        """What makes the person one person."""
        return identity_of(self.document_kind, self.document_number)


@dataclass(frozen=True)
class EnrolledWorkers:
    """A platform's enrolments: the worker of each number, the number of each worker."""

    worker_of_number: Mapping[str, int]
    number_of_worker: Mapping[int, str]


@dataclass(frozen=True)
class RowOutcome:
    """The status of the row at `index`. `worker` is the worker's id, 0 for a refused row."""

    index: int
    status: Status
    worker: int = 0


def refused_rows(rows: Sequence[EnrolmentRow]) -> dict[int, Status]:
    """The rows that the request alone refutes, by index: bad numbers and contradictions."""
    identity_of_number: dict[str, str] = {}
    refused: dict[int, Status] = {}
    for index, row in enumerate(rows):
        if not _WORKER_NUMBER.fullmatch(row.worker_number):
            refused[index] = Status.BAD_WORKER_NUMBER
        elif not is_document_number(row.document_kind, row.document_number):
            refused[index] = Status.BAD_DOCUMENT_NUMBER
        elif identity_of_number.setdefault(row.worker_number, row.identity) != row.identity:
            refused[index] = Status.NUMBER_TWICE_IN_REQUEST
    return refused


def enrol(
    rows: Sequence[EnrolmentRow],
    refused: Mapping[int, Status],
    workers: Mapping[str, int],
    enrolled: EnrolledWorkers,
) -> list[RowOutcome]:
    """The outcome of each row.

    `refused` comes from `refused_rows`, `workers` has the id of each identity, `enrolled` is what
    the platform had before. A row that repeats an earlier one of the same request exists by then.
    """
    worker_of_number = dict(enrolled.worker_of_number)
    number_of_worker = dict(enrolled.number_of_worker)
    outcomes = []
    for index, row in enumerate(rows):
        status = refused.get(index)
        if status is not None:
            outcomes.append(RowOutcome(index, status))
            continue
        worker = workers[row.identity]
        status = _status(row.worker_number, worker, worker_of_number, number_of_worker)
        if status is Status.CREATED:
            worker_of_number[row.worker_number] = worker
            number_of_worker[worker] = row.worker_number
        is_enrolled = status in {Status.CREATED, Status.EXISTS}
        outcomes.append(RowOutcome(index, status, worker if is_enrolled else 0))
    return outcomes


def _status(
    number: str,
    worker: int,
    worker_of_number: Mapping[str, int],
    number_of_worker: Mapping[int, str],
) -> Status:
    if worker_of_number.get(number, worker) != worker:
        return Status.EXISTS_WITH_DIFFERENT_PERSON
    if number_of_worker.get(worker, number) != number:
        return Status.EXISTS_WITH_DIFFERENT_NUMBER
    return Status.EXISTS if worker in number_of_worker else Status.CREATED
