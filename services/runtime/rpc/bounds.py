"""What the fields of a request may hold: the bounds option of the protos, else those of the type.

A field without the option has the bounds of its type:

- a text: at most 200 characters on one line, none of which cannot be seen; a page token 2,048
- bytes: at most 64
- a list: at most 100 items
- a number: from 0 to the largest of its type, int64 to 9 * 10^12
- an enum: a number that the proto names
- a day, a month, a moment: one of the calendar, from the scheme's start to ten years from today
- a duration: from 0 to a year

The check of a message type is compiled once, when a server wraps the method. It looks only at
fields that are set, and it builds the path of a field only for a refusal.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from oip.type.v1 import type_pb2

from services.kernel.lawbook import SHARED
from services.kernel.parameters import load
from services.kernel.periods import Month, civil_day
from services.kernel.phrases import FieldPath
from services.kernel.problems import FieldMissing, Kind, OutOfRange, Problem
from services.runtime.rpc.wire import FIRST_YEAR

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    Check: TypeAlias = Callable[[Any], None]
    Today: TypeAlias = Callable[[], date]

TEXT_LENGTH_MAX = 200
TOKEN_LENGTH_MAX = 2048
BYTES_LENGTH_MAX = 64
ITEM_COUNT_MAX = 100
INT32_MAX = 2**31 - 1
# Far beyond any sum of the scheme, in fen, and sums of a million such amounts still fit 63 bits.
INT64_MAX = 9_000_000_000_000
YEARS_AHEAD = 10
DURATION_SECONDS_MAX = 366 * 24 * 3600

_CONTROLS = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
# Marks that turn the direction of writing, separators of lines, and the byte order mark.
_UNSEEN = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_NOT_IN_TEXT = {
    False: re.compile(f"[\t\n\r{_CONTROLS}{_UNSEEN}]"),
    True: re.compile(f"[{_CONTROLS}{_UNSEEN}]"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS = FieldDescriptor.TYPE_STRING
_INTEGERS = {
    FieldDescriptor.TYPE_INT32: INT32_MAX,
    FieldDescriptor.TYPE_INT64: INT64_MAX,
}


class TooLong(Problem):
    """A text or bytes are longer than the field takes."""

    kind, reason = Kind.MALFORMED, "TOO_LONG"
    message = "{field_name} has a length of {length}; shorten it to {max_length} or less."
    message_zh = "{field_name} 长度为 {length}; 请缩短至 {max_length} 以内。"


class TooManyItems(Problem):
    """A list has more items than the field takes."""

    kind, reason = Kind.MALFORMED, "TOO_MANY_ITEMS"
    message = "{field_name} has {count} items; send at most {max_items} at a time."
    message_zh = "{field_name} 有 {count} 项; 每次请最多发送 {max_items} 项。"


class UnseenCharacter(Problem):
    """A text has a character that nobody can see, such as NUL or a mark of direction."""

    kind, reason = Kind.MALFORMED, "UNSEEN_CHARACTER"
    message = "{field_name} has the character {character}, which cannot be seen; remove it."
    message_zh = "{field_name} 含有不可见的字符 {character}; 请删除。"


class UnknownChoice(Problem):
    """An enum field has a number that the proto does not name."""

    kind, reason = Kind.MALFORMED, "UNKNOWN_CHOICE"
    message = "{field_name}: {number} is no value of {enum}; choose one that the proto names."
    message_zh = "{field_name} 没有取值 {number}; 请选择接口定义中的取值。"


class NotInCalendar(Problem):
    """A day, a month or a moment does not exist."""

    kind, reason = Kind.MALFORMED, "NOT_IN_CALENDAR"
    message = "{field_name} is not in the calendar; correct year, month and day."
    message_zh = "{field_name} 不是有效的日期或时间; 请更正年、月、日。"


class _RefusedError(Exception):
    """A value is out of bounds; the path to it grows as the checks of its messages end."""

    def __init__(self, problem: type[Problem], **facts: object) -> None:
        super().__init__(problem.reason)
        self._problem = problem
        self._facts = facts
        self._steps: list[str] = []

    def within(self, step: str) -> _RefusedError:
        """The same refusal, seen from the message or list that holds the value."""
        self._steps.insert(0, step)
        return self

    @property
    def problem(self) -> Problem:
        """The refusal with the path of the field, such as `rows[3].enrol_date`."""
        path = ".".join(self._steps).replace(".[", "[")
        return self._problem(field=path, field_name=FieldPath(path), **self._facts)


def check_of(descriptor: Descriptor, today: Today) -> Callable[[Message], Message]:
    """The check of a type of request, which returns it or raises a Problem of kind MALFORMED."""
    require = _message_check(descriptor, today)

    def check(request: Message) -> Message:
        try:
            require(request)
        except _RefusedError as refused:
            raise refused.problem from None
        return request

    return check


def bounds_of(field: FieldDescriptor) -> type_pb2.Bounds:
    """The option of a field, with the bounds of its type where the option is silent."""
    bounds = type_pb2.Bounds()
    bounds.CopyFrom(field.GetOptions().Extensions[type_pb2.bounds])
    if not bounds.max_length and field.type == _TEXTS:
        bounds.max_length = TOKEN_LENGTH_MAX if field.name == "page_token" else TEXT_LENGTH_MAX
    if not bounds.max_length and field.type == FieldDescriptor.TYPE_BYTES:
        bounds.max_length = BYTES_LENGTH_MAX
    if not bounds.max_items and field.is_repeated:
        bounds.max_items = ITEM_COUNT_MAX
    if not bounds.HasField("min"):
        bounds.min = 0
    if not bounds.HasField("max"):
        bounds.max = _INTEGERS.get(field.type, DURATION_SECONDS_MAX)
    return bounds


def _message_check(descriptor: Descriptor, today: Today) -> Check:
    checks = {field.number: _field_check(field, today) for field in descriptor.fields}
    needed = [field for field in descriptor.fields if bounds_of(field).required]

    def check(message: Message) -> None:
        for field in needed:
            if _is_missing(message, field):
                raise _RefusedError(FieldMissing).within(field.name)
        for field, value in message.ListFields():
            try:
                checks[field.number](value)
            except _RefusedError as refused:
                raise refused.within(field.name) from None

    return check


def _is_missing(message: Message, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return not message.HasField(field.name)
    value = getattr(message, field.name)
    return not (value.strip() if isinstance(value, str) else value)


def _field_check(field: FieldDescriptor, today: Today) -> Check:
    bounds = bounds_of(field)
    check = _value_check(field, bounds, today)
    if not field.is_repeated:
        return check
    count_max = bounds.max_items

    def check_list(values: Any) -> None:
        if len(values) > count_max:
            raise _RefusedError(TooManyItems, count=len(values), max_items=count_max)
        for index, value in enumerate(values):
            try:
                check(value)
            except _RefusedError as refused:
                raise refused.within(f"[{index}]") from None

    return check_list


def _value_check(field: FieldDescriptor, bounds: type_pb2.Bounds, today: Today) -> Check:
    """The check of one value of a field. Raises TypeError for a type that no request uses."""
    if field.message_type is not None:
        special = _SPECIAL.get(field.message_type.full_name)
        if special is None:
            return _message_check(field.message_type, today)
        return special(bounds, today)
    if field.enum_type is not None:
        return _choice_check(field.enum_type.name, frozenset(field.enum_type.values_by_number))
    if field.type in {_TEXTS, FieldDescriptor.TYPE_BYTES}:
        return _text_check(bounds) if field.type == _TEXTS else _length_check(bounds.max_length)
    if field.type in _INTEGERS:
        return _number_check(bounds.min, bounds.max)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _accept
    message = f"{field.full_name}: add its type to services/runtime/rpc/bounds.py"
    raise TypeError(message)


def _accept(_value: object) -> None:
    """Any value will do."""


def _length_check(length_max: int) -> Check:
    def check(value: str | bytes) -> None:
        if len(value) > length_max:
            raise _RefusedError(TooLong, length=len(value), max_length=length_max)

    return check


def _text_check(bounds: type_pb2.Bounds) -> Check:
    require_length = _length_check(bounds.max_length)
    find = _NOT_IN_TEXT[bounds.lines].search

    def check(text: str) -> None:
        require_length(text)
        unseen = find(text)
        if unseen:
            raise _RefusedError(UnseenCharacter, character=f"U+{ord(unseen[0]):04X}")

    return check


def _number_check(first: int, last: int) -> Check:
    def check(number: int) -> None:
        if not first <= number <= last:
            raise _RefusedError(OutOfRange, value=number, first=first, last=last)

    return check


def _choice_check(enum: str, numbers: frozenset[int]) -> Check:
    def check(number: int) -> None:
        if number not in numbers:
            raise _RefusedError(UnknownChoice, number=number, enum=enum)

    return check


def _date_check(bounds: type_pb2.Bounds, today: Today) -> Check:
    def check(message: Any) -> None:
        try:
            day = date(message.year, message.month, message.day)
        except ValueError:
            raise _RefusedError(NotInCalendar) from None
        _require_within(day, *_days(bounds.days, today()))

    return check


def _month_check(bounds: type_pb2.Bounds, today: Today) -> Check:
    def check(message: Any) -> None:
        try:
            month = Month(message.year, message.month)
        except ValueError:
            raise _RefusedError(NotInCalendar) from None
        first, last = _days(bounds.days, today())
        _require_within(month, Month.of(first), Month.of(last))

    return check


def _moment_check(bounds: type_pb2.Bounds, today: Today) -> Check:
    def check(message: Any) -> None:
        if not message.seconds and not message.nanos:
            return  # as good as missing, which `moment_from_wire` refuses where it is needed
        try:
            moment = _EPOCH + timedelta(seconds=message.seconds)
            day = civil_day(moment)
        except OverflowError:
            raise _RefusedError(NotInCalendar) from None
        if not 0 <= message.nanos < 10**9:
            raise _RefusedError(NotInCalendar)
        _require_within(day, *_days(bounds.days, today()))

    return check


def _duration_check(bounds: type_pb2.Bounds, _today: Today) -> Check:
    require_seconds = _number_check(bounds.min, bounds.max)

    def check(message: Any) -> None:
        require_seconds(message.seconds)
        if not 0 <= message.nanos < 10**9:
            raise _RefusedError(OutOfRange, value=message.nanos, first=0, last=10**9 - 1)

    return check


def _require_within(value: Any, first: Any, last: Any) -> None:
    if not first <= value <= last:
        raise _RefusedError(OutOfRange, value=value, first=first, last=last)


@lru_cache(maxsize=16)
def _days(kind: type_pb2.Bounds.Days.ValueType, today: date) -> tuple[date, date]:
    """The first and the last day of a kind."""
    if kind == type_pb2.Bounds.BIRTH:
        return date(FIRST_YEAR, 1, 1), today
    return scheme_start(), date(today.year + YEARS_AHEAD, 12, 31)


@cache
def scheme_start() -> date:
    """The first day of the scheme in any province."""
    values = load(SHARED / "scheme_start.toml").values
    return min(date.fromisoformat(value.value) for value in values)


_SPECIAL: dict[str, Callable[[type_pb2.Bounds, Today], Check]] = {
    "google.type.Date": _date_check,
    "oip.type.v1.Month": _month_check,
    "google.protobuf.Timestamp": _moment_check,
    "google.protobuf.Duration": _duration_check,
}
