"""Generate the protobuf code, or check the protos with buf.

Generation needs no network: google's common types come from the installed packages.
`--lint` also compares the protos with the image of what was promised, `protos/promised.binpb`;
`--promise` writes that image anew (docs/adr/0012 says when).
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "protos"
TARGET = SOURCE / "gen"
COMMON = ROOT / "build" / "googleapis"
PROMISED = SOURCE / "promised.binpb"
PLUGINS = ("python", "grpc_python", "mypy", "mypy_grpc")


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
    subprocess.run([*command, *files], check=True, cwd=SOURCE)
    for folder in [draft / "oip", *(draft / "oip").glob("**/")]:
        (folder / "__init__.py").touch()
        (folder / "py.typed").touch()
    shutil.rmtree(TARGET, ignore_errors=True)
    draft.rename(TARGET)


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
