"""The comments of the protos, which the generated code does not have."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2

from tools.protos import SOURCE, site_packages, well_known

# Numbers of fields in descriptor.proto, by which a comment says to what it belongs.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_NESTED, _ENUMS_IN, _FIELDS = 3, 4, 2
_VALUES, _METHODS = 2, 2


def comments() -> dict[str, str]:
    """The comment on every message, field, enum, value, service and method, by its full name."""
    by_name: dict[str, str] = {}
    for file in _descriptors().file:
        texts = {
            tuple(location.path): _plain(location.leading_comments)
            for location in file.source_code_info.location
            if location.leading_comments
        }
        for path, name in _names(file):
            if path in texts:
                by_name[name] = texts[path]
    return by_name


def event_names() -> list[str]:
    """The full names of all events, by package."""
    return [
        f"{file.package}.{message.name}"
        for file in _descriptors().file
        if file.name.endswith("/events.proto")
        for message in file.message_type
    ]


@cache
def _descriptors() -> descriptor_pb2.FileDescriptorSet:
    files = [str(path.relative_to(SOURCE)) for path in sorted(SOURCE.glob("oip/**/*.proto"))]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "protos.binpb"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_out={target}"]
        command += [f"-I{SOURCE}", f"-I{site_packages()}", f"-I{well_known()}"]
        command += ["--include_imports", "--include_source_info"]
        subprocess.run([*command, *files], check=True, cwd=SOURCE)
        return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


def _names(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    for index, message in enumerate(file.message_type):
        yield from _of_message(message, (_MESSAGES, index), file.package)
    for index, enum in enumerate(file.enum_type):
        yield from _of_enum(enum, (_ENUMS, index), file.package)
    for index, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (_SERVICES, index), name
        for number, method in enumerate(service.method):
            yield (_SERVICES, index, _METHODS, number), f"{name}.{method.name}"


def _of_message(
    message: descriptor_pb2.DescriptorProto, path: tuple[int, ...], package: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{package}.{message.name}"
    yield path, name
    for index, field in enumerate(message.field):
        yield (*path, _FIELDS, index), f"{name}.{field.name}"
    for index, nested in enumerate(message.nested_type):
        yield from _of_message(nested, (*path, _NESTED, index), name)
    for index, enum in enumerate(message.enum_type):
        yield from _of_enum(enum, (*path, _ENUMS_IN, index), name)


def _of_enum(
    enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...], package: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{package}.{enum.name}"
    yield path, name
    for index, value in enumerate(enum.value):
        yield (*path, _VALUES, index), f"{name}.{value.name}"


def _plain(comment: str) -> str:
    return " ".join(comment.split())
