"""Fields of requests as fields of forms, both ways: kind and bounds come from the protos."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from oip.type.v1 import type_pb2
from starlette.datastructures import UploadFile

from services.console.texts import Text, say, title_of
from services.console.values import Formatter
from services.kernel.enum_labels import LABELS
from services.kernel.money import Fen
from services.kernel.periods import SHANGHAI, Month
from services.kernel.phrases import Language
from services.runtime.rpc.message_fields import FEN, NUMBERS, Field
from services.runtime.rpc.wire import date_to_wire, month_to_wire

_YUAN = re.compile(r"-?\d{1,13}(\.\d{1,2})?", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)
# More choices than this make a list to choose from instead of buttons.
RADIOS_MAX = 12
HASH_BYTES = 1 << 16


@dataclass(frozen=True)
class Ask:
    """A field of a request that a form asks for; `field` may lead into a part: `enquiry.x`."""

    field: str
    label: Text | None = None
    hint: Text | None = None
    required: bool | None = None
    # The values of an enum that are offered; all if it is empty.
    choices: tuple[str, ...] = ()
    # Offered values of a text, with their labels; texts of other records.
    options: tuple[tuple[str, Text], ...] = ()


@dataclass(frozen=True)
class Widget:
    """A field of a form as the template shows it."""

    name: str
    kind: str
    label: str
    hint: str = ""
    value: str = ""
    values: Sequence[str] = ()
    options: Sequence[tuple[str, str]] = ()
    error: str = ""
    required: bool = False
    max_length: int = 0

    @property
    def id(self) -> str:
        """The id of its element."""
        return self.name.replace(".", "-").replace("_", "-")


class UnreadableError(Exception):
    """What was entered is not what the field holds."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.text: Text = (en, zh)


@dataclass
class Form:
    """A form for a request, with what was entered so far."""

    request: type[Message]
    asks: Sequence[Ask]
    language: Language
    entered: Mapping[str, Sequence[str]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def read(self) -> Message:
        """The request of what was entered; `errors` says what is wrong with it."""
        request = self.request()
        for ask in self.asks:
            owner, descriptor = _place(request, ask.field)
            texts = [text.strip() for text in self.entered.get(ask.field, ()) if text.strip()]
            if not texts:
                if self._is_required(ask, descriptor):
                    self.errors[ask.field] = say(_missing(descriptor), self.language)
                continue
            try:
                _fill(owner, descriptor, texts)
            except UnreadableError as error:
                self.errors[ask.field] = say(error.text, self.language)
        return request

    def widgets(self) -> list[Widget]:
        """The fields for the template."""
        return [self._widget(ask) for ask in self.asks]

    def answers(self) -> list[tuple[str, str, str]]:
        """What was entered as people read it: name, label and text."""
        shown = []
        for widget in self.widgets():
            labels = dict(widget.options)
            text = "、".join(labels.get(value, value) for value in widget.values)
            shown.append((widget.name, widget.label, text))
        return shown

    def hidden(self) -> list[tuple[str, str]]:
        """What was entered, for a page that carries it along."""
        names = {ask.field for ask in self.asks} | {f"{ask.field}.file" for ask in self.asks}
        return [
            (name, text) for name, texts in self.entered.items() if name in names for text in texts
        ]

    def refuse(self, fields: Iterable[str], sentence: str) -> None:
        """Mark the fields that the service refused."""
        asked = {ask.field for ask in self.asks}
        for name in fields:
            if name in asked:
                self.errors[name] = sentence

    def _is_required(self, ask: Ask, descriptor: Field) -> bool:
        bounds = descriptor.GetOptions().Extensions[type_pb2.bounds]
        return bool(bounds.required) if ask.required is None else ask.required

    def _widget(self, ask: Ask) -> Widget:
        _, descriptor = _place(self.request(), ask.field)
        kind = _kind_of(descriptor, ask)
        values = [text for text in self.entered.get(ask.field, ()) if text]
        label = (
            say(ask.label, self.language) if ask.label else title_of(descriptor.name, self.language)
        )
        return Widget(
            ask.field,
            kind,
            label,
            say(ask.hint, self.language) if ask.hint else "",
            values[-1] if values else "",
            values,
            self._options(ask, descriptor, kind),
            self.errors.get(ask.field, ""),
            self._is_required(ask, descriptor),
            descriptor.GetOptions().Extensions[type_pb2.bounds].max_length,
        )

    def _options(self, ask: Ask, descriptor: Field, kind: str) -> list[tuple[str, str]]:
        formatter = Formatter(self.language)
        if ask.options:
            return [(value, say(text, self.language)) for value, text in ask.options]
        if descriptor.enum_type is not None:
            named = ask.choices or tuple(LABELS.get(descriptor.enum_type.full_name, {}))
            return [
                (value.name, formatter.enum(descriptor.enum_type, value.number).text)
                for value in descriptor.enum_type.values
                if value.number and (not named or value.name in named)
            ]
        if kind == "yes_no":
            return [
                ("yes", formatter.truth(holds=True).text),
                ("no", formatter.truth(holds=False).text),
            ]
        if kind == "checkbox":
            return [("yes", formatter.truth(holds=True).text)]
        return []


def entered_in(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Entries by the names of their fields."""
    by_name: dict[str, list[str]] = {}
    for name, value in pairs:
        by_name.setdefault(name, []).append(value)
    return by_name


async def hash_of(file: UploadFile) -> str:
    """The SHA-256 of an uploaded document, by which the services know it."""
    digest = sha256()
    while piece := await file.read(HASH_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def descriptor_of(request: type[Message], path: str) -> Field:
    """The field that a path leads to."""
    return _place(request(), path)[1]


def _place(request: Any, path: str) -> tuple[Any, Field]:
    """The message that holds a field, and the field's descriptor."""
    *parts, name = path.split(".")
    owner = request
    for part in parts:
        owner = getattr(owner, part)
    return owner, owner.DESCRIPTOR.fields_by_name[name]


def _kind_of(descriptor: Field, ask: Ask) -> str:
    if ask.options or descriptor.enum_type is not None:
        if descriptor.is_repeated:
            return "checkboxes"
        count = len(ask.options or ask.choices) or len(descriptor.enum_type.values)
        return "radios" if count <= RADIOS_MAX else "select"
    if descriptor.is_repeated:
        return "list"
    if descriptor.message_type is not None:
        return _MESSAGE_KINDS[descriptor.message_type.full_name]
    return _kind_of_value(descriptor, ask)


def _kind_of_value(descriptor: Field, ask: Ask) -> str:
    if descriptor.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return "yes_no" if ask.required else "checkbox"
    if descriptor.cpp_type in NUMBERS:
        return "yuan" if descriptor.name.endswith(FEN) else "number"
    if descriptor.type == FieldDescriptor.TYPE_BYTES:
        return "file"
    return "lines" if descriptor.GetOptions().Extensions[type_pb2.bounds].lines else "text"


_MESSAGE_KINDS = {
    "google.type.Date": "date",
    "google.protobuf.Timestamp": "moment",
    "oip.type.v1.Month": "month",
}


def _missing(descriptor: Field) -> Text:
    if descriptor.enum_type is not None or descriptor.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return ("Choose an answer.", "请选择一项。")
    if descriptor.type == FieldDescriptor.TYPE_BYTES:
        return ("Choose the file.", "请选择文件。")
    return ("Fill this in.", "请填写此项。")


def _fill(owner: Any, descriptor: Field, texts: Sequence[str]) -> None:
    name = descriptor.name
    if descriptor.is_repeated:
        lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
        getattr(owner, name).extend(_value(descriptor, line) for line in lines)
        return
    value = _value(descriptor, texts[-1])
    if descriptor.message_type is not None:
        getattr(owner, name).CopyFrom(value)
        return
    try:
        setattr(owner, name, value)
    except ValueError:
        raise UnreadableError("The number is too large.", "数值过大。") from None


def _value(descriptor: Field, text: str) -> Any:
    if descriptor.enum_type is not None:
        known = descriptor.enum_type.values_by_name.get(text)
        if known is None:
            raise UnreadableError("Choose one of the answers.", "请从选项中选择。")
        return known.number
    if descriptor.message_type is not None:
        return _READERS[descriptor.message_type.full_name](text)
    if descriptor.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return text == "yes"
    if descriptor.cpp_type in NUMBERS:
        return _fen(text) if descriptor.name.endswith(FEN) else _whole(text)
    if descriptor.type == FieldDescriptor.TYPE_BYTES:
        if not _HASH.fullmatch(text):
            raise UnreadableError("Choose the file again.", "请重新选择文件。")
        return bytes.fromhex(text)
    return text


def _fen(text: str) -> int:
    plain = text.replace(",", "").replace("，", "")
    if not _YUAN.fullmatch(plain):
        raise UnreadableError(
            "Write the amount in yuan, such as 1234.56.", "请以元为单位填写金额，如 1234.56。"
        )
    return Fen.of_yuan(plain).count


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise UnreadableError("Write a whole number.", "请填写整数。")
    return int(text)


def day_of(text: str) -> Message:
    """A day as it is typed. Raises UnreadableError."""
    try:
        day: Message = date_to_wire(date.fromisoformat(text))
    except ValueError:
        raise UnreadableError(
            "Write the day as 2025-07-01.", "请按 2025-07-01 的格式填写日期。"
        ) from None
    return day


def _month(text: str) -> Message:
    try:
        return month_to_wire(Month.parse(text))
    except ValueError:
        raise UnreadableError(
            "Write the month as 2025-07.", "请按 2025-07 的格式填写月份。"
        ) from None


def _moment(text: str) -> Message:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableError(
            "Write the time as 2025-07-01 08:30.", "请按 2025-07-01 08:30 的格式填写时间。"
        ) from None
    message = Timestamp()
    message.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI))
    return message


_READERS: Mapping[str, Callable[[str], Message]] = {
    "google.type.Date": day_of,
    "google.protobuf.Timestamp": _moment,
    "oip.type.v1.Month": _month,
}
