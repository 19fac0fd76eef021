"""Every rule has an entrance: a test through an RPC or an event has executed it.

`make test` runs this after all integration tests and journeys, on what they left in build/. To be
exempt for a while, name the rule in docs/not-wired.toml with the entrance it waits for.
"""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from tests.support import reach

ROOT = Path(__file__).resolve().parents[2]


def test_every_rule_is_reached_through_an_rpc_or_an_event() -> None:
    rules, files, failed_count = reach.read()
    paths = [*ROOT.glob("tests/integration/*/test_*.py"), *ROOT.glob("tests/journeys/test_*.py")]
    if failed_count or not {str(path.relative_to(ROOT)) for path in paths} <= files:
        pytest.skip("needs a run of all integration tests and journeys before, without a failure")
    listed = tomllib.loads((ROOT / "docs/not-wired.toml").read_text(encoding="utf-8"))
    waiting = listed["rules"] | listed["specifications"]
    reached = rules | _run_by_the_reader()

    unreached = sorted(set(reach.all_rules()) - reached)
    assert [rule for rule in unreached if rule not in waiting] == [], (
        "a rule that no RPC and no event reaches is not applied law: give it an entrance and a "
        "test through it, delete it, or name it in docs/not-wired.toml with what it waits for"
    )
    assert sorted(set(waiting) - set(unreached)) == [], (
        "these rules are reached, or gone: take them off docs/not-wired.toml"
    )


def _run_by_the_reader() -> set[str]:
    """Rules that orders' reader process calls: it is another process, so they are followed by name.

    The reader reads each batch of each upload, so what it names in its own path is run.
    """
    paths = sorted((ROOT / "services/orders/domain").glob("*.py"))
    rules = [rule for path in paths for rule in reach.public_rules(path)]
    bodies: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                bodies[node.name] = bodies.get(node.name, set()) | _names(node)
    waiting = set[str]()
    for path in (ROOT / "services/orders/reader").glob("*.py"):
        waiting |= _names(ast.parse(path.read_text(encoding="utf-8")))
    followed = set[str]()
    while waiting:
        name = waiting.pop()
        if name in bodies and name not in followed:
            followed.add(name)
            waiting |= bodies[name]
    return {rule for rule in rules if rule.rpartition(".")[2] in followed}


def _names(tree: ast.AST) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
