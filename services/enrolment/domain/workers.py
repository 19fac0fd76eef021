"""A worker (新就业形态人员): one person is one worker, identified by one document."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum

from services.kernel.identifiers import is_citizen_number

_DOCUMENT_NUMBER = re.compile(r"[A-Z0-9]{5,20}")
SHOWN = 4  # last characters of a document number that people may see


class DocumentKind(Enum):
    """The kinds of document that identify a worker; numbers as in the proto."""

    CITIZEN_NUMBER = 1
    PASSPORT = 2
    RESIDENCE_PERMIT = 3


@dataclass(frozen=True)
class Enrolment:
    """One platform's enrolment of a worker; `platform` is the credit code.

    `create_time` is when the platform sent it.
    """

    platform: str
    worker_number: str
    # The first day, as the platform gives it; it may lie before the sending.
    enrol_date: date
    # When the platform sent it.
    create_time: datetime


@dataclass(frozen=True)
class Worker:
    """A worker with the enrolments that the reader may see. The id is random."""

    id: int
    document_number: str = field(repr=False)
    enrolments: tuple[Enrolment, ...]
    # The person was erased, and the document number cannot be read any more.
    erased: bool = False


def identity_of(kind: DocumentKind, document_number: str) -> str:
    """What makes a person one person: the document's kind and number."""
    return f"{kind.name}:{document_number}"


def is_document_number(kind: DocumentKind, text: str) -> bool:
    """Whether a number has the form of its document; a citizen number needs its check character."""
    if kind is DocumentKind.CITIZEN_NUMBER:
        return is_citizen_number(text)
    return _DOCUMENT_NUMBER.fullmatch(text) is not None


def mask(document_number: str) -> str:
    """The number with all but the last four characters hidden."""
    return "*" * max(0, len(document_number) - SHOWN) + document_number[-SHOWN:]
