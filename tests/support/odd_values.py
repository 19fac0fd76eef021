"""Any field of any request, and the odd values of its type.

`walk(method, fill)` gives a request for each odd value of each field, nested ones too; the other
fields are as `fill` fills them. A value that no field of its type may hold is `nonsense`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from oip.type.v1 import type_pb2

MEBIBYTE = 2**20
ITEM_COUNT = 100_000
# Rows of a stream have rules of their own, and each its own answer.
ROWS_OF_STREAMS = frozenset({"oip.orders.v1.OrderRows"})

# A value for the field with this path of a method; None for what its type and name suggest.
Fill = Callable[[str, FieldDescriptor], Any]


@dataclass(frozen=True)
class Odd:
    """A request with one odd value."""

    method: MethodDescriptor
    # The path of the field, and what is odd.
    path: str
    value: str
    request: Message
    # Whether no method may take it.
    nonsense: bool

    def __str__(self) -> str:
        return f"{self.method.full_name.removeprefix('oip.')} {self.path} = {self.value}"


def walk(method: MethodDescriptor, fill: Fill) -> Iterator[Odd]:
    """Each odd value of each field of a method's request."""
    for steps in _paths(method.input_type, ()):
        field = steps[-1]
        path = ".".join(step.name for step in steps)
        for value, is_nonsense in _odd(field):
            request = filled(method.input_type, fill, "")
            owner: Any = request
            for step in steps[:-1]:
                owner = getattr(owner, step.name)
                owner = owner[0] if step.is_repeated else owner
            _set(owner, field, value)
            yield Odd(method, path, _short(value), request, is_nonsense)


def filled(descriptor: Descriptor, fill: Fill, prefix: str) -> Any:
    """A message with a value in each field; lists have one item."""
    message: Any = message_factory.GetMessageClass(descriptor)()
    chosen: set[str] = set()
    for field in descriptor.fields:
        group = field.containing_oneof.name if field.containing_oneof else ""
        if group and group in chosen:
            continue
        chosen.add(group)
        path = f"{prefix}{field.name}"
        value = fill(path, field)
        if value is None and field.message_type is not None:
            value = filled(field.message_type, fill, f"{path}.")
        if value is not None:
            _set(message, field, [value] if field.is_repeated else value)
    return message


def usual_value(field: FieldDescriptor) -> Any:
    """A value that a field of this type may have in July 2025; None for messages of fields."""
    kind = field.message_type.full_name if field.message_type is not None else ""
    if kind in _USUAL:
        return _USUAL[kind]
    if field.name == "page_token":
        return ""
    if field.name == "year":
        return 2025
    if field.enum_type is not None or field.type in _NUMBERS:
        return 1
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b"h" * 32
    return "a1" if field.type == FieldDescriptor.TYPE_STRING else None


def _paths(
    descriptor: Descriptor, above: tuple[FieldDescriptor, ...]
) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in descriptor.fields:
        steps = (*above, field)
        yield steps
        kind = field.message_type
        if kind is None or kind.full_name in _MESSAGES or kind.full_name in ROWS_OF_STREAMS:
            continue
        yield from _paths(kind, steps)


def _set(owner: Any, field: FieldDescriptor, value: Any) -> None:
    owner.ClearField(field.name)
    if field.is_repeated:
        getattr(owner, field.name).extend(value)
    elif field.message_type is not None:
        getattr(owner, field.name).CopyFrom(value)
    else:
        setattr(owner, field.name, value)


def _odd(field: FieldDescriptor) -> Iterator[tuple[Any, bool]]:
    """The odd values of a field, and whether each is nonsense."""
    if field.is_repeated:
        item = _item(field)
        yield [item] * ITEM_COUNT, True
        yield [], False
        for value, is_nonsense in _odd_values(field):
            yield [value], is_nonsense
    else:
        yield from _odd_values(field)


def _item(field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        return message_factory.GetMessageClass(field.message_type)()
    return "a" if field.type == FieldDescriptor.TYPE_STRING else 1


def _odd_values(field: FieldDescriptor) -> Iterator[tuple[Any, bool]]:
    if field.message_type is not None:
        may_be_old = field.name == "birth_date"
        for value, is_nonsense in _MESSAGES.get(field.message_type.full_name, ()):
            yield value, is_nonsense and not (may_be_old and getattr(value, "year", 0) == 1900)
    elif field.enum_type is not None:
        known = [number for number in field.enum_type.values_by_number if number]
        yield from ((0, False), (max(known), False), (max(known) + 1, True), (-1, True))
        yield from ((2**31 - 1, True), (-(2**31), True))
    elif field.name == "page_token":
        yield from ((token, True) for token in PAGE_TOKENS)
    else:
        yield from _SCALARS[field.type]


def _token(*values: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


PAGE_TOKENS = (
    "x",
    "%%%",
    "\x00",
    "a" * MEBIBYTE,
    "=" * 64,
    base64.urlsafe_b64encode(b"[" * 1000).decode(),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    _token(),
    _token(None),
    # A key of another list: the hash of its query is another one.
    _token("0123456789ab", "2025-07-01T00:00:00+00:00", "a", "b", 1),
    _token("0123456789ab", "\ud800"),
    _token("0123456789ab", 10**400),
)
_NUMBERS = {FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64}
_USUAL: dict[str, Message] = {
    "oip.type.v1.Month": type_pb2.Month(year=2025, month=7),
    "google.type.Date": Date(year=2025, month=7, day=20),
    "google.protobuf.Timestamp": Timestamp(seconds=1_752_120_000),
    "google.protobuf.Duration": Duration(seconds=60),
}
_TEXTS = (
    ("", False),
    (" ", False),
    ("%", False),
    ("'; select 1; --", False),
    ("\U00020bb7\U00030ede\U000e0100", False),
    ("a/b/c/d", False),
    ("\x00", True),
    ("a\x07b\x1b[2J", True),
    ("a\x85b", True),
    ("\u202eabc\u2066", True),
    ("\ufeffabc", True),
    ("a" * MEBIBYTE, True),
)
_SCALARS: dict[int, tuple[tuple[Any, bool], ...]] = {
    FieldDescriptor.TYPE_STRING: _TEXTS,
    FieldDescriptor.TYPE_BYTES: ((b"", False), (b"\x00", False), (b"a" * MEBIBYTE, True)),
    FieldDescriptor.TYPE_BOOL: ((False, False), (True, False)),
    FieldDescriptor.TYPE_INT32: (
        (0, False),
        (1, False),
        (2**31 - 1, False),
        (-1, True),
        (-(2**31), True),
    ),
    FieldDescriptor.TYPE_INT64: (
        (0, False),
        (1, False),
        (2**31, False),
        (-1, True),
        (2**63 - 1, True),
        (-(2**63), True),
    ),
}
_MESSAGES: dict[str, tuple[tuple[Any, bool], ...]] = {
    "oip.type.v1.Month": (
        *(
            (type_pb2.Month(year=year, month=month), True)
            for year, month in (
                (0, 0),
                (2025, 0),
                (2025, 13),
                (2025, -1),
                (1, 1),
                (1900, 1),
                (2200, 1),
                (9999, 12),
                (10_000, 1),
                (2**31 - 1, 1),
                (-1, 1),
            )
        ),
        (type_pb2.Month(year=2022, month=7), False),
        (type_pb2.Month(year=2035, month=12), False),
    ),
    "google.type.Date": (
        *(
            (Date(year=year, month=month, day=day), True)
            for year, month, day in (
                (0, 0, 0),
                (2025, 0, 1),
                (2025, 13, 1),
                (2025, 7, 0),
                (2025, 6, 31),
                (2025, 2, 29),
                (1, 1, 1),
                (1900, 1, 1),
                (2200, 1, 1),
                (9999, 12, 31),
                (2**31 - 1, 1, 1),
                (-1, 1, 1),
            )
        ),
        (Date(year=2024, month=2, day=29), False),
        (Date(year=2022, month=7, day=1), False),
        (Date(year=2035, month=12, day=31), False),
    ),
    "google.protobuf.Timestamp": (
        (Timestamp(), False),
        *(
            (Timestamp(seconds=seconds, nanos=nanos), True)
            for seconds, nanos in (
                (-62_135_596_800, 0),
                (-2_208_988_800, 0),
                (253_402_300_799, 999_999_999),
                (2**63 - 1, 0),
                (-(2**63), 0),
                (1_751_300_000, -1),
                (1_751_300_000, 2**31 - 1),
            )
        ),
        # The last moment of a month in Shanghai.
        (Timestamp(seconds=1_751_299_199, nanos=999_999_999), False),
    ),
    "google.protobuf.Duration": (
        (Duration(), False),
        *(
            (Duration(seconds=seconds, nanos=nanos), True)
            for seconds, nanos in ((2**63 - 1, 0), (-(2**63), 0), (-1, 0), (1, -1), (1, 2**31 - 1))
        ),
    ),
}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} items of {_short(value[0]) if value else 'nothing'}"
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"
