"""Everything that a stack leaves on disk, searched for words that must not be readable there."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.type import date_pb2
from oip.type.v1 import type_pb2
from psycopg import sql

from services.runtime.rpc.access import describe, is_change
from tests.contract.test_access import proto_services

_TABLES = """
    select table_schema, table_name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'
    order by 1, 2
"""


@dataclass(frozen=True)
class Trace:
    """A word that was found: its name and where."""

    name: str
    place: str


async def in_tables(url: str, words: Mapping[str, bytes]) -> list[Trace]:
    """The words in any column of any table of any schema, as text, in JSON or in bytes."""
    traces = []
    async with await psycopg.AsyncConnection.connect(url) as connection:
        tables = await (await connection.execute(_TABLES)).fetchall()
        for schema, table in tables:
            name = sql.Identifier(schema, table)
            question = sql.SQL("select content::text from {} as content").format(name)
            rows = await (await connection.execute(question)).fetchall()
            text = "\n".join(row[0] for row in rows)
            traces += [
                Trace(word, f"{schema}.{table}")
                for word, value in words.items()
                if any(form in text for form in _forms(value))
            ]
    return traces


def in_files(folders: Iterable[Path], words: Mapping[str, bytes]) -> list[Trace]:
    """The words in any file: pages and WAL of PostgreSQL, the stream store, logs, archives."""
    return [
        Trace(word, str(path))
        for folder in folders
        for path, content in _files(folder)
        for word, value in words.items()
        if content.find(value) >= 0
    ]


async def flushed(url: str) -> None:
    """Let PostgreSQL write its pages."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("checkpoint")


def _forms(value: bytes) -> list[str]:
    """How a word may look in a row that is written as text."""
    forms = [value.hex()]
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return forms
    escaped = json.dumps(text)[1:-1]
    return [*forms, text, escaped, escaped.encode().hex()]


def _files(folder: Path) -> Iterator[tuple[Path, mmap.mmap]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            with (
                path.open("rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            ):
                yield path, content


# The methods that change something, by the descriptors: what they get may rest.
CHANGES = [
    method
    for service in proto_services()
    for method in describe(service).methods
    if is_change(f"/{service}/{method.name}")
]


def is_personal(field: FieldDescriptor) -> bool:
    """Whether the protos say that a field says something about a person."""
    option = type_pb2.personal
    return bool(field.GetOptions().Extensions[option])


def personal_fields() -> set[str]:
    """The personal fields of all requests that change something, by their full names."""
    return {
        field.full_name
        for method in CHANGES
        for field in _fields_of(method.input_type)
        if is_personal(field)
    }


def personal_values(message: Message) -> Iterator[tuple[str, bytes]]:
    """The personal values of a request, each with the full name of its field.

    A day comes as text and as it stands in a message.
    """
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        for item in values:
            if is_personal(field) and isinstance(item, date_pb2.Date):
                yield field.full_name, f"{item.year}-{item.month:02}-{item.day:02}".encode()
                yield field.full_name, item.SerializeToString()
            elif is_personal(field):
                yield field.full_name, item.encode()
            elif isinstance(item, Message):
                yield from personal_values(item)


def _fields_of(descriptor: Descriptor) -> Iterator[FieldDescriptor]:
    for field in descriptor.fields:
        yield field
        if field.message_type is not None and field.message_type.file.package.startswith("oip."):
            yield from _fields_of(field.message_type)
