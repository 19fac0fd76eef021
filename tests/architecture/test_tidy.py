"""The project's own linter: what ruff, mypy and import-linter cannot say."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.problems import all_problems

ROOT = Path(__file__).parents[2]
SERVICES = ("enrolment", "orders", "premiums", "claims", "grading", "benefits", "fund")
MODULES = {"__main__", "api", "commands", "consumers", "domain", "events", "store"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 70


def source_files(*folders: str) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "__pycache__" not in path.parts
    )


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_agreed_files(service: str) -> None:
    folder = ROOT / "services" / service
    modules = {path.stem for path in folder.glob("*.py")} | {
        path.name for path in folder.iterdir() if (path / "__init__.py").exists()
    }
    extra = {"clients"} if service == "claims" else set()

    assert modules - {"__init__"} == MODULES | extra
    assert (folder / "README.md").exists()
    assert (folder / "parameters").is_dir() or service == "enrolment"
    assert list((folder / "migrations" / "versions").glob("0001_*.py"))


@pytest.mark.parametrize(
    "path", source_files("services", "tests", "tools"), ids=lambda p: str(p.relative_to(ROOT))
)
def test_files_and_functions_are_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in functions(path)
        if node.end_lineno and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]

    assert lines <= LONGEST_FILE
    assert long == []


@pytest.mark.parametrize(
    "path",
    [
        path
        for path in source_files("services")
        if "kernel" in path.parts or path.name == "domain.py" or "domain" in path.parts
    ],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_rules_use_no_floats(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    literals = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]
    calls = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"
    ]

    assert literals + calls == []


def test_every_reason_belongs_to_one_problem_and_says_what_to_do() -> None:
    problems = [problem for problem in all_problems() if "reason" in vars(problem)]
    by_reason: dict[str, list[str]] = {}
    for problem in problems:
        by_reason.setdefault(problem.reason, []).append(problem.__qualname__)

    assert {reason: names for reason, names in by_reason.items() if len(names) > 1} == {}
    for problem in problems:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{2,62}", problem.reason), problem
        assert inspect.getdoc(problem), problem
        assert problem.message.rstrip().endswith((".", "}")), problem
        assert re.search(r"[\u4e00-\u9fff]", problem.message_zh), problem


def test_every_reason_is_documented() -> None:
    written = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    missing = [
        problem.reason
        for problem in all_problems()
        if "reason" in vars(problem) and f"`{problem.reason}`" not in written
    ]

    assert missing == []


def test_the_project_speaks_of_itself_alone() -> None:
    """No package registry, no path of a machine."""
    words = re.compile("|".join(("py" + "pi", "python" + "hosted", "/ro" + "ot/", "/ho" + "me/")))
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for pattern in ("services/**/*", "docs/**/*", "deploy/**/*", "requirements/*", "*.md")
        for path in ROOT.glob(pattern)
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".in", ""}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]

    assert found == []
