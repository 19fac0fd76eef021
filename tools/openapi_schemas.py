"""Messages and enums as JSON schemas: the proto3 mapping, with bounds and comments."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor

from services.runtime.rpc.bounds import bounds_of

REFERENCE = "#/components/schemas/"
CREDIT_CODE = "91350100M000100Y43"

_WELL_KNOWN: dict[str, dict[str, Any]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
}
_SCALARS: dict[int, dict[str, Any]] = {
    FieldDescriptor.TYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_UINT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.TYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    FieldDescriptor.TYPE_STRING: {"type": "string"},
}
_EXAMPLES: dict[str, Any] = {
    "google.protobuf.Timestamp": "2025-07-10T09:30:00+08:00",
    "google.protobuf.Duration": "600s",
    "google.type.Date": {"year": 2025, "month": 7, "day": 10},
    "oip.type.v1.Month": {"year": 2025, "month": 7},
}
_BIG = frozenset({FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64})
_SMALL = frozenset({FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT32})
# A name of a resource in a comment: `claims/{id}`.
_PATTERN = re.compile(r"`([a-zA-Z]+/[^`\s]*\{[^`]+\}[^`\s]*|[a-zA-Z]+/\{[^`]+\})`")


class Schemas:
    """The schemas of all messages that methods take and give."""

    def __init__(self, methods: list[MethodDescriptor], texts: dict[str, str]) -> None:
        """`texts` are the comments by full name."""
        self._texts = texts
        pool = descriptor_pool.Default()
        row = pool.FindMessageTypeByName("oip.orders.v1.OrderRow")
        receipt = pool.FindMessageTypeByName("oip.orders.v1.OrderBatch")
        self._requests = _reachable([*(method.input_type for method in methods), row])
        self._answers = _reachable([*(method.output_type for method in methods), receipt])

    def reference(self, message: Descriptor) -> dict[str, Any]:
        """Where the schema of a message stands."""
        return self.reference_by_name(message.full_name)

    def reference_by_name(self, name: str) -> dict[str, Any]:
        """The same by the full name."""
        return {"$ref": f"{REFERENCE}{name}"}

    def components(self) -> dict[str, Any]:
        """Every schema by the full name of its message or enum."""
        known = {**self._requests, **self._answers}
        return {
            name: self._enum(each) if isinstance(each, EnumDescriptor) else self._message(each)
            for name, each in sorted(known.items())
            if name not in _WELL_KNOWN
        }

    def example(self, message: Descriptor) -> Any:
        """A request that shows the form of each field."""
        if message.full_name in _EXAMPLES:
            return _EXAMPLES[message.full_name]
        values: dict[str, Any] = {}
        chosen: set[str] = set()
        for field in message.fields:
            group = field.containing_oneof
            if field.name == "page_token" or (group and group.name in chosen):
                continue
            chosen.add(group.name if group else "")
            value = self._example_value(field)
            values[field.camelcase_name] = [value] if field.is_repeated else value
        return values

    def _example_value(self, field: FieldDescriptor) -> Any:
        if field.message_type is not None:
            return self.example(field.message_type)
        if field.enum_type is not None:
            return field.enum_type.values[min(1, len(field.enum_type.values) - 1)].name
        if field.type in _BIG | _SMALL:
            number = 100 if field.name == "page_size" else max(1, bounds_of(field).min)
            return str(number) if field.type in _BIG else number
        if field.type == FieldDescriptor.TYPE_BOOL:
            return True
        if field.type == FieldDescriptor.TYPE_BYTES:
            return "AAAA"
        return self._example_text(field)

    def _example_text(self, field: FieldDescriptor) -> str:
        if field.name == "request_id":
            return "example-1"
        pattern = _PATTERN.search(self._texts.get(field.full_name, ""))
        if pattern is None:
            return field.name.replace("_", " ")
        return re.sub(r"\{([^}]+)\}", lambda part: _part(part[1]), pattern[1])

    def _message(self, message: Descriptor) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "description": self._texts.get(message.full_name, ""),
            "properties": {field.camelcase_name: self._field(field) for field in message.fields},
        }
        if message.full_name not in self._requests:
            return schema
        needed = [field.camelcase_name for field in message.fields if bounds_of(field).required]
        if needed:
            schema["required"] = needed
        if message.full_name not in self._answers:
            schema["additionalProperties"] = False
        return schema

    def _field(self, field: FieldDescriptor) -> dict[str, Any]:
        value = self._value(field)
        owner = _owner(field)
        is_bounded = owner in self._requests and owner not in self._answers
        schema: dict[str, Any] = value
        if field.is_repeated:
            schema = {"type": "array", "items": value}
            if is_bounded:
                schema["maxItems"] = bounds_of(field).max_items
        elif is_bounded and field.message_type is None:
            schema = {**value, **_bounds(field)}
        text = self._texts.get(field.full_name, "")
        return {**schema, "description": text} if text else schema

    def _value(self, field: FieldDescriptor) -> dict[str, Any]:
        if field.message_type is not None:
            name = field.message_type.full_name
            return dict(_WELL_KNOWN.get(name) or self.reference(field.message_type))
        if field.enum_type is not None:
            return {"$ref": f"{REFERENCE}{field.enum_type.full_name}"}
        if field.type in _BIG:
            is_read = _owner(field) in self._requests
            return {"type": ["string", "integer"] if is_read else "string", "format": "int64"}
        return dict(_SCALARS[field.type])

    def _enum(self, enum: EnumDescriptor) -> dict[str, Any]:
        values = [
            f"- `{each.name}`: {self._texts.get(f'{enum.full_name}.{each.name}', '')}"
            for each in enum.values
        ]
        text = self._texts.get(enum.full_name, "")
        return {
            "type": "string",
            "description": "\n".join([text, "", *values]),
            "enum": [each.name for each in enum.values],
        }


def _owner(field: FieldDescriptor) -> str:
    """The full name of the message that a field belongs to."""
    assert field.containing_type is not None
    return field.containing_type.full_name


def _bounds(field: FieldDescriptor) -> dict[str, Any]:
    bounds = bounds_of(field)
    if field.type == FieldDescriptor.TYPE_STRING:
        return {"maxLength": bounds.max_length}
    if field.type in _SMALL:
        return {"minimum": bounds.min, "maximum": bounds.max}
    return {}


def _part(name: str) -> str:
    """A part of a resource name, by the word that the comment has for it."""
    known = {"credit code": CREDIT_CODE, "unified social credit code": CREDIT_CODE}
    return known.get(name, "2025-07" if "month" in name else re.sub(r"\W+", "-", name))


def _reachable(messages: list[Descriptor]) -> dict[str, Descriptor | EnumDescriptor]:
    """Messages and enums by full name, with all that they are made of."""
    waiting, known = list(messages), dict[str, Descriptor | EnumDescriptor]()
    while waiting:
        message = waiting.pop()
        if message.full_name in known:
            continue
        known[message.full_name] = message
        for field in message.fields:
            if field.enum_type is not None:
                known[field.enum_type.full_name] = field.enum_type
            if field.message_type is not None and message.full_name not in _WELL_KNOWN:
                waiting.append(field.message_type)
    return known
