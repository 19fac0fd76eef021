"""Fields of requests as options and arguments of commands, both ways.

Names and help come from the protos: `--due-date` of `due_date`. An amount is written in yuan, a day
as 2025-07-01, a month as 2025-07, a moment in Asia/Shanghai unless it has a zone, a value of an
enum in lower case with dashes, a file in place of a hash, and a resource by its name or its id.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from oip import comments
from oip.type.v1 import type_pb2

from services.cli.connection import day_of, fen_of, month_of
from services.cli.refusals import Refused, not_a_choice, unreadable
from services.kernel.enum_labels import LABELS
from services.kernel.periods import SHANGHAI
from services.runtime.rpc.message_fields import FEN, NUMBERS, Field
from services.runtime.rpc.wire import date_to_wire, month_to_wire

PAGING = ("page_size", "page_token")
_COLLECTION = re.compile(r"`(\w+)/\{[^}/]+\}`")
_DURATION = re.compile(r"(\d{1,6})([smh]?)", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def comment(full_name: str) -> str:
    """The comment of a part of the protos, as help."""
    return comments.COMMENTS.get(full_name, "").replace("`", "")


def first_sentence(full_name: str) -> str:
    """The first sentence of a comment."""
    return f"{comment(full_name).partition('. ')[0].rstrip('.')}."


def parameters_of(
    fields: Iterable[Field],
    arguments: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
) -> list[inspect.Parameter]:
    """Parameters of a command, in the form in which typer reads them.

    `arguments` are the fields without a dash; they are required. `options` names fields otherwise.
    """
    positional = list(arguments)
    by_name = {field.name: field for field in fields}
    others = [name for name in by_name if name not in positional]
    return [
        _parameter(by_name[name], (options or {}).get(name, ""), is_argument=name in positional)
        for name in [*positional, *others]
    ]


def as_command(
    name: str, text: str, parameters: Iterable[inspect.Parameter], work: Callable[..., None]
) -> Callable[..., None]:
    """A function for typer: `work` with the context and the values of these parameters."""
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    signature = inspect.Signature([context, *parameters])

    def command(**values: Any) -> None:
        work(values.pop("context"), values)

    command.__name__ = name
    command.__doc__ = text
    command.__signature__ = signature  # type: ignore[attr-defined]
    command.__annotations__ = {
        name: parameter.annotation for name, parameter in signature.parameters.items()
    }
    return command


def fill_request(request: Any, values: Mapping[str, Any]) -> None:
    """Set the fields of a request that the values name; raises Refused for what cannot be read."""
    for name, value in values.items():
        field = request.DESCRIPTOR.fields_by_name.get(name)
        if field is None or not value:
            continue
        if field.is_repeated:
            getattr(request, name).extend(_read(field, part) for part in value)
        elif field.message_type is not None:
            getattr(request, name).CopyFrom(_read(field, value))
        else:
            setattr(request, name, _read(field, value))


def option_name(field: Field) -> str:
    """The name of the option of a field, without dashes in front; a list is given one by one."""
    name = str(field.name).removesuffix(FEN)
    if _is_file(field):
        name = name.removesuffix("_hash")
    if field.is_repeated:
        name = re.sub("s$", "", re.sub("ies$", "y", name))
    return name.replace("_", "-")


def choices_of(field: Field) -> list[str]:
    """The words for the values of an enum: `next-of-kin`."""
    return list(choices_in(field.enum_type))


def _parameter(field: Field, name: str, *, is_argument: bool) -> inspect.Parameter:
    text = comment(field.full_name)
    if field.enum_type is not None:
        text = f"{text} One of {', '.join(choices_of(field))}."
    kind: Any = _type_of(field)
    required = is_required(field)
    default: Any = inspect.Parameter.empty
    if is_argument:
        info: Any = typer.Argument(help=text)
    else:
        declared = f"--{name or option_name(field)}"
        complete = (lambda: choices_of(field)) if field.enum_type is not None else None
        info = typer.Option(declared, help=text, autocompletion=complete)
        if not required:
            default = False if kind is bool else None
            kind = kind if kind is bool else kind | None
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, info],
    )


def _type_of(field: Field) -> Any:
    if field.is_repeated:
        return list[str]
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return bool
    if field.cpp_type in NUMBERS and not field.name.endswith(FEN):
        return int
    return Path if _is_file(field) else str


def is_required(field: Field) -> bool:
    """Whether the bounds of a field say so; yes and no always have a default."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return False
    return bool(field.GetOptions().Extensions[type_pb2.bounds].required)


def _is_file(field: Field) -> bool:
    """Whether the field is the hash of a document, which a command takes as the file."""
    is_bytes = field.type == FieldDescriptor.TYPE_BYTES
    return is_bytes and field.name in {"document_hash", "content_hash"}


def _read(field: Field, value: Any) -> Any:
    if field.enum_type is not None:
        return choice_in(field.enum_type, value)
    if field.message_type is not None:
        return _READERS[field.message_type.full_name](value)
    if _is_file(field):
        return hash_of(value)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return bytes_of(value)
    if field.name.endswith(FEN):
        return fen_of(value).count
    return _named(field, value) if isinstance(value, str) else value


def _named(field: Field, text: str) -> str:
    """The name of a resource, where its id alone is given: `awards/{id}`."""
    match = _COLLECTION.search(comments.COMMENTS.get(field.full_name, ""))
    return f"{match[1]}/{text}" if match and "/" not in text else text


def choice_in(enum: Any, text: str) -> Any:
    """The number of an enum's value: `next-of-kin`, NEXT_OF_KIN, or its words in Chinese."""
    choices = choices_in(enum)
    word = text.lower().replace("_", "-")
    labels = LABELS.get(enum.full_name, {})
    chinese = {zh: enum.values_by_name[name].number for name, (_, zh) in labels.items()}
    if word not in choices and text not in chinese:
        raise not_a_choice(text, list(choices))
    return choices.get(word) or chinese[text]


def choices_in(enum: Any) -> dict[str, int]:
    """The numbers of an enum's values by the words for them."""
    names = [value.name for value in enum.values if value.number]
    prefix = f"{enum.name.upper()}_"  # as in RECIPIENT_WORKER
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): enum.values_by_name[name].number
        for name in names
    }


def moment_of(text: str) -> datetime:
    """A moment, in Asia/Shanghai unless it has a zone. Raises Refused."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            "{text} is not a moment; write it as 2025-07-01T08:30.",
            "{text} 不是时间; 请写作 `2025-07-01T08:30`。",
            text=text,
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=SHANGHAI)


def hash_of(document: Path) -> bytes:
    """The SHA-256 of a file, which the system knows it by; the file stays where it is."""
    try:
        return sha256(document.read_bytes()).digest()
    except OSError as error:
        raise unreadable(document, error) from error


def _timestamp(text: str) -> Message:
    message = Timestamp()
    message.FromDatetime(moment_of(text))
    return message


def _duration(text: str) -> Message:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise Refused(
            "{text} is not a time; write it as 90s, 30m or 2h.",
            "{text} 不是时长; 请写作 `90s`、`30m` 或 `2h`。",
            text=text,
        )
    message = Duration()
    message.FromTimedelta(timedelta(seconds=int(match[1]) * _UNITS[match[2]]))
    return message


def bytes_of(text: str) -> bytes:
    """The bytes that hexadecimal digits write. Raises Refused."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise Refused(
            "{text} is not a hash; copy its hexadecimal digits.",
            "{text} 不是哈希值; 请照抄其十六进制数字。",
            text=text,
        ) from None


_READERS: Mapping[str, Callable[[str], Message]] = {
    "google.type.Date": lambda text: date_to_wire(day_of(text)),
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "oip.type.v1.Month": lambda text: month_to_wire(month_of(text)),
}


def is_option(field: Field) -> bool:
    """Whether a field can be an option: one value, or a list of words."""
    return field.message_type is None or field.message_type.full_name in _READERS


def options_in(message: Any, without: Iterable[str] = PAGING) -> Iterator[Field]:
    """The fields of a message type that can be options."""
    hidden = set(without)
    for field in message.fields:
        if field.name not in hidden and is_option(field):
            yield field
