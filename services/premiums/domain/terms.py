"""Bases and bands of platforms by day, and the rates that follow for a month's lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import Enum

from services.kernel.law import Finding, Outcome, facts
from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import Month, Span
from services.premiums.domain.law import (
    EXPERIENCE_BAND,
    PREMIUM_BASE,
    RESERVE_MARKUP,
    Law,
)
from services.premiums.domain.problems import (
    BandNotInLaw,
    BaseNotInLaw,
    BaseNotKnown,
    TermInAssessedMonth,
)

BASE_PARAMETERS = "premium_base_{}"
ASSIGNED = "premium_base_assigned"
NEUTRAL = Decimal(1)


class Industry(Enum):
    """The industries of the scheme, with the numbers of `oip.type.v1.Industry`."""

    RIDE_HAILING = 1
    INSTANT_DELIVERY = 2
    SAME_CITY_FREIGHT = 3

    @property
    def key(self) -> str:
        """How parameters name it."""
        return self.name.lower()

    @property
    def zh(self) -> str:
        """行业."""
        return {1: "出行", 2: "即时配送", 3: "同城货运"}[self.value]


class TermKind(Enum):
    """What a term fixes."""

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


@dataclass(frozen=True, order=True)
class LineKey:
    """What a premium line is for, but for its rate."""

    platform: str
    pooling_area: str
    industry: int
    month: Month

    @property
    def where(self) -> str:
        """The platform in its pooling area, as parameters are asked for."""
        return f"{self.platform}@{self.pooling_area}"


@dataclass(frozen=True)
class Rate:
    """The rate of a line in a span of service dates, half-open."""

    key: LineKey
    days: Span
    base: Decimal  # yuan per order
    band: Decimal  # factor
    markup: Decimal  # share of base times band
    findings: tuple[Finding, ...] = ()

    @property
    def factors(self) -> tuple[Decimal, Decimal, Decimal]:
        """What has to be equal for two spans to be one line."""
        return self.base, self.band, self.markup


def rates(keys: Iterable[LineKey], terms: Sequence[Term], law: Law) -> list[Rate]:
    """The rates in force for each line, in spans that together cover its month.

    Raises BaseNotKnown for a key whose industry has no base there.
    """
    return [rate for key in sorted(keys) for rate in _rates_of(key, terms, law)]


def _rates_of(key: LineKey, terms: Sequence[Term], law: Law) -> list[Rate]:
    own = [term for term in terms if term.platform == key.platform]
    month = key.month.days
    named = BASE_PARAMETERS.format(Industry(key.industry).key)
    days = law.changes(month, named, ASSIGNED, "experience_minimum", "reserve_markup")
    days |= {term.since for term in own if term.since in month}
    starts = sorted(days | {month.start})
    found: list[Rate] = []
    for start, end in zip(starts, [*starts[1:], month.end], strict=True):
        rate = rate_on(key, start, own, law)
        if found and found[-1].factors == rate.factors:
            found[-1] = replace(found[-1], days=Span(found[-1].days.start, end))
        else:
            found.append(replace(rate, days=Span(start, end)))
    return found


def rate_on(key: LineKey, day: date, terms: Sequence[Term], law: Law) -> Rate:
    """The rate of one service date; raises BaseNotKnown."""
    base, base_finding = base_on(key, day, terms, law)
    band, band_finding = band_on(key.platform, day, terms, law)
    markup = law.on("reserve_markup", day, key.where)
    findings = [base_finding, band_finding]
    if markup.decimal:
        findings.append(
            Finding(
                RESERVE_MARKUP,
                Outcome.CALCULATED,
                f"A markup of {markup.decimal} is added to the rate for the reserve.",
                f"费率附加储备 {markup.decimal}。",
                outputs=facts(markup=markup.decimal),
                parameters=(markup.version,),
            )
        )
    return Rate(key, Span(day), base, band, markup.decimal, tuple(findings))


def base_on(key: LineKey, day: date, terms: Sequence[Term], law: Law) -> tuple[Decimal, Finding]:
    """The base of a platform and industry on a service date, yuan per order.

    A base assigned to the platform holds until the law fixes the industry's bases anew; from then
    on it has to be assigned again.
    """
    industry = Industry(key.industry)
    try:
        lawful = law.on(BASE_PARAMETERS.format(industry.key), day, key.where)
    except ParameterNotFound:
        raise BaseNotKnown(
            industry=industry.name, pooling_area=key.pooling_area, day=day, platform=key.platform
        ) from None
    term = _in_force(terms, TermKind.BASE, day, industry)
    if term is None or term.since < lawful.since:
        text = f"The base of {industry.name} is {lawful.decimal} yuan an order."
        text_zh = f"{industry.zh}缴费基准额为每单 {lawful.decimal} 元。"
        inputs, found = facts(industry=industry, day=day), lawful.decimal
    else:
        found = term.value
        text = f"The base {found} yuan an order was assigned to the platform from {term.since}."
        text_zh = f"平台自 {term.since} 起适用缴费基准额每单 {found} 元。"
        inputs = facts(industry=industry, day=day, since=term.since, reason=term.reason)
    return found, Finding(
        PREMIUM_BASE,
        Outcome.CALCULATED,
        text,
        text_zh,
        inputs=inputs,
        outputs=facts(base_yuan=found),
        parameters=(lawful.version,),
    )


def band_on(platform: str, day: date, terms: Sequence[Term], law: Law) -> tuple[Decimal, Finding]:
    """The band of a platform on a service date, a factor; 1.00 until one is fixed."""
    term = _in_force(terms, TermKind.BAND, day, None)
    minimum = law.on("experience_minimum", day)
    found = minimum.at("band") if term is None else term.value
    if term is None:
        text = f"No band is fixed for the platform on {day}: {found} of the base."
        text_zh = f"{day} 平台尚未核定浮动档次, 按基准的 {found} 计。"
    else:
        text = f"The platform's band is {found} of the base from {term.since}."
        text_zh = f"平台自 {term.since} 起浮动档次为 {found}。"
    return found, Finding(
        EXPERIENCE_BAND,
        Outcome.CALCULATED,
        text,
        text_zh,
        inputs=facts(platform=platform, day=day, reason=term.reason if term else ""),
        outputs=facts(band=found),
        parameters=(minimum.version,) if term is None else (),
    )


def _in_force(
    terms: Sequence[Term], kind: TermKind, day: date, industry: Industry | None
) -> Term | None:
    held = [
        term
        for term in terms
        if term.kind is kind and term.industry is industry and term.since <= day
    ]
    return max(held, key=lambda term: (term.since, term.seq), default=None)


def base_choices(industry: Industry, day: date, law: Law) -> list[Decimal]:
    """The bases that the law knows for an industry on a day, lowest first; may be none."""
    found = set()
    try:
        found.add(law.decimal(BASE_PARAMETERS.format(industry.key), day))
        assigned = law.on(ASSIGNED, day).value
    except ParameterNotFound:
        return sorted(found)
    if industry.key in assigned:
        found.add(Decimal(assigned[industry.key]))
    return sorted(found)


def check_base(industry: Industry, base: Decimal, day: date, law: Law) -> None:
    """Raise BaseNotInLaw unless the law knows this base for the industry on the day."""
    choices = base_choices(industry, day, law)
    if base not in choices:
        raise BaseNotInLaw(
            field="base_yuan",
            base=base,
            industry=industry.name,
            day=day,
            choices=", ".join(map(str, choices)) or "none",
        )


def bands(day: date, law: Law) -> list[Decimal]:
    """The experience bands in force on a day, lowest first, as factors."""
    return [Decimal(band) for band in law.on("experience_bands", day).value]


def check_band(band: Decimal, day: date, law: Law) -> None:
    """Raise BandNotInLaw unless the law knows this band on the day."""
    choices = bands(day, law)
    if band not in choices:
        raise BandNotInLaw(field="band", band=band, day=day, choices=", ".join(map(str, choices)))


def check_since(since: date, latest: Month | None) -> None:
    """Raise TermInAssessedMonth if the day lies in or before the newest assessed month."""
    if latest is not None and Month.of(since) <= latest:
        raise TermInAssessedMonth(
            field="since_date", since=since, first_day=latest.plus(1).first_day
        )
