"""Every refusal of the services, for docs/reasons.md and for what is promised to callers."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import services
from services.kernel.problems import Problem

SOURCES = Path(services.__file__).parent

# The refusals whose fact `what` says which case it is, by the calls that make them: the number of
# arguments before the case.
_CALLS = {
    "Malformed.of": ("MALFORMED", 1),
    "Malformed.leave_out": ("MALFORMED", 1),
    "Forbidden.of": ("FORBIDDEN", 0),
    "Unauthenticated.of": ("UNAUTHENTICATED", 0),
    # Problem classes call their own constructor.
    "cls.of": ("MALFORMED", 1),
}


class Case(NamedTuple):
    """A case of a refusal: the code that programs read, and what is said of it."""

    reason: str
    code: str
    text: str
    text_zh: str


def reasons_page() -> str:
    """docs/reasons.md: every refusal with its code, its sentence and what it means."""
    lines = [
        "# Reasons",
        "",
        "Written by `make docs`. A refusal carries its reason and facts in `google.rpc.ErrorInfo`",
        "and one sentence in English and in Chinese. Callers read the reason, never the sentence.",
        "From the first release on (ADR 12) reasons are added, never renamed.",
        "",
        "| reason | code | sentence | 中文 |",
        "|---|---|---|---|",
    ]
    by_reason = {problem.reason: problem for problem in all_problems()}
    for reason in sorted(by_reason):
        problem = by_reason[reason]
        lines.append(
            f"| `{reason}` | {problem.kind.code} | {problem.message} | {problem.message_zh} |"
        )
    lines += [
        "",
        "## Cases",
        "",
        "The fact `what` of these reasons says which case it is. Of MALFORMED it is the reason",
        "of the violation of a field in `google.rpc.BadRequest`, too.",
        "",
        "| reason | case | {what} | 中文 |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {case.reason} | `{case.code}` | {case.text} | {case.text_zh} |" for case in cases()
    ]
    return "\n".join(lines) + "\n"


@cache
def all_problems() -> tuple[type[Problem], ...]:
    """Every kind of refusal that has its own reason."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not {"__main__", "migrations", "alembic"} & set(module.name.split(".")):
            importlib.import_module(module.name)
    problems, waiting = [], [Problem]
    while waiting:
        for subclass in waiting.pop().__subclasses__():
            waiting.append(subclass)
            if "reason" in vars(subclass) and subclass.__module__.startswith("services."):
                problems.append(subclass)
    return tuple(sorted(problems, key=lambda problem: (problem.reason, problem.__module__)))


def cases() -> list[Case]:
    """The cases of the refusals that have some, as the program names them."""
    return sorted({case for path in SOURCES.rglob("*.py") for case in _cases_in(path)})


def _cases_in(path: Path) -> Iterator[Case]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) not in _CALLS:
            continue
        reason, first = _CALLS[ast.unparse(node.func)]
        texts = [
            part.value
            for part in node.args[first:]
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        if len(texts) == len(node.args) - first == 3:
            yield Case(reason, *texts)
