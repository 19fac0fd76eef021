"""The law is data: complete, used, shown by cases, and not in code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from services.kernel.identifiers import NATIONAL
from services.kernel.instruments import INSTRUMENTS, not_law
from services.kernel.law import Tag
from services.kernel.parameter_check import check_tree, parameter_files
from services.kernel.parameters import load
from tools.docs import all_cases, applied_provisions

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
RULED = ("premiums", "claims", "grading", "benefits", "fund")

# Numbers that are no law: how a thing is counted, written or bounded.
ANYWHERE = {0, 1, 2, 10, 12, 100}
NAMED = ("_MAX", "_DIGITS", "_DECIMALS", "_GRADES", "_OF_MONTH", "_PER_YEAR", "SHOWN", "BEST")
# Forms of equalisation that a province may choose and that no month has used yet: they compute
# transfers and are shown by cases, but leave no finding.
COMPUTED_ONLY = {"SGB VII § 178", "大额案件 省级分担", "调剂金 年度清算"}
A_FEN = Decimal("0.01")  # the base of ride-hailing, and how amounts in yuan are written
HERE = {
    "claims/domain/confirmation.py": {1000},  # the most that a blood test can show
}


def test_the_law_of_this_repository_has_no_fault() -> None:
    assert [str(fault) for fault in check_tree(SERVICES)] == []


def test_there_are_at_least_two_hundred_cases() -> None:
    assert sum(1 for _ in all_cases()) >= 200


def test_every_provision_has_a_rule_and_a_case() -> None:
    applied = applied_provisions()

    assert [name for name, one in applied.items() if not one.cases] == []
    without = {name for name, one in applied.items() if not one.rules}
    assert without <= COMPUTED_ONLY


def test_every_provision_has_an_instrument_with_a_first_day_and_a_place() -> None:
    """An instrument that is new to the rules needs a line in services/kernel/instruments.py."""
    named = {applied.provision.instrument for applied in applied_provisions().values()}

    assert named - set(INSTRUMENTS) == set()
    provisions = [applied.provision for applied in applied_provisions().values()]
    wrong = [
        f"{provision}: {problem}"
        for provision in provisions
        if provision.tag is Tag.LAW
        and (problem := not_law(str(provision), provision.held_by.since, NATIONAL))
    ]
    assert wrong == [], "take another tag, or say in instruments.py that the article was seen"


def test_every_province_stands_on_its_page_with_all_parameters() -> None:
    page = (ROOT / "docs" / "provinces.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \| (\d{6}) \| .+? \|((?: \d+ \|)+)$", page, re.MULTILINE)
    starts = load(SERVICES / "kernel" / "parameters" / "scheme_start.toml")

    assert [code for code, _ in rows] == sorted(value.jurisdiction for value in starts.values)
    assert len(rows) == 32
    count = len(parameter_files(SERVICES))
    for code, numbers in rows:
        assert sum(map(int, re.findall(r"\d+", numbers))) == count, code


@pytest.mark.parametrize(
    "path",
    [
        path
        for service in RULED
        for path in [
            *(SERVICES / service).glob("domain.py"),
            *(SERVICES / service).glob("domain/*.py"),
        ]
    ],
    ids=lambda path: str(path.relative_to(SERVICES)),
)
def test_rules_name_no_number_of_the_law(path: Path) -> None:
    allowed = ANYWHERE | HERE.get(str(path.relative_to(SERVICES)), set())
    tree = ast.parse(path.read_text(encoding="utf-8"))

    found = [
        f"line {node.lineno}: {node.value!r}"
        for node in _law_like(tree)
        if _number(node.value) not in allowed
    ]

    assert found == [], "put it into a parameter, or name it as what it is"


def _law_like(tree: ast.Module) -> Iterator[ast.Constant]:
    """Numbers that a rule computes with: not members of enums, places in texts, named bounds."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        enum = isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id.endswith("Enum") for base in node.bases
        )
        bound = isinstance(node, ast.Assign | ast.AnnAssign) and any(
            isinstance(name, ast.Name) and name.id.endswith(NAMED) for name in ast.walk(node)
        )
        length = isinstance(node, ast.Compare) and "len(" in ast.unparse(node.left)
        cache = isinstance(node, ast.keyword) and node.arg == "maxsize"
        if enum or bound or length or cache or isinstance(node, ast.Subscript):
            skipped |= set(ast.walk(node))
        if _is_split(node) or _is_provision(node):
            skipped |= set(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node not in skipped and _is_number(node.value):
            yield node


def _is_split(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"split", "rsplit"}
    )


def _is_provision(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Provision"
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return re.fullmatch(r"\d+\.\d+", value) is not None
    return isinstance(value, int)


def _number(value: Any) -> Decimal:
    return Decimal(value)


@pytest.mark.parametrize(
    "path",
    [
        *sorted((SERVICES / "kernel").glob("*.py")),
        *sorted(SERVICES.glob("*/domain.py")),
        *sorted(SERVICES.glob("*/domain/*.py")),
    ],
    ids=lambda path: str(path.relative_to(SERVICES)),
)
def test_rules_read_no_clock_no_chance_and_no_network(path: Path) -> None:
    away = re.compile(
        r"(time|random|secrets|os|socket|asyncio|grpc|sqlalchemy|psycopg|nats|google|oip"
        r"|services\.(runtime|cli|demo))(\.|$)"
    )
    tree = ast.parse(path.read_text(encoding="utf-8"))
    modules = [
        *(node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)),
        *(
            one.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for one in node.names
        ),
    ]
    calls = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }

    assert [module for module in modules if away.match(module)] == []
    assert calls & {"now", "today", "utcnow"} == set()


def test_no_distinctive_number_of_the_law_stands_anywhere_in_the_services() -> None:
    law = {number for path in parameter_files(SERVICES) for number in _distinctive(path)}

    found = [
        f"{path.relative_to(SERVICES)}:{node.lineno}: {node.value!r}"
        for service in RULED
        for path in (SERVICES / service).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and _parsed(node.value) in law
    ]

    assert found == []


def _distinctive(path: Path) -> Iterator[Decimal]:
    """Numbers of a parameter that nothing else would be: rates, and sums from a thousand on."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    for row in content["values"]:
        for leaf in _leaves(row["value"]):
            number = _parsed(leaf)
            if number is None or number == A_FEN or not number % 1_000:
                continue
            if number > 1_000 or number % 1:
                yield number


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _parsed(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        return Decimal(value)
    except InvalidOperation:
        return None


def test_the_documents_are_up_to_date() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": ".:protos/gen", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
