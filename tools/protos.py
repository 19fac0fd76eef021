"""Generate the protobuf code, or check the protos with buf.

Generation needs no network: google's common types come from the installed packages. The comments of
the protos become `oip.comments`, from which programs take help texts and the words of enums.
`--lint` also compares the protos with the image of what was promised, `protos/promised.binpb`;
`--promise` writes that image anew (docs/adr/0012 says when).
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "protos"
TARGET = SOURCE / "gen"
COMMON = ROOT / "build" / "googleapis"
PROMISED = SOURCE / "promised.binpb"
PLUGINS = ("python", "grpc_python", "mypy", "mypy_grpc")
# How descriptor.proto numbers what a file, a message, an enum and a service contain: the name of
# the list in the descriptor by the number in the path of a comment.
PARTS = {
    "FileDescriptorProto": {4: "message_type", 5: "enum_type", 6: "service"},
    "DescriptorProto": {2: "field", 3: "nested_type", 4: "enum_type"},
    "EnumDescriptorProto": {2: "value"},
    "ServiceDescriptorProto": {2: "method"},
}


def site_packages() -> Path:
    """Where google/type/*.proto is installed."""
    spec = find_spec("google.type")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations))).parent.parent


def well_known() -> Path:
    """Where google/protobuf/*.proto is installed."""
    spec = find_spec("grpc_tools")
    assert spec is not None
    assert spec.origin
    return Path(spec.origin).parent / "_proto"


def generate() -> None:
    """Rewrite protos/gen, so that no stale file is left."""
    draft = ROOT / "build" / "protos"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    files = [str(path.relative_to(SOURCE)) for path in sorted(SOURCE.glob("oip/**/*.proto"))]
    command = [sys.executable, "-m", "grpc_tools.protoc"]
    command += [f"-I{SOURCE}", f"-I{site_packages()}", f"-I{well_known()}"]
    scripts = Path(sys.executable).parent
    command += [
        f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in PLUGINS[2:]
    ]
    command += [f"--{name}_out={draft}" for name in PLUGINS]
    described = ROOT / "build" / "protos.binpb"
    command += [f"--descriptor_set_out={described}", "--include_source_info"]
    subprocess.run([*command, *files], check=True, cwd=SOURCE)
    for folder in [draft / "oip", *(draft / "oip").glob("**/")]:
        (folder / "__init__.py").touch()
        (folder / "py.typed").touch()
    write_comments(described, draft / "oip" / "comments.py")
    shutil.rmtree(TARGET, ignore_errors=True)
    draft.rename(TARGET)


def write_comments(described: Path, target: Path) -> None:
    """Write the comments of a descriptor set as a module: text by full name."""
    files = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
    texts = dict(pair for file in files.file for pair in comments_of(file))
    rows = "".join(
        f"    {json.dumps(name)}: {json.dumps(text, ensure_ascii=False)},\n"
        for name, text in sorted(texts.items())
    )
    head = '"""The comments of the protos by full name: a value is `package.Enum.VALUE`."""\n\n'
    target.write_text(f"{head}COMMENTS: dict[str, str] = {{\n{rows}}}\n", encoding="utf-8")


def comments_of(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[str, str]]:
    """Full name and leading comment of what has one, as one line each."""
    for location in file.source_code_info.location:
        text = " ".join(location.leading_comments.split())
        name = _name_at(file, location.path) if text else ""
        if name:
            yield f"{file.package}.{name}", text


def _name_at(file: descriptor_pb2.FileDescriptorProto, path: Sequence[int]) -> str:
    """The name of what a path leads to, within the package; empty for other parts of a file."""
    part, names = file, []
    for number, index in zip(path[::2], path[1::2], strict=False):
        name = PARTS.get(type(part).__name__, {}).get(number)
        if name is None:
            return ""
        part = getattr(part, name)[index]
        names.append(part.name)
    return ".".join(names) if len(path) % 2 == 0 else ""


def lint() -> int:
    """Run buf over the protos: their style, and whether they keep what was promised."""
    lay_common_types()
    return buf("lint") or breaking(ROOT / "build" / "protos.binpb")


def breaking(image: Path) -> int:
    """Whether the protos take back what was promised. Two images, because buf compares modules."""
    return write_image(image) or buf("breaking", str(image), "--against", str(PROMISED))


def write_image(target: Path) -> int:
    """Write the image of the protos, with the types that they import, without comments."""
    lay_common_types()
    return buf("build", "--exclude-source-info", "--output", str(target))


def lay_common_types() -> None:
    """Copy google's common types to where buf.yaml looks for them."""
    for name in ("type/date.proto", "rpc/status.proto"):
        target = COMMON / "google" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(site_packages() / "google" / name, target)


def buf(*arguments: str) -> int:
    """Run buf in the root; its exit code."""
    program = Path(sys.executable).parent / "buf"
    return subprocess.run([program, *arguments], check=False, cwd=ROOT).returncode


if __name__ == "__main__":
    if "--lint" in sys.argv:
        sys.exit(lint())
    if "--promise" in sys.argv:
        sys.exit(write_image(PROMISED))
    generate()
