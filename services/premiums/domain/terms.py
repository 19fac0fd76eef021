"""Terms of platforms: the premium base (缴费基准额) and the experience band (浮动档次) by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum

from services.kernel.law import Finding
from services.kernel.lawbook import Law
from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import Month
from services.kernel.scheme import Industry
from services.premiums.domain.problems import BandNotInLaw, BaseNotInLaw, TermInAssessedMonth

BASE_PARAMETERS = "premium_base_{}"
ASSIGNED = "premium_base_assigned"


class TermKind(Enum):
    """The kinds of terms."""

    BASE = 1
    BAND = 2


@dataclass(frozen=True)
class Term:
    """A platform's base or band from a service date on. The newest of one day counts."""

    platform: str
    kind: TermKind
    since: date
    value: Decimal  # yuan per order, or a factor of the base
    industry: Industry | None = None
    reason: str = ""
    id: str = ""
    seq: int = 0
    findings: tuple[Finding, ...] = ()


def term_in_force(
    terms: Sequence[Term], kind: TermKind, day: date, industry: Industry | None
) -> Term | None:
    """The term of a kind that counts on a service date; None if none has begun."""
    begun = [
        term
        for term in terms
        if term.kind is kind and term.industry is industry and term.since <= day
    ]
    return max(begun, key=lambda term: (term.since, term.seq), default=None)


def base_choices(industry: Industry, day: date, law: Law) -> list[Decimal]:
    """The bases that the law knows for an industry on a day, lowest first; may be none."""
    choices = set()
    try:
        choices.add(law.decimal(BASE_PARAMETERS.format(industry.key), day))
        assigned = law.table(ASSIGNED, day)
    except ParameterNotFound:
        return sorted(choices)
    if industry.key in assigned:
        choices.add(Decimal(assigned[industry.key]))
    return sorted(choices)


def require_lawful_base(industry: Industry, base: Decimal, day: date, law: Law) -> None:
    """Raise BaseNotInLaw unless the law knows this base for the industry on the day."""
    choices = base_choices(industry, day, law)
    if base not in choices:
        raise BaseNotInLaw(
            field="base_yuan",
            base=base,
            industry=industry,
            day=day,
            choices=tuple(choices),
        )


def bands(day: date, law: Law) -> list[Decimal]:
    """The experience bands in force on a day, lowest first, as factors."""
    return [Decimal(band) for band in law.on("experience_bands", day).value]


def require_lawful_band(band: Decimal, day: date, law: Law) -> None:
    """Raise BandNotInLaw unless the law knows this band on the day."""
    choices = bands(day, law)
    if band not in choices:
        raise BandNotInLaw(field="band", band=band, day=day, choices=tuple(choices))


def require_month_not_assessed(since: date, latest: Month | None) -> None:
    """Raise TermInAssessedMonth if the day lies in or before the newest assessed month."""
    if latest is not None and Month.of(since) <= latest:
        raise TermInAssessedMonth(
            field="since_date", since=since, first_day=latest.plus(1).first_day
        )
