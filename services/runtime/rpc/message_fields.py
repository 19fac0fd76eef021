"""The fields of the protos that hold one value, for those who show messages to people."""

from __future__ import annotations

from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.type.date_pb2 import Date
from oip.type.v1 import type_pb2

# A descriptor of a field: the two implementations of protobuf have no common type.
Field: TypeAlias = Any

# The end of the name of an amount.
FEN = "_fen"
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}
# Messages that are one value.
VALUE_MESSAGES = {
    "google.type.Date",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "oip.type.v1.Month",
    "oip.type.v1.Provision",
}


def is_value(field: Field) -> bool:
    """Whether a field is one value or a list of values, not a message with parts."""
    return field.message_type is None or field.message_type.full_name in VALUE_MESSAGES


def day_text(day: Date) -> str:
    """A day; empty if it is not set."""
    return f"{day.year:04d}-{day.month:02d}-{day.day:02d}" if day.year else ""


def month_text(month: type_pb2.Month) -> str:
    """A month; empty if it is not set."""
    return f"{month.year:04d}-{month.month:02d}" if month.year else ""


def provision_text(provision: type_pb2.Provision) -> str:
    """An instrument with its article."""
    return f"{provision.instrument} {provision.article}".strip()
