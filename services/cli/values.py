"""The values of messages as people, spreadsheets and programs read them, and their titles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from oip.type.v1 import type_pb2

from services.cli.view import language, say
from services.kernel.enum_labels import LABELS
from services.kernel.field_titles import TITLES
from services.kernel.money import Fen
from services.kernel.periods import SHANGHAI
from services.kernel.phrases import Language, label
from services.runtime.rpc.message_fields import (
    FEN,
    NUMBERS,
    Field,
    day_text,
    is_value,
    month_text,
    provision_text,
)


@dataclass(frozen=True)
class Value:
    """One value: as text for people, and as what JSON and CSV hold."""

    text: str
    raw: Any
    is_number: bool = False

    @property
    def cell(self) -> str:
        """The value in CSV."""
        if isinstance(self.raw, bool):
            return "true" if self.raw else "false"
        if isinstance(self.raw, list):
            return " ".join(str(part) for part in self.raw)
        return "" if self.raw is None else str(self.raw)


NOTHING = Value("", None)


def text_value(text: object) -> Value:
    """A text as it is."""
    return Value(str(text), str(text))


def count_value(count: int) -> Value:
    """A count, with separators for people."""
    return Value(f"{count:,}", count, is_number=True)


def fen_value(fen: int) -> Value:
    """An amount: yuan for people, fen for programs."""
    return Value(Fen(fen).yuan, fen, is_number=True)


def truth_value(holds: bool) -> Value:
    """Yes or no."""
    return Value(say("yes", "是") if holds else say("no", "否"), holds)


def moment_value(moment: Timestamp) -> Value:
    """A moment: in Asia/Shanghai for people, with its zone for programs; nothing if not set."""
    if not moment.seconds and not moment.nanos:
        return NOTHING
    local = moment.ToDatetime(SHANGHAI)
    return Value(f"{local:%Y-%m-%d %H:%M:%S}", local.isoformat())


def day_value(day: Date) -> Value:
    """A day; nothing if not set."""
    return text_value(day_text(day)) if day.year else NOTHING


def enum_value(field: Field, number: int) -> Value:
    """A value of an enum: its words for people, its name for programs; nothing for 0."""
    if not number:
        return NOTHING
    enum = field.enum_type
    known = enum.values_by_number.get(number)
    if known is None:
        return Value(str(number), number)
    if known.name in LABELS.get(enum.full_name, {}):
        return Value(label(enum.full_name, known.name).text(language()), known.name)
    return text_value(known.name)


def value_of(message: Message, field: Field) -> Value:
    """A field of a message as one value; a list is joined."""
    content = getattr(message, field.name)
    if not field.is_repeated:
        if field.has_presence and not message.HasField(field.name):
            return NOTHING
        return _single(field, content)
    values = [_single(field, part) for part in content]
    return Value(", ".join(value.text for value in values), [value.raw for value in values])


def _single(field: Field, content: Any) -> Value:
    if field.message_type is not None:
        return _message_value(content)
    if field.enum_type is not None:
        return enum_value(field, content)
    if field.cpp_type in NUMBERS:
        return _number_value(field.name, content)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return truth_value(content)
    return text_value(content.hex() if field.type == FieldDescriptor.TYPE_BYTES else content)


def _number_value(name: str, number: int) -> Value:
    if name.endswith(FEN):
        return fen_value(number)
    if name.endswith("_count"):
        return count_value(number)
    return Value(str(number), number, is_number=True)


def _message_value(message: Any) -> Value:
    if isinstance(message, Timestamp):
        return moment_value(message)
    if isinstance(message, Date):
        return day_value(message)
    if isinstance(message, type_pb2.Month):
        return text_value(month_text(message)) if message.year else NOTHING
    if isinstance(message, type_pb2.Provision):
        return text_value(provision_text(message))
    return Value(f"{message.seconds} s", message.seconds, is_number=True)


def text_of(message: Message, name: str) -> str:
    """A field of a message as people read it."""
    return value_of(message, message.DESCRIPTOR.fields_by_name[name]).text


def title(name: str) -> str:
    """The title of a field, in the language of the command."""
    if language() is Language.ZH and name in TITLES:
        return f"{TITLES[name]}(元)" if name.endswith(FEN) else TITLES[name]
    plain = name.removesuffix(FEN).replace("_", " ")
    return f"{plain} (yuan)" if name.endswith(FEN) else plain


def fields_of(message: Message, names: Iterable[str] = ()) -> list[Field]:
    """These fields of a message; without names all that are values."""
    chosen = list(names)
    if chosen:
        return [message.DESCRIPTOR.fields_by_name[name] for name in chosen]
    return [field for field in message.DESCRIPTOR.fields if is_value(field)]
