"""What other programs rely on only grows: fields, numbers, methods, reasons."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oip
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor

from tests.support.golden import promised
from tests.support.problems import all_problems
from tools.reasons import cases

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
    for case in cases():
        yield f"{case.reason} {case.code}"


def test_no_field_number_or_method_that_was_promised_is_gone() -> None:
    assert promised("protos.txt", promises()) == set()


def test_no_reason_that_was_promised_is_gone() -> None:
    assert promised("reasons.txt", reasons()) == set()


@pytest.fixture(scope="module")
def protos_tool() -> Any:
    path = Path(__file__).parents[2] / "tools" / "protos.py"
    spec = importlib.util.spec_from_file_location("protos_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_protos_keep_what_their_image_promises(protos_tool: Any, tmp_path: Path) -> None:
    assert protos_tool.breaking(tmp_path / "protos.binpb") == 0


def test_a_field_that_was_promised_and_is_gone_is_noticed(
    protos_tool: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    image = descriptor_pb2.FileDescriptorSet.FromString(protos_tool.PROMISED.read_bytes())
    file = next(each for each in image.file if each.name == "oip/claims/v1/claims.proto")
    field = file.message_type[0].field.add(name="colour", number=900, json_name="colour")
    field.type, field.label = field.TYPE_STRING, field.LABEL_OPTIONAL
    promised_image = tmp_path / "promised.binpb"
    promised_image.write_bytes(image.SerializeToString())
    monkeypatch.setattr(protos_tool, "PROMISED", promised_image)

    assert protos_tool.breaking(tmp_path / "protos.binpb") != 0
    assert '"900" with name "colour"' in capfd.readouterr().out
