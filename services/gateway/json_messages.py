"""JSON in, messages out, and back: the proto3 mapping, but stricter about what it does not know.

`json_format` takes some things that are no request of anybody: a list as an empty message, digits
of any script, a text that is no base64. What is refused has a reason and names its field.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.gateway.problems import (
    JsonFieldUnknown,
    JsonNameTwice,
    JsonOneOf,
    JsonTooDeep,
    JsonUnreadable,
    JsonValueWrong,
)
from services.kernel.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

Parsed = TypeVar("Parsed", bound="Message")

_INTEGER = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
# Of a name that is shown to the caller.
SHOWN_LENGTH = 60
OBJECT = Phrase("OBJECT", "an object", "对象")
LIST = Phrase("LIST", "a list without nulls", "不含空值的列表")
TEXT = Phrase("TEXT", "a text", "文本")
TRUTH = Phrase("TRUTH", "true or false", "`true` 或 `false`")
INTEGER = Phrase(
    "INTEGER",
    "a whole number within its range, as a number or as a text",
    "范围内的整数(数字或文本)",
)
BYTES = Phrase("BYTES", "bytes as a base64 text", "base64 文本")
CHOICE = Phrase("CHOICE", "one of the names that /docs lists", "`/docs` 所列名称之一")
MOMENT = Phrase(
    "MOMENT", "a moment such as 2025-07-01T09:00:00Z", "时间, 例如 `2025-07-01T09:00:00Z`"
)
DURATION = Phrase("DURATION", "a duration such as 3600s", "时长, 例如 `3600s`")
FITTING = Phrase("FITTING", "as /docs describes it", "符合 `/docs` 的说明")
NAMES = Phrase(
    "NAMES", "an object whose names have no half of a character", "名称中不含半个字符的对象"
)


def parse(content: bytes, message_class: type[Parsed]) -> Parsed:
    """The message that a JSON text says. Raises a Problem of kind MALFORMED."""
    value = load(content)
    message = message_class()
    _require_message(value, message.DESCRIPTOR, "")
    try:
        return json_format.ParseDict(value, message)
    except json_format.ParseError as error:  # what the check above does not know
        raise _wrong("request", FITTING) from error


def load(content: bytes) -> dict[str, Any]:
    """The JSON object in a text. Raises JsonUnreadable, JsonTooDeep or JsonNameTwice."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_object_of)
    except UnicodeDecodeError as error:
        raise JsonUnreadable(field="request", position=error.start) from None
    except json.JSONDecodeError as error:
        raise JsonUnreadable(field="request", position=error.pos) from None
    except RecursionError:
        raise JsonTooDeep(field="request") from None
    except ValueError:  # a number of thousands of digits
        raise _wrong("request", INTEGER) from None
    if not isinstance(value, dict):
        raise JsonUnreadable(field="request", position=0)
    return value


def dump(message: Message) -> bytes:
    """A message as JSON: fields without a value too, so that a count of 0 can be read."""
    value = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return dump_value(value)


def dump_value(value: Any) -> bytes:
    """A value as JSON in UTF-8, on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if not all(map(_is_text, value)):
        raise _wrong("request", NAMES)
    if len(value) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise JsonNameTwice(field="request", name=name[:SHOWN_LENGTH])
    return value


def _require_message(value: Any, descriptor: Any, path: str) -> None:
    special = _SPECIAL.get(descriptor.full_name)
    if special is not None:
        special(value, path)
        return
    if not isinstance(value, dict):
        raise _wrong(path, OBJECT)
    seen: dict[str, str] = {}
    for name, item in value.items():
        field = _field(descriptor, name, path)
        inner = f"{path}.{name}" if path else name
        if field.name in seen:
            raise JsonNameTwice(field=inner, name=inner)
        if item is None:
            continue
        group = field.containing_oneof
        if group is not None and group.name in seen:
            raise JsonOneOf(field=inner, field_name=inner, group=group.name)
        seen[group.name if group else field.name] = seen[field.name] = name
        if field.is_repeated:
            _require_list(item, field, inner)
        else:
            _require_value(item, field, inner)


def _field(descriptor: Any, name: str, path: str) -> FieldDescriptor:
    field: FieldDescriptor | None = descriptor.fields_by_camelcase_name.get(
        name
    ) or descriptor.fields_by_name.get(name)
    if field is None:
        short = name[:SHOWN_LENGTH] or '""'
        shown = f"{path}.{short}" if path else short
        raise JsonFieldUnknown(
            field=shown,
            field_name=shown,
            of=descriptor.full_name,
            fields=tuple(known.camelcase_name for known in descriptor.fields),
        )
    return field


def _require_list(value: Any, field: FieldDescriptor, path: str) -> None:
    if not isinstance(value, list) or None in value:
        raise _wrong(path, LIST)
    for index, item in enumerate(value):
        _require_value(item, field, f"{path}[{index}]")


def _require_value(value: Any, field: FieldDescriptor, path: str) -> None:
    if field.message_type is not None:
        _require_message(value, field.message_type, path)
    elif field.enum_type is not None:
        _require_choice(value, field, path)
    elif field.type in _RANGES:
        _require_integer(value, _RANGES[field.type], path)
    elif field.type == FieldDescriptor.TYPE_BOOL and not isinstance(value, bool):
        raise _wrong(path, TRUTH)
    elif field.type == FieldDescriptor.TYPE_STRING and not _is_text(value):
        raise _wrong(path, TEXT)
    elif field.type == FieldDescriptor.TYPE_BYTES and not _is_base64(value):
        raise _wrong(path, BYTES)


def _require_choice(value: Any, field: FieldDescriptor, path: str) -> None:
    if isinstance(value, str) and field.enum_type is not None:
        if _is_text(value) and value in field.enum_type.values_by_name:
            return
    elif _is_integer(value, *_RANGES[FieldDescriptor.TYPE_INT32]):
        return  # the service says whether the proto names it
    raise _wrong(path, CHOICE)


def _require_integer(value: Any, bounds: tuple[int, int], path: str) -> None:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not _is_integer(value, *bounds):
        raise _wrong(path, INTEGER)


def _is_integer(value: Any, least: int, most: int) -> bool:
    is_number = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_number and not isinstance(value, bool) and least <= value <= most


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and (value.isascii() or not _SURROGATE.search(value))


def _is_base64(value: Any) -> bool:
    if not isinstance(value, str) or not _BASE64.fullmatch(value):
        return False
    return len(value.rstrip("=")) % 4 != 1


def _require_well_known(
    value: Any, path: str, *, of: type[Timestamp | Duration], form: Phrase
) -> None:
    try:
        of().FromJsonString(value if isinstance(value, str) else "")
    except (ValueError, OverflowError):
        raise _wrong(path, form) from None


# Messages that JSON writes as a text.
_SPECIAL: dict[str, Callable[[Any, str], None]] = {
    Timestamp.DESCRIPTOR.full_name: partial(_require_well_known, of=Timestamp, form=MOMENT),
    Duration.DESCRIPTOR.full_name: partial(_require_well_known, of=Duration, form=DURATION),
}


def _wrong(path: str, form: Phrase) -> JsonValueWrong:
    name = path or "request"
    return JsonValueWrong(field=name, field_name=name, form=form)
