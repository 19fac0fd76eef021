"""Messages as output: a list of resources, one resource with its parts, the result of a change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import typer
from google.protobuf.message import Message
from oip.type.v1 import type_pb2

from services.cli.tables import (
    Row,
    as_csv,
    as_lines,
    as_pairs,
    nothing_shown,
    print_json,
    show_rows,
    width,
)
from services.cli.values import fields_of, text_value, title, value_of
from services.cli.view import Format, language, view
from services.kernel.phrases import Language
from services.runtime.rpc.message_fields import Field, is_value

INDENT = 2
# Columns of findings in a resource; `oip law explain` shows them whole.
FINDING_COLUMNS = ("provision", "outcome", "text")


def show_messages(
    messages: Iterable[Message],
    columns: Sequence[str] = (),
    *,
    owners: Sequence[str] = (),
    nothing: str = "",
    heading: str = "",
) -> None:
    """Print resources of one type; a table has these columns, CSV and JSON all fields.

    `owners` are the services that hold them, one for each, where the same call went to several.
    """
    resources = list(messages)
    if view().format is Format.JSON:
        print_json([_with_owner(message, owners, n) for n, message in enumerate(resources)])
        return
    names = list(columns) if columns and view().format is Format.TABLE else _value_names(resources)
    rows = [row_of(message, names) for message in resources]
    if owners:
        names = ["service", *names]
        rows = [{"service": text_value(owners[n]), **row} for n, row in enumerate(rows)]
    show_rows(rows, names, nothing=nothing, heading=heading)


def show_message(message: Message) -> None:
    """Print one resource with all its parts."""
    form = view().format
    if form is Format.JSON:
        print_json(as_dict(message))
    elif form is Format.CSV:
        names = _value_names([message])
        typer.echo(as_csv([row_of(message, names)], names), nl=False)
    else:
        typer.echo("\n".join(lines_of(message)) or nothing_shown())


def show_result(message: Message) -> None:
    """Print the resource that a change returned: its values in a table, all of it in JSON."""
    if view().format is Format.TABLE:
        names = _value_names([message])
        typer.echo("\n".join(_head_and_pairs(row_of(message, names), names)))
    else:
        show_message(message)


def as_dict(message: Message) -> dict[str, Any]:
    """A message for programs, under the names of the protos: all fields, null for what is not set.

    Days and moments are ISO 8601, enums their names, bytes hexadecimal, amounts fen.
    """
    return {field.name: _content(message, field) for field in message.DESCRIPTOR.fields}


def _content(message: Message, field: Field) -> Any:
    if is_value(field):
        return value_of(message, field).raw
    part = getattr(message, field.name)
    if field.is_repeated:
        return [as_dict(each) for each in part]
    return as_dict(part) if message.HasField(field.name) else None


def row_of(message: Message, names: Iterable[str]) -> Row:
    """The values of a message by field."""
    return {field.name: value_of(message, field) for field in fields_of(message, names)}


def lines_of(message: Message, indent: int = 0) -> list[str]:
    """A message as lines: its values, then its parts."""
    names = _value_names([message])
    row = row_of(message, names)
    lines = as_pairs(row, names, indent) if indent else _head_and_pairs(row, names)
    for field in message.DESCRIPTOR.fields:
        if is_value(field):
            continue
        part = getattr(message, field.name)
        if field.is_repeated and part:
            lines.append(f"{' ' * (indent or INDENT)}{title(field.name)}:")
            lines += _part_lines(list(part), (indent or INDENT) + INDENT)
        elif not field.is_repeated and message.HasField(field.name):
            lines.append(f"{' ' * (indent or INDENT)}{title(field.name)}:")
            lines += lines_of(part, (indent or INDENT) + INDENT)
    return lines


def _part_lines(parts: Sequence[Message], indent: int) -> list[str]:
    if isinstance(parts[0], type_pb2.Finding):
        rows = [_finding_row(part) for part in parts if isinstance(part, type_pb2.Finding)]
        return [line for row in rows for line in _finding_lines(row, indent)]
    names = _value_names(parts)
    most = width()
    table = as_lines(
        [row_of(part, names) for part in parts], names, None if most is None else most - indent
    )
    return [f"{' ' * indent}{line}" for line in table]


def _finding_row(finding: type_pb2.Finding) -> Row:
    chinese = language() is Language.ZH
    fields = finding.DESCRIPTOR.fields_by_name
    row = {name: value_of(finding, fields[name]) for name in ("provision", "outcome")}
    return {**row, "text": text_value(finding.text_zh if chinese else finding.text)}


def _finding_lines(row: Row, indent: int) -> list[str]:
    blanks = " " * indent
    return [
        f"{blanks}{row['provision'].text}: {row['outcome'].text}",
        f"{blanks}{' ' * INDENT}{row['text'].text}",
    ]


def _head_and_pairs(row: Row, names: Sequence[str]) -> list[str]:
    """The name of a resource, and its other values indented."""
    if "name" in row and row["name"].text:
        others = [name for name in names if name != "name"]
        return [row["name"].text, *as_pairs(row, others, INDENT)]
    return as_pairs(row, names)


def _value_names(messages: Sequence[Message]) -> list[str]:
    """The values of a message; of two texts, one in each language, that of the command."""
    if not messages:
        return []
    names = [field.name for field in fields_of(messages[0])]
    return list(in_language(names)) if view().format is Format.TABLE else names


def in_language(names: Sequence[str]) -> tuple[str, ...]:
    """These fields; of two with the same text in two languages that of the command."""
    chinese = language() is Language.ZH
    pairs = {name for name in names if f"{name}_zh" in names}
    return tuple(
        name
        for name in names
        if name.removesuffix("_zh") not in pairs or name.endswith("_zh") is chinese
    )


def _with_owner(message: Message, owners: Sequence[str], index: int) -> dict[str, Any]:
    content = as_dict(message)
    return {"service": owners[index], **content} if owners else content
