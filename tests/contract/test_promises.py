"""What other programs rely on only grows: fields, numbers, methods, reasons."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import oip
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor

from tests.support.golden import promised
from tests.support.problems import all_problems

PACKAGE = Path(next(iter(oip.__path__)))


def files() -> list[FileDescriptor]:
    pool = descriptor_pool.Default()
    descriptors = []
    for path in sorted(PACKAGE.rglob("*_pb2.py")):
        module = path.relative_to(PACKAGE.parent).with_suffix("")
        importlib.import_module(".".join(module.parts))
        proto = str(module).removesuffix("_pb2") + ".proto"
        descriptors.append(pool.FindFileByName(proto))
    return descriptors


def promises() -> Iterator[str]:
    for file in files():
        for message in file.message_types_by_name.values():
            yield from of_message(message)
        for enum in file.enum_types_by_name.values():
            yield from of_enum(enum)
        for service in file.services_by_name.values():
            for method in service.methods:
                streams = ("stream " * method.client_streaming, "stream " * method.server_streaming)
                yield (
                    f"{service.full_name}.{method.name}({streams[0]}{method.input_type.full_name})"
                    f" {streams[1]}{method.output_type.full_name}"
                )


def of_message(message: Descriptor) -> Iterator[str]:
    for field in message.fields:
        of = field.message_type or field.enum_type
        kind = of.full_name if of else f"type {field.type}"
        many = "repeated " if field.is_repeated else ""
        yield f"{message.full_name}.{field.name} = {field.number} {many}{kind}"
    for nested in message.nested_types:
        yield from of_message(nested)
    for enum in message.enum_types:
        yield from of_enum(enum)


def of_enum(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"{enum.full_name}.{value.name} = {value.number}"


def reasons() -> Iterator[str]:
    for problem in all_problems():
        if "reason" in vars(problem):
            yield f"{problem.reason} {problem.kind.code}"


def test_no_field_number_or_method_that_was_promised_is_gone() -> None:
    assert promised("protos.txt", promises()) == set()


def test_no_reason_that_was_promised_is_gone() -> None:
    assert promised("reasons.txt", reasons()) == set()
