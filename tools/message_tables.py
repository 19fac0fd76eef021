"""The tables of events and of edits: who sends what, when, and who takes it or answers."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from pathlib import Path

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from services.__main__ import all_services
from services.gateway.methods import described_methods, grpc_path_of
from services.runtime.rpc.access import deadline_cap, is_change, rule_in
from services.runtime.rpc.bounds import bounds_of
from services.runtime.rpc.roles import role_name
from services.runtime.rpc.service_config import service_config
from tools.proto_comments import comments, event_names

NOT_WIRED = Path(__file__).resolve().parent.parent / "docs" / "not-wired.toml"
_NUMBERS = frozenset({FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64})


def service_config_file() -> str:
    """protos/service-config.json: retries and balance for clients in other languages."""
    services = {
        method.containing_service.full_name: method.containing_service
        for method in described_methods()
    }
    return json.dumps(service_config(services.values()), indent=2) + "\n"


def events_page() -> str:
    """docs/events.md: each event, when it is sent, by whom, and who consumes it."""
    texts = comments()
    waiting = tomllib.loads(NOT_WIRED.read_text(encoding="utf-8"))["events"]
    consumers: dict[str, list[str]] = defaultdict(list)
    for service in all_services():
        for event in service.consumed:
            consumers[event.DESCRIPTOR.full_name].append(service.name)
    lines = [
        "# Events",
        "",
        "Written by `make docs` from the protos and the services' `HANDLERS`; do not edit it by",
        "hand.",
        "",
        "Each event is sent in the transaction of the change that it reports, signed by its",
        "sender, and takes effect once in every consumer, in any order of arrival",
        "([architecture](architecture.md)). A consumer acknowledges it after its own commit.",
        "",
        "| event | sent by | when | consumed by |",
        "|---|---|---|---|",
    ]
    for name in event_names():
        to = ", ".join(consumers.get(name, ())) or f"nobody yet: {waiting.get(name, '')}"
        lines.append(f"| `{name}` | {name.split('.')[1]} | {_cell(texts[name])} | {to} |")
    return "\n".join(lines) + "\n"


def edits_page() -> str:
    """docs/edits.md: each change, who may send it, when, what its fields hold, and the answer."""
    texts = comments()
    lines = [
        "# Edits",
        "",
        "Written by `make docs` from the protos; do not edit it by hand.",
        "",
        "Every call that changes something: who may send it, when, what each field may hold, and",
        "the message that acknowledges it. Each has a `request_id`: the same request under the",
        "same id gets the first answer and changes nothing. In bulk calls each row has an outcome",
        "of its own.",
        "",
        "A field that breaks its bounds is refused as `INVALID_ARGUMENT` with its path:",
        "`FIELD_MISSING`, `TOO_LONG`, `TOO_MANY_ITEMS`, `OUT_OF_RANGE`, `UNSEEN_CHARACTER`,",
        "`UNKNOWN_CHOICE`, `NOT_IN_CALENDAR`. **Bold** fields are required. What depends on",
        "records or on the law is refused with the reasons of [reasons.md](reasons.md). An act in",
        "the last column may need a second person",
        "([ADR 23](adr/0023-two-persons-for-one-act.md)).",
    ]
    current = ""
    for method in described_methods():
        if not is_change(grpc_path_of(method)):
            continue
        service = method.containing_service.full_name
        if service != current:
            current = service
            lines += ["", f"## {service}", "", _cell(texts[service]), ""]
            lines += [
                "| call | who | when | fields | acknowledged by | act |",
                "|---|---|---|---|---|---|",
            ]
        lines.append(_edit(method, texts))
    return "\n".join(lines) + "\n"


def _edit(method: MethodDescriptor, texts: dict[str, str]) -> str:
    rule = rule_in(method)
    assert rule is not None
    who = ", ".join(role_name(role) for role in rule.roles)
    fields = "<br>".join(_field(field) for field in method.input_type.fields)
    each = "each: " if method.client_streaming else ""
    answer = f"{each}`{method.output_type.full_name.removeprefix('oip.')}`"
    when = f"{_cell(texts[method.full_name])} Within {deadline_cap(rule)} s."
    return f"| `{method.name}` | {who} | {when} | {fields} | {answer} | {rule.act} |"


def _field(field: FieldDescriptor) -> str:
    bounds = bounds_of(field)
    name = f"**`{field.name}`**" if bounds.required else f"`{field.name}`"
    kind = _kind(field)
    if field.is_repeated:
        return f"{name}: up to {bounds.max_items:,} of {kind}"
    return f"{name}: {kind}"


def _kind(field: FieldDescriptor) -> str:
    bounds = bounds_of(field)
    if field.message_type is not None:
        return f"`{field.message_type.full_name.removeprefix('oip.')}`"
    if field.enum_type is not None:
        return f"`{field.enum_type.full_name.removeprefix('oip.')}`"
    if field.type == FieldDescriptor.TYPE_STRING:
        lines = ", with lines" if bounds.lines else ""
        return f"text to {bounds.max_length:,}{lines}"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return f"bytes to {bounds.max_length:,}"
    if field.type in _NUMBERS:
        return f"{bounds.min:,} to {bounds.max:,}"
    return "yes or no"


def _cell(text: str) -> str:
    return text.replace("|", "/")
