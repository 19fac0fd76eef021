"""Build the wheel of `oip-client`: the platform's client without the server (docs/adr/0011).

Its modules are services/client and everything that these import, with the generated code of their
protos. They are copied under the import name `oip_client` with their imports rewritten, so that the
tree has each of them once. The build needs no network.

`python tools/client_distribution.py [FOLDER]` writes the wheel to FOLDER/dist (default:
build/client/dist) and prints its path.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ROOT / "protos" / "gen"
NAME = "oip_client"
# The parts of the tree that the client may import; any other import is a mistake.
ALLOWED = (
    "services.client",
    "services.kernel",
    "services.orderlog",
    "services.runtime.rpc",
    "services.kernel.scope",
)
PACKAGES = ("services.runtime", "services.runtime.storage")
# The distribution of each import name. The generated code adds the lower bounds of two of them.
DISTRIBUTIONS = {
    "cryptography": "cryptography",
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "google.type": "googleapis-common-protos",
    "grpc": "grpcio",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic>=2",
    "pydantic_core": "pydantic>=2",
    "zoneinfo": "tzdata",
}
# Libraries of formats that not everybody has: import name, then distribution and its extra.
OPTIONAL = {
    "ijson": ("ijson", "json"),
    "openpyxl": ("openpyxl", "xlsx"),
    "shapely": ("shapely", "polygons"),
}
_GENERATED_BY = {
    "grpcio": re.compile(r"GRPC_GENERATED_VERSION = '([\d.]+)'"),
    "protobuf": re.compile(r"# Protobuf Python Version: ([\d.]+)"),
}


def imports_of(path: Path) -> Iterator[str]:
    """The dotted names that a module imports; of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(module: str) -> Path | None:
    """The file of a module of the tree or of the generated code; None for any other name."""
    folder = GENERATED if module.partition(".")[0] == "oip" else ROOT
    path = folder.joinpath(*module.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def modules() -> dict[str, Path]:
    """The modules of the distribution by their name in the tree, packages included."""
    client = ROOT / "services" / "client"
    waiting = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(client.rglob("*.py"))
    ]
    collected: dict[str, Path] = {}
    while waiting:
        module = waiting.pop().removesuffix(".__init__")
        path = file_of(module)
        is_ours = module.partition(".")[0] in {"services", "oip"}
        if module in collected or path is None or not is_ours or module in {"services", "oip"}:
            continue
        is_package = path.name == "__init__.py"
        if module.startswith("services.") and not (
            module.startswith(ALLOWED) or (is_package and module in PACKAGES)
        ):
            sys.exit(f"{module} is part of the server; oip-client cannot import it.")
        collected[module] = path
        waiting += [module.rpartition(".")[0], *imports_of(path)]
    return dict(sorted(collected.items()))


def name_in_distribution(module: str) -> str:
    """The name of a module there: services.client is the root, protos are `oip_client.protos`."""
    module = re.sub(r"^services\.client\b", NAME, module)
    module = re.sub(r"^services\b", NAME, module)
    return re.sub(r"^oip\b", f"{NAME}.protos", module)


def rewritten(text: str) -> str:
    """The text of a module with its imports in the distribution."""
    text = re.sub(r"\bservices\.client\b", NAME, text)
    text = re.sub(r"\bservices\.(kernel|orderlog|runtime)\b", rf"{NAME}.\1", text)
    text = re.sub(r"^(\s*(?:from|import) )oip\.", rf"\1{NAME}.protos.", text, flags=re.MULTILINE)
    # The module of generated messages. The names on the wire stay: `oip.orders.v1`.
    return re.sub(r"'oip\.([\w.]+_pb2)'", rf"'{NAME}.protos.\1'", text)


def requirements(paths: Iterator[Path]) -> list[str]:
    """The distributions that these modules need; exits at an import that none is known for."""
    needed: set[str] = set()
    versions: dict[str, str] = {}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for distribution, pattern in _GENERATED_BY.items():
            if version := pattern.search(text):
                versions[distribution] = version[1]
        for name in imports_of(path):
            known = [key for key in DISTRIBUTIONS if f"{name}.".startswith(f"{key}.")]
            if known:
                needed.add(DISTRIBUTIONS[known[0]])
            elif name.partition(".")[0] not in {
                "services",
                "oip",
                *OPTIONAL,
                *sys.stdlib_module_names,
            }:
                sys.exit(f"{path}: {name} belongs to no distribution that oip-client may need.")
    return sorted(f"{name}>={versions[name]}" if name in versions else name for name in needed)


def extras() -> dict[str, list[str]]:
    """The optional dependencies by extra, and `all` of them."""
    named = {extra: [distribution] for distribution, extra in OPTIONAL.values()}
    return named | {"all": sorted(distribution for distribution, _ in OPTIONAL.values())}


def lay_out(folder: Path) -> None:
    """Write the sources of the distribution into an empty folder."""
    for module, path in modules().items():
        target = folder.joinpath(*name_in_distribution(module).split("."))
        if path.name == "__init__.py":
            target /= "__init__"
        target.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".py", ".pyi"):
            if path.with_suffix(suffix).exists():
                text = path.with_suffix(suffix).read_text(encoding="utf-8")
                target.with_suffix(suffix).write_text(rewritten(text), encoding="utf-8")
    (folder / NAME / "protos" / "__init__.py").write_text('"""Generated code."""\n')
    (folder / NAME / "py.typed").touch()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    fields = {
        "name": "oip-client",
        "version": project["version"],
        "description": "Client of the order service of oip, for platform companies.",
        "readme": "README.md",
        "requires-python": project["requires-python"],
        "license": project["license"],
        "dependencies": requirements(iter(modules().values())),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    build = '[build-system]\nrequires = ["setuptools>=80"]\n'
    build += 'build-backend = "setuptools.build_meta"\n'
    packages = f'[tool.setuptools.packages.find]\ninclude = ["{NAME}*"]\n'
    packages += '[tool.setuptools.package-data]\n"*" = ["py.typed", "*.pyi"]\n'
    optional = [f"{name} = {json.dumps(value)}" for name, value in extras().items()]
    lines += ["[project.optional-dependencies]", *optional]
    content = "\n".join([build, "[project]", *lines, "", packages])
    (folder / "pyproject.toml").write_text(content, encoding="utf-8")
    shutil.copy(ROOT / "services" / "client" / "README.md", folder)
    shutil.copy(ROOT / "LICENSE", folder)


def build_wheel(folder: Path) -> Path:
    """Lay out the sources in a folder, which is emptied first, and build the wheel."""
    shutil.rmtree(folder, ignore_errors=True)
    sources, target = folder / "src", folder / "dist"
    sources.mkdir(parents=True)
    lay_out(sources)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target)]
    # Reproducible: the entries of the wheel have the earliest date of a zip file.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "315532800"}
    subprocess.run([*command, str(sources)], check=True, env=environment)
    (wheel,) = target.glob("*.whl")
    return wheel


if __name__ == "__main__":
    chosen = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "build" / "client"
    sys.stdout.write(f"{build_wheel(chosen)}\n")
