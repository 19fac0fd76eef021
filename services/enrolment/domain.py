"""Rules of enrolment: who is one person, and what becomes of each row a platform sends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from services.kernel.identifiers import is_citizen_number, is_credit_code
from services.kernel.problems import Kind, Malformed, Problem

ROWS_PER_REQUEST = 5_000
NUMBERS_PER_LOOK_UP = 10_000
_WORKER_NUMBER = re.compile(r"\S(?:.{0,62}\S)?")
_DOCUMENT_NUMBER = re.compile(r"[A-Z0-9]{5,20}")


class NotACreditCode(Problem):
    """The unified social credit code is wrong."""

    kind, reason = Kind.MALFORMED, "NOT_A_CREDIT_CODE"
    message = (
        "{credit_code} is no unified social credit code: it has 18 characters, the last of which "
        "checks the others; copy it from the business licence."
    )
    message_zh = "{credit_code} 不是有效的统一社会信用代码; 请按营业执照核对。"


class PlatformExists(Problem):
    """The platform is registered with other particulars."""

    kind, reason = Kind.DIFFERENT_EXISTS, "PLATFORM_EXISTS"
    message = "{name} is registered already with other particulars; look at it with GetPlatform."
    message_zh = "{name} 已以不同信息登记; 请先查询。"


class PlatformNotRegistered(Problem):
    """The platform has to be registered first."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "PLATFORM_NOT_REGISTERED"
    message = "{name} is not registered with the scheme; ask the agency to register it first."
    message_zh = "{name} 尚未登记; 请先向经办机构登记。"


class DocumentKind(Enum):
    """What kind of document identifies a worker."""

    CITIZEN_NUMBER = 1
    PASSPORT = 2
    RESIDENCE_PERMIT = 3


class Status(Enum):
    """What becomes of a row, in order of precedence."""

    BAD_WORKER_NUMBER = 1
    BAD_DOCUMENT_NUMBER = 2
    NUMBER_TWICE_IN_REQUEST = 3
    EXISTS_WITH_DIFFERENT_PERSON = 4
    EXISTS_WITH_DIFFERENT_NUMBER = 5
    EXISTS = 6
    CREATED = 7


SENTENCES = {
    Status.BAD_WORKER_NUMBER: "Give the platform's own number of the worker, 1 to 64 characters.",
    Status.BAD_DOCUMENT_NUMBER: "The document number is missing or its check character is wrong.",
    Status.NUMBER_TWICE_IN_REQUEST: "The worker number stands twice for different people.",
    Status.EXISTS_WITH_DIFFERENT_PERSON: "This worker number belongs to another person.",
    Status.EXISTS_WITH_DIFFERENT_NUMBER: "This person is enrolled under another worker number.",
}


@dataclass(frozen=True)
class Platform:
    """A platform company (平台企业)."""

    credit_code: str
    display_name: str
    industries: tuple[int, ...]

    @property
    def name(self) -> str:
        """The resource name."""
        return f"platforms/{self.credit_code}"


@dataclass(frozen=True)
class Row:
    """One worker as a platform sends them."""

    worker_number: str
    document_kind: DocumentKind
    document_number: str
    phone: str
    enrol_date: date

    @property
    def identity(self) -> str:
        """What makes a person one person: the document's kind and number."""
        return f"{self.document_kind.name}:{self.document_number}"


@dataclass(frozen=True)
class Held:
    """What the platform has enrolled: the person behind each number, the number of each person."""

    person_of_number: Mapping[str, int]
    number_of_person: Mapping[int, str]


@dataclass(frozen=True)
class Decision:
    """What becomes of one row. `worker` is 0 for a refused one."""

    index: int
    status: Status
    worker: int = 0


def platform(credit_code: str, display_name: str, industries: Iterable[int]) -> Platform:
    """A platform with a valid credit code and at least one industry; raises a Problem."""
    if not is_credit_code(credit_code):
        raise NotACreditCode(field="credit_code", credit_code=credit_code[:40])
    named = display_name.strip()
    if not named or len(named) > 200:
        raise Malformed.of("display_name", "give the company's name, 1 to 200 characters")
    sorted_industries = tuple(sorted(set(industries)))
    if not sorted_industries or 0 in sorted_industries:
        raise Malformed.of("industries", "name at least one industry of the scheme")
    return Platform(credit_code, named, sorted_industries)


def check(rows: Sequence[Row]) -> dict[int, Status]:
    """The rows that are refused for what they say by themselves, by index."""
    identity_of_number: dict[str, str] = {}
    refused: dict[int, Status] = {}
    for index, row in enumerate(rows):
        if not _WORKER_NUMBER.fullmatch(row.worker_number):
            refused[index] = Status.BAD_WORKER_NUMBER
        elif not _is_document(row):
            refused[index] = Status.BAD_DOCUMENT_NUMBER
        elif identity_of_number.setdefault(row.worker_number, row.identity) != row.identity:
            refused[index] = Status.NUMBER_TWICE_IN_REQUEST
    return refused


def decide(
    rows: Sequence[Row], refused: Mapping[int, Status], people: Mapping[str, int], held: Held
) -> list[Decision]:
    """What becomes of each row.

    `people` gives the worker behind each identity. A row that repeats an earlier one of the same
    request exists by then.
    """
    person_of_number = dict(held.person_of_number)
    number_of_person = dict(held.number_of_person)
    decisions = []
    for index, row in enumerate(rows):
        status = refused.get(index)
        if status is not None:
            decisions.append(Decision(index, status))
            continue
        worker = people[row.identity]
        status = _status(row.worker_number, worker, person_of_number, number_of_person)
        if status is Status.CREATED:
            person_of_number[row.worker_number] = worker
            number_of_person[worker] = row.worker_number
        known = status in {Status.CREATED, Status.EXISTS}
        decisions.append(Decision(index, status, worker if known else 0))
    return decisions


def mask(document_number: str) -> str:
    """The number with all but the last four characters hidden."""
    return "*" * max(0, len(document_number) - 4) + document_number[-4:]


def _status(
    number: str,
    worker: int,
    person_of_number: Mapping[str, int],
    number_of_person: Mapping[int, str],
) -> Status:
    if person_of_number.get(number, worker) != worker:
        return Status.EXISTS_WITH_DIFFERENT_PERSON
    if number_of_person.get(worker, number) != number:
        return Status.EXISTS_WITH_DIFFERENT_NUMBER
    return Status.EXISTS if worker in number_of_person else Status.CREATED


def _is_document(row: Row) -> bool:
    if row.document_kind is DocumentKind.CITIZEN_NUMBER:
        return is_citizen_number(row.document_number)
    return _DOCUMENT_NUMBER.fullmatch(row.document_number) is not None
