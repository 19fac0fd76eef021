"""Which rules a run of the tests has reached through an RPC or an event.

Modules of `services/*/domain` are compiled with one line more in each public function, which notes
the function when it runs for a caller of an RPC or below an entrance: a file of `api`, `commands`
or `consumers`. A rule that is only imported, or only called by a unit test, is not reached.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.machinery
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, FrameType, ModuleType

from services.runtime.rpc.access import caller_name

ROOT = Path(__file__).resolve().parents[2]
RULES = re.compile(r"services\.\w+\.domain(\.\w+)?$")
# What consumes events: the listener of a service, or a client of tests in its place.
CONSUMERS = {
    ("services/runtime/events/listener.py", None),
    ("tests/support/stack_client.py", "consume"),
}

# What each process of a run leaves, for the test that puts it together.
FOLDER = ROOT / "build" / "reached"

reached: set[str] = set()


def note(rule: str) -> None:
    """Note a rule that runs for the caller of an RPC, or below what consumes events."""
    if rule in reached:
        return
    if caller_name() or _is_consuming():
        reached.add(rule)


def _is_consuming() -> bool:
    if asyncio._get_running_loop() is None:  # a unit test, as most calls of rules are
        return False
    frame: FrameType | None = sys._getframe(3)
    while frame is not None:
        if _consumes(frame.f_code):
            return True
        frame = frame.f_back
    return False


@cache
def _consumes(code: CodeType) -> bool:
    return any(
        code.co_filename.endswith(file) and function in {None, code.co_name}
        for file, function in CONSUMERS
    )


def write(files: set[Path], failed_count: int) -> None:
    """Leave the rules that this process reached, the test files it ran, and how many failed."""
    names = sorted(str(path.relative_to(ROOT)) for path in files)
    if not any(name.startswith(("tests/integration", "tests/journeys")) for name in names):
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {"rules": sorted(reached), "files": names, "failed_count": failed_count}
    (FOLDER / f"{os.getpid()}.json").write_text(json.dumps(content), encoding="utf-8")


def read() -> tuple[set[str], set[str], int]:
    """The rules, the test files and the failures of all processes of a run."""
    rules, files, failed_count = set[str](), set[str](), 0
    for path in FOLDER.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        rules.update(content["rules"])
        files.update(content["files"])
        failed_count += content["failed_count"]
    return rules, files, failed_count


def public_rules(path: Path) -> list[str]:
    """The public functions and methods of a module of rules: `premiums.domain.fines.fine`."""
    module = ".".join(path.relative_to(ROOT / "services").with_suffix("").parts)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [f"{module.removesuffix('.__init__')}.{name}" for name, _ in _rules_in(tree)]


def _rules_in(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Names and definitions: `surcharge`, `StepClock.due`. no property, no protocol."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            if any(ast.unparse(base).startswith("Protocol") for base in node.bases):
                continue
            for part in node.body:
                if not isinstance(part, ast.FunctionDef) or part.name.startswith("_"):
                    continue
                decorators = {ast.unparse(decorator) for decorator in part.decorator_list}
                if not decorators & {"property", "cached_property"}:
                    yield f"{node.name}.{part.name}", part


def all_rules() -> list[str]:
    """Every public rule of every service."""
    paths = sorted((ROOT / "services").glob("*/domain/*.py"))
    return [rule for path in paths for rule in public_rules(path)]


class _NotingLoader(importlib.machinery.SourceFileLoader):
    """Compiles a module of rules with the notes in it; nothing of it is cached."""

    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.path)
        tree = ast.parse(path.read_text(encoding="utf-8"), self.path)
        prefix = fullname.removeprefix("services.")
        for name, node in _rules_in(tree):
            call = ast.parse(f"__import__('sys').modules[{__name__!r}].note('{prefix}.{name}')")
            has_docstring = ast.get_docstring(node, clean=False) is not None
            place = 1 if has_docstring else 0
            node.body.insert(place, ast.copy_location(call.body[0], node.body[-1]))
        return compile(ast.fix_missing_locations(tree), self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if not RULES.match(fullname):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = _NotingLoader(fullname, spec.loader.path)
        return spec


def install() -> None:
    """Note rules from here on; modules that are imported already are not noted."""
    assert not any(RULES.match(name) for name in sys.modules), "install before rules are imported"
    sys.meta_path.insert(0, _Finder())
