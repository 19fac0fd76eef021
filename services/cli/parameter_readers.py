"""Where the parameters of the law are read: the functions of this installation that name them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import services

ROOT = Path(services.__file__).resolve().parent
# Besides the calls of a service to others, which stand in one file.
FOLDERS = ("domain", "commands")
CALLS = "clients.py"
# `benefits.domain.recovery` is a module; more dots name a function in it.
MODULE_DOTS = 2


def readers_of(parameter: str) -> list[str]:
    """The functions that name a parameter, `benefits.domain.recovery.set_off_finding`."""
    exact, patterns = _named()
    readers = set(exact.get(parameter, ()))
    for pattern, places in patterns.items():
        if re.fullmatch(pattern, parameter):
            readers |= places
    functions = {place for place in readers if place.count(".") > MODULE_DOTS}
    in_modules = {place.rpartition(".")[0] for place in functions}
    modules = {place for place in readers - functions if not place.endswith(".law")}
    return sorted(functions | (modules - in_modules))


@cache
def _named() -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
    """The texts in rules and commands, and those with a gap as patterns, by where they stand."""
    exact: dict[str, set[str]] = defaultdict(set)
    patterns: dict[str, set[str]] = defaultdict(set)
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent.name not in FOLDERS and path.name != CALLS:
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for place, text in _texts(ast.parse(path.read_text(encoding="utf-8")), module):
            if re.fullmatch(r"[a-z_]+\{\}[a-z_]*", text):
                patterns[text.replace("{}", "[a-z_]+")].add(place)
            elif re.fullmatch(r"[a-z_]+", text):
                exact[text].add(place)
    return exact, patterns


def _texts(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """Every text of a module with the function in which it stands, or the module."""
    for node in tree.body:
        is_definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        place = f"{module}.{node.name}" if is_definition else module  # type: ignore[attr-defined]
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield place, part.value
