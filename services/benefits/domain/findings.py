"""How findings of benefits are written, and an amount together with the findings behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.benefits.domain.figures import AwaitedFigure
from services.kernel.law import Finding, Outcome, Provision, facts
from services.kernel.money import Fen
from services.kernel.parameters import Value


@dataclass(frozen=True)
class ExplainedAmount:
    """An amount in fen, with the findings that explain it."""

    amount: Fen
    findings: tuple[Finding, ...]
    awaits: tuple[AwaitedFigure, ...] = ()


def calculation(
    provision: Provision,
    text: str,
    text_zh: str,
    arithmetic: str,
    *,
    inputs: Mapping[str, object],
    outputs: Mapping[str, object],
    values: Sequence[Value] = (),
) -> Finding:
    """The finding of a provision that gives an amount or a day."""
    return Finding(
        provision,
        Outcome.CALCULATED,
        text,
        text_zh,
        facts(**inputs),
        facts(**outputs),
        tuple(value.version for value in values),
        arithmetic,
    )


def condition(
    provision: Provision,
    outcome: Outcome,
    text: str,
    text_zh: str,
    *,
    inputs: Mapping[str, object],
    outputs: Mapping[str, object] | None = None,
    values: Sequence[Value] = (),
) -> Finding:
    """The finding of a provision that sets a condition."""
    return Finding(
        provision,
        outcome,
        text,
        text_zh,
        facts(**inputs),
        facts(**(outputs or {})),
        tuple(value.version for value in values),
    )


def percent(share: Decimal) -> str:
    """`0.40` as `40 %`."""
    return f"{(share * 100).normalize():f} %"
