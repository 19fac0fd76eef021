"""The dated table of acts: which need a second person, from which sum, and their limits."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from services.kernel.money import Fen
from services.kernel.phrases import Phrase
from services.runtime.rpc.roles import role_label, role_name, role_of

FILE = Path(__file__).with_name("second_signature.toml")


@dataclass(frozen=True)
class ActRule:
    """The rule for one act: who may sign it, from which sum on, and its limits in fen."""

    act: str
    since: date
    title: str
    title_zh: str
    from_fen: int
    roles: frozenset[int]
    sum_max: Fen | None = None
    day_cap: Fen | None = None

    def needs_signature(self, amount: Fen | None) -> bool:
        """Whether an act of this sum needs a second person; one without a sum does."""
        return amount is None or abs(amount.count) >= self.from_fen

    @property
    def role_labels(self) -> tuple[Phrase, ...]:
        """The roles that may sign, for people."""
        return tuple(role_label(role) for role in sorted(self.roles, key=role_name))


def rule_on(act: str, day: date) -> ActRule | None:
    """The rule that is in force for an act on a day; None if it needs nothing."""
    in_force = [rule for rule in all_rules() if rule.act == act and rule.since <= day]
    return max(in_force, key=lambda rule: rule.since, default=None)


def acts_signed_by(roles: frozenset[int], day: date) -> list[str]:
    """The acts that one of these roles may sign on a day."""
    acts = {rule.act for rule in all_rules()}
    rules = [rule for act in sorted(acts) if (rule := rule_on(act, day)) is not None]
    return [rule.act for rule in rules if not rule.roles.isdisjoint(roles)]


@cache
def all_rules() -> tuple[ActRule, ...]:
    """Every row of the table."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["acts"]
    return tuple(_rule(row) for row in rows)


def _rule(row: dict[str, Any]) -> ActRule:
    return ActRule(
        act=row["act"],
        since=row["since"],
        title=row["title"],
        title_zh=row["title_zh"],
        from_fen=row["from_fen"],
        roles=frozenset(role_of(role) for role in row["roles"]),
        sum_max=Fen(row["sum_max_fen"]) if "sum_max_fen" in row else None,
        day_cap=Fen(row["day_cap_fen"]) if "day_cap_fen" in row else None,
    )
