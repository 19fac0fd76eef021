"""A store keeps values: it decides nothing, speaks in seven verbs, and names states in its SQL."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_tidy import ROOT, SERVICES, functions, source_files

STORE_VERBS = ("count_", "find_", "get_", "insert_", "list_", "lock_", "update_")


@pytest.mark.parametrize("service", SERVICES)
def test_stores_speak_in_seven_verbs(service: str) -> None:
    others = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "services" / service / "store").glob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef)
        and not node.name.startswith(("_", *STORE_VERBS))
        and node.name not in {verb.rstrip("_") for verb in STORE_VERBS}
    ]

    assert others == [], (
        "who knows one store finds the question or the change in the others by its verb: begin "
        "the name with get, find, list, lock, insert, update or count (STORE_VERBS)"
    )


# Functions of domain that write a value as a number or as a resource name, and decide nothing.
SPELLINGS = {
    "all_verdicts",
    "appraisal_name",
    "industry_number",
    "industry_of",
    "platform_name",
    "specialist_name",
}
RULE_MODULES = ("services.kernel.workdays", "services.kernel.lawbook", "services.kernel.parameters")


@pytest.mark.parametrize("service", SERVICES)
def test_stores_import_no_rule(service: str) -> None:
    prefix = f"services.{service}.domain"
    rules = {
        f"{prefix}.{path.stem}": {node.name for node in functions(path)}
        for path in (ROOT / "services" / service / "domain").glob("*.py")
    }
    faults = []
    for path in source_files(f"services/{service}/store"):
        for line, module, names in _imports(path):
            whole = (module in rules and not names) or module == prefix
            called = set(names) & rules.get(module, set()) - SPELLINGS
            if whole or called or module.startswith(RULE_MODULES):
                faults.append(f"{path.relative_to(ROOT)}:{line}: {module} {sorted(called)}")

    assert faults == [], (
        "a store keeps values, and who looks for a decision looks into domain: let the command "
        "decide and hand the value over. A function that only spells a value belongs in SPELLINGS"
    )


def _imports(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Line, module and imported names; without names, the module itself is imported."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "", [alias.name for alias in node.names]
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)


# `state in (2`, `status = 5`, `c.result between 1`: a member of an enum, written as its number.
STATE_NUMBER = re.compile(
    r"\b\w*(?:state|status|result|kind|outcome|verdict)\s*"
    r"(?:=|<>|!=|<=?|>=?|(?:not\s+)?in\s*\(|between|is distinct from|=\s*any\s*\()\s*[(\[{']*\d",
    re.IGNORECASE,
)


@pytest.mark.parametrize("service", SERVICES)
def test_sql_names_its_states(service: str) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {match[0]}"
        for folder in ("store", "commands", "migrations")
        for path in source_files(f"services/{service}/{folder}")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for match in STATE_NUMBER.finditer(node.value)
    ]

    assert faults == [], (
        "a number in SQL keeps its old meaning when the enum changes, and nobody finds it by the "
        "name of the state: bind or format the member of the enum"
    )
