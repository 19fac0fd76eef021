"""Runs every case of tests/rules/<service>/<topic>.toml: files that a lawyer can read and extend.

    rule = "benefits.disability_grant"        # a rule of tests/rules/<service>/adapter.py
    [[case]]
    name = "grade 3, injured in July 2025"    # unique in the file
    day = 2025-07-15                          # the day the law is asked for
    given = {grade = 3, pooling_area = "440100"}
    expect = {amount_yuan = "79897.40"}       # only these keys are compared
    provision = "人社厅函〔2025〕79号 第三十八条第(二)项"

A case may name another `rule`, and `refused = "REASON"` in the place of `expect` says that the
rule refuses these facts with a Problem of that reason. `note` is for people.

The adapter holds `RULES: dict[str, Callable[[date, dict[str, Any]], dict[str, Any]]]`; the name may
leave out the service. If an answer has `provisions` (a list of text), the case's provision must be
among them.
"""

from __future__ import annotations

import importlib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from services.kernel.problems import Problem

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*/*.toml"))
CASE_KEYS = {"name", "day", "given", "expect", "refused", "provision", "rule", "note"}
FILE_KEYS = {"rule", "case", "title", "note"}

Rule: TypeAlias = Callable[[date, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One case, with the file it stands in and the rule it is for."""

    file: str
    rule: str
    name: str
    day: date
    given: dict[str, Any]
    provision: str
    expect: dict[str, Any]
    refused: str

    @property
    def title(self) -> str:
        return f"{self.file}: {self.name}"


def cases_in(path: Path) -> Iterator[Case]:
    """The cases of one file; whatever is not as this module says fails with file and case."""
    file = str(path.relative_to(HERE))
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert set(content) <= FILE_KEYS, f"{file}: unknown keys {set(content) - FILE_KEYS}"
    for row in content.get("case", []):
        where = f"{file}: {row.get('name', row)}"
        assert set(row) <= CASE_KEYS, f"{where}: unknown keys {set(row) - CASE_KEYS}"
        assert row.get("provision"), f"{where}: name the provision"
        assert isinstance(row.get("day"), date), f"{where}: give the day"
        assert bool(row.get("expect")) != bool(row.get("refused")), f"{where}: expect or refused"
        yield Case(
            file=file,
            rule=row.get("rule") or content["rule"],
            name=row["name"],
            day=row["day"],
            given=row.get("given", {}),
            provision=row["provision"],
            expect=row.get("expect", {}),
            refused=row.get("refused", ""),
        )


CASES = [case for path in FILES for case in cases_in(path)]


def rule_of(case: Case) -> Rule:
    """The rule a case is for, from its service's adapter."""
    service = case.file.partition("/")[0]
    rules: dict[str, Rule] = importlib.import_module(f"tests.rules.{service}.adapter").RULES
    found = rules.get(case.rule) or rules.get(case.rule.removeprefix(f"{service}."))
    assert found is not None, f"{case.file}: no rule {case.rule}; there are {sorted(rules)}"
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_case_comes_out_as_the_law_says(case: Case) -> None:
    rule = rule_of(case)

    if case.refused:
        with pytest.raises(Problem) as caught:
            rule(case.day, dict(case.given))
        assert caught.value.reason == case.refused
        return

    answer = rule(case.day, dict(case.given))

    assert {key: answer.get(key) for key in case.expect} == case.expect
    if "provisions" in answer:
        assert case.provision in answer["provisions"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_names_of_cases_are_unique_in_their_file(path: Path) -> None:
    names = Counter(case.name for case in cases_in(path))

    assert [name for name, count in names.items() if count > 1] == []
