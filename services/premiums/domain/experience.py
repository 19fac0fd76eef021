"""Experience rating: the bands of a year from the loss ratio (支缴率), one step a year."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from services.kernel.law import Finding, Outcome, facts
from services.kernel.lawbook import Law
from services.kernel.money import Fen
from services.kernel.periods import Month
from services.premiums.domain.law import RATE_FLOATING
from services.premiums.domain.problems import WindowNotAssessed
from services.premiums.domain.terms import bands

SHOWN = Decimal("0.0001")


@dataclass(frozen=True)
class Experience:
    """What a platform paid and cost in the window of months."""

    platform: str
    premium: Fen  # received for the months of the window
    benefit: Fen  # charged to the platform in the window
    month_count: int  # months with orders
    order_count: int
    lift: bool = False  # an officer lifts the band by one after a death or mass accident


@dataclass(frozen=True)
class BenefitsCharged:
    """The benefits charged to a platform in the window of a year's bands, in fen."""

    platform: str
    benefit_fen: int
    lift: bool  # as in Experience


def window(year: int, law: Law) -> tuple[Month, Month]:
    """The first and last month that the bands of a year are fixed from."""
    rule = law.on("experience_window", date(year, 1, 1))
    last = Month(year - 1, int(rule.at("last_month")))
    return last.plus(1 - int(rule.at("months"))), last


def require_window_assessed(year: int, latest: Month | None, law: Law) -> None:
    """Raise WindowNotAssessed unless every month of the window is assessed."""
    first, last = window(year, law)
    if latest is None or latest < last:
        raise WindowNotAssessed(field="year", year=year, first=first, last=last)


@dataclass(frozen=True)
class _NewBand:
    """A band with the reason for it."""

    outcome: Outcome
    band: Decimal
    text: str
    text_zh: str
    arithmetic: str = ""


def refix_band(
    current: Decimal, experience: Experience, year: int, law: Law
) -> tuple[Decimal, Finding]:
    """A platform's band from 1 January of a year, and why.

    The loss ratio is benefits charged over premiums received. Its thresholds name the band, which
    is reached by at most one step a year. Without enough months and orders the band is neutral;
    benefits without any premium leave the band unchanged for a person to review.
    """
    day = date(year, 1, 1)
    minimum = law.on("experience_minimum", day)
    if experience.month_count < int(minimum.at("months")) or (
        experience.order_count < int(minimum.at("orders"))
    ):
        neutral = minimum.at("band")
        new = _NewBand(
            Outcome.CALCULATED,
            neutral,
            f"Too little experience for an individual band: {neutral} of the base.",
            f"数据不足, 按基准的 {neutral} 计。",
        )
    elif experience.premium.count <= 0:
        new = _NewBand(
            Outcome.UNCLEAR,
            current,
            "No premium was received, so there is no loss ratio; the band stays; review it.",
            "计算期内无实缴保费, 支缴率无法计算; 档次不变, 须人工复核。",
        )
    else:
        new = _by_loss_ratio(current, experience, year, law)
    applied = ("experience_thresholds", "experience_minimum", "experience_step")
    return new.band, Finding(
        RATE_FLOATING,
        new.outcome,
        new.text,
        new.text_zh,
        inputs=facts(
            premium=experience.premium,
            benefit=experience.benefit,
            month_count=experience.month_count,
            order_count=experience.order_count,
            lift=experience.lift,
            band_before=current,
        ),
        outputs=facts(band=new.band),
        parameters=tuple(law.on(name, day).version for name in applied),
        arithmetic=new.arithmetic,
    )


def _by_loss_ratio(current: Decimal, experience: Experience, year: int, law: Law) -> _NewBand:
    """The band that the loss ratio names, reached by at most the step of the year."""
    day = date(year, 1, 1)
    ladder = bands(day, law)
    ratio = Fraction(experience.benefit.count, experience.premium.count)
    limits = [Fraction(Decimal(limit)) for limit in law.on("experience_thresholds", day).value]
    target = min(bisect_right(limits, ratio) + experience.lift, len(ladder) - 1)
    now = bisect_right(ladder, current) - 1
    reach = law.count("experience_step", day)
    band = ladder[max(now - reach, min(now + reach, target))]
    shown = (Decimal(ratio.numerator) / Decimal(ratio.denominator)).quantize(SHOWN)
    return _NewBand(
        Outcome.CALCULATED,
        band,
        f"The loss ratio {shown} corresponds to band {ladder[target]}; from {current} the band is "
        f"{band} for {year}.",
        f"支缴率 {shown}, 对应档次 {ladder[target]}; 由 {current} 调整为 {band}, "
        f"自 {year} 年起执行。",
        f"{experience.benefit.yuan} / {experience.premium.yuan} = {shown}",
    )
