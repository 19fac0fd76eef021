"""Values of messages as people read them on a page, and as spreadsheets hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from oip.type.v1 import type_pb2

from services.kernel.enum_labels import LABELS
from services.kernel.money import Fen
from services.kernel.periods import SHANGHAI
from services.kernel.phrases import Language, label
from services.runtime.rpc import message_fields
from services.runtime.rpc.message_fields import (
    FEN,
    NUMBERS,
    Field,
    is_value,
    month_text,
    provision_text,
)

# The page of a resource, by the collection in its name; others are records.
PAGES_OF = {
    "awards": "/awards/{id}",
    "claims": "/claims/{id}",
    "settlementPeriods": "/fund/settlement/{id}",
    "appraisals": "/appraisals/{id}",
}
RECORDS_OF = {
    "accidentReports": "accident-reports",
    "ledgerTransactions": "ledger-transactions",
    "orderBatches": "order-batches",
    "paymentRuns": "payment-runs",
    "workers": "workers",
    "platforms": "platforms",
    "orders": "orders",
}
_NAME = re.compile(r"[A-Za-z]+/[^/\s]+(/[A-Za-z]+/[^/\s]+)*")


@dataclass(frozen=True)
class Cell:
    """A value: its text, what a spreadsheet holds, and the page it leads to."""

    text: str
    raw: Any = None
    is_number: bool = False
    href: str = ""
    # The colour of a tag around it; empty for none.
    tag: str = ""
    # What a cell of a spreadsheet holds, if it is not `raw`: an amount in yuan.
    sheet: Decimal | None = None

    @property
    def plain(self) -> str:
        """The value in CSV: amounts in fen, days as ISO 8601, enums by their names."""
        if isinstance(self.raw, bool):
            return "true" if self.raw else "false"
        return self.text if self.raw is None else str(self.raw)


EMPTY = Cell("", "")


def text_cell(text: str, *, href: str = "", tag: str = "") -> Cell:
    """A text."""
    return Cell(text, text, href=href, tag=tag)


def count_cell(count: int) -> Cell:
    """A count, with separators."""
    return Cell(f"{count:,}", count, is_number=True)


def fen_cell(fen: int) -> Cell:
    """An amount, in yuan for people and in fen for spreadsheets."""
    return Cell(Fen(fen).yuan, fen, is_number=True, sheet=Decimal(fen) / 100)


def name_cell(name: str) -> Cell:
    """The name of a resource, which leads to its page."""
    return Cell(short_name(name), name, href=page_of(name))


def short_name(name: str) -> str:
    """The part of a resource's name by which people call it."""
    return name.rpartition("/")[2] if _NAME.fullmatch(name) else name


def page_of(name: str) -> str:
    """The address of a resource's page; empty if it has none."""
    if not _NAME.fullmatch(name):
        return ""
    parts = name.split("/")
    collection = parts[-2]
    if len(parts) == 2 and collection in PAGES_OF:
        return PAGES_OF[collection].format(id=quote(parts[1], safe=""))
    if collection == "premiumBills":
        return f"/bills/{quote(name)}"
    if collection in RECORDS_OF:
        return f"/records/{RECORDS_OF[collection]}/show?name={quote(name, safe='')}"
    return ""


def moment_text(moment: Timestamp | datetime | None) -> str:
    """A moment in Asia/Shanghai, to the minute; empty if it is not set."""
    if isinstance(moment, Timestamp):
        if not moment.seconds and not moment.nanos:
            return ""
        moment = moment.ToDatetime(SHANGHAI)
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d %H:%M}" if moment else ""


def day_text(day: Date | date | None) -> str:
    """A day; empty if it is not set."""
    if isinstance(day, date):
        return day.isoformat()
    return message_fields.day_text(day) if day is not None else ""


class Formatter:
    """Values in a language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def truth(self, *, holds: bool) -> Cell:
        """Yes or no."""
        labels = ("yes", "no") if self.language is Language.EN else ("是", "否")
        return Cell(labels[0] if holds else labels[1], holds)

    def enum(self, enum: Any, number: int) -> Cell:
        """A value of an enum by its descriptor; nothing for 0."""
        known = enum.values_by_number.get(number)
        if not number or known is None:
            return EMPTY if not number else Cell(str(number), number)
        if known.name in LABELS.get(enum.full_name, {}):
            text = label(enum.full_name, known.name).text(self.language)
            return Cell(text, known.name)
        return Cell(known.name.replace("_", " ").lower(), known.name)

    def of(self, message: Message, name: str) -> Cell:
        """A field of a message as one value; a list is joined."""
        field = message.DESCRIPTOR.fields_by_name[name]
        content = getattr(message, name)
        if not field.is_repeated:
            if field.has_presence and not message.HasField(name):
                return EMPTY
            return self._single(field, content)
        cells = [self._single(field, part) for part in content]
        between = "、" if self.language is Language.ZH else ", "
        href = cells[0].href if len(cells) == 1 else ""
        plain = " ".join(cell.plain for cell in cells)
        return Cell(between.join(cell.text for cell in cells), plain, href=href)

    def _single(self, field: Field, content: Any) -> Cell:
        if field.message_type is not None:
            return self._message(content)
        if field.enum_type is not None:
            return self.enum(field.enum_type, content)
        if field.cpp_type in NUMBERS:
            return self._number(field.name, content)
        if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
            return self.truth(holds=content)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return Cell(f"{content.hex()[:12]}…" if content else "", content.hex())
        return name_cell(content) if _NAME.fullmatch(content) else Cell(content, content)

    @staticmethod
    def _number(name: str, number: int) -> Cell:
        if name.endswith(FEN):
            return fen_cell(number)
        if name.endswith("_count"):
            return count_cell(number)
        return Cell(str(number), number, is_number=True)

    @staticmethod
    def _message(message: Any) -> Cell:
        if isinstance(message, Timestamp):
            local = message.ToDatetime(SHANGHAI) if message.seconds else None
            return Cell(moment_text(message), local.isoformat() if local else "")
        if isinstance(message, Date):
            return text_cell(day_text(message))
        if isinstance(message, type_pb2.Month):
            return text_cell(month_text(message))
        if isinstance(message, type_pb2.Provision):
            return text_cell(provision_text(message))
        return Cell(f"{message.seconds} s", message.seconds, is_number=True)


def value_fields(message: Any, without: Iterable[str] = ()) -> list[str]:
    """The names of a message type's fields that are values."""
    hidden = set(without)
    return [field.name for field in message.fields if is_value(field) and field.name not in hidden]
