"""The rate of a premium line by service date: base, band and markup for the reserve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import Span
from services.kernel.scheme import Industry
from services.premiums.domain.law import EXPERIENCE_BAND, PREMIUM_BASE, RESERVE_MARKUP
from services.premiums.domain.problems import BaseNotKnown, SchemeNotInForce
from services.premiums.domain.tallies import LineKey
from services.premiums.domain.terms import (
    ASSIGNED,
    BASE_PARAMETERS,
    Term,
    TermKind,
    term_in_force,
)


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
        """Base, band and markup; spans of a key with equal factors are one line."""
        return self.base, self.band, self.markup


def rates(keys: Iterable[LineKey], terms: Sequence[Term], law: Law) -> list[Rate]:
    """The rates in force for each line, in spans that together cover its month.

    Raises SchemeNotInForce for a month from before the scheme in the area, BaseNotKnown for a key
    whose industry has no base there.
    """
    keys = sorted(keys)
    for key in keys:
        require_in_scheme(key, law)
    return [rate for key in keys for rate in _rates_of_key(key, terms, law)]


def require_in_scheme(key: LineKey, law: Law) -> None:
    """Raise SchemeNotInForce for service dates before the first day of the scheme in the area."""
    start = law.day("scheme_start", key.month.plus(1).first_day, key.pooling_area)
    if start > key.month.first_day:
        raise SchemeNotInForce(
            pooling_area=key.pooling_area, start=start, platform=key.platform, month=key.month
        )


def _rates_of_key(key: LineKey, terms: Sequence[Term], law: Law) -> list[Rate]:
    own_terms = [term for term in terms if term.platform == key.platform]
    month = key.month.days
    base_name = BASE_PARAMETERS.format(Industry(key.industry).key)
    days = law.change_days(month, base_name, ASSIGNED, "experience_minimum", "reserve_markup")
    days |= {term.since for term in own_terms if term.since in month}
    starts = sorted(days | {month.start})
    spans: list[Rate] = []
    for start, end in zip(starts, [*starts[1:], month.end], strict=True):
        rate = rate_on(key, start, own_terms, law)
        if spans and spans[-1].factors == rate.factors:
            spans[-1] = replace(spans[-1], days=Span(spans[-1].days.start, end))
        else:
            spans.append(replace(rate, days=Span(start, end)))
    return spans


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

    A base assigned to the platform holds until the law changes the industry's bases; from then on
    it has to be assigned again. Raises BaseNotKnown.
    """
    industry = Industry(key.industry)
    try:
        lawful = law.on(BASE_PARAMETERS.format(industry.key), day, key.where)
    except ParameterNotFound:
        raise BaseNotKnown(
            industry=industry, pooling_area=key.pooling_area, day=day, platform=key.platform
        ) from None
    term = term_in_force(terms, TermKind.BASE, day, industry)
    if term is None or term.since < lawful.since:
        base = lawful.decimal
        text = f"The base of {industry.name} is {base} yuan per order."
        text_zh = f"{industry.zh}缴费基准额为每单 {base} 元。"
        inputs = facts(industry=industry, day=day)
    else:
        base = term.value
        text = f"The base {base} yuan per order was assigned to the platform from {term.since}."
        text_zh = f"平台自 {term.since} 起适用缴费基准额每单 {base} 元。"
        inputs = facts(industry=industry, day=day, since=term.since, reason=term.reason)
    return base, Finding(
        PREMIUM_BASE,
        Outcome.CALCULATED,
        text,
        text_zh,
        inputs=inputs,
        outputs=facts(base_yuan=base),
        parameters=(lawful.version,),
    )


def band_on(platform: str, day: date, terms: Sequence[Term], law: Law) -> tuple[Decimal, Finding]:
    """The band of a platform on a service date, a factor; 1.00 until one is assigned."""
    term = term_in_force(terms, TermKind.BAND, day, None)
    minimum = law.on("experience_minimum", day)
    band = minimum.at("band") if term is None else term.value
    if term is None:
        text = f"No band is fixed for the platform on {day}: {band} of the base."
        text_zh = f"{day} 平台尚未核定浮动档次, 按基准的 {band} 计。"
    else:
        text = f"The platform's band is {band} of the base from {term.since}."
        text_zh = f"平台自 {term.since} 起浮动档次为 {band}。"
    return band, Finding(
        EXPERIENCE_BAND,
        Outcome.CALCULATED,
        text,
        text_zh,
        inputs=facts(platform=platform, day=day, reason=term.reason if term else ""),
        outputs=facts(band=band),
        parameters=(minimum.version,) if term is None else (),
    )
