"""Bases and bands of platforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from services.kernel.lawbook import UsedValues
from services.kernel.money import Fen
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.premiums.domain import terms
from services.premiums.domain.days import require_day_of_scheme
from services.premiums.domain.experience import (
    BenefitsCharged,
    Experience,
    refix_band,
    require_window_assessed,
    window,
)
from services.premiums.domain.law import law
from services.premiums.domain.problems import IndustryNotRegistered
from services.premiums.domain.rates import band_on
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store import assessment as assessment_store
from services.premiums.store import registrations as registration_store
from services.premiums.store import terms as term_store
from services.runtime.service.confirmations import record_use
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def assign_premium_base(tx: Transaction, term: Term, context: CommandContext) -> Term:
    """Assign a base to a platform for an industry from a day on."""
    assert term.industry is not None
    rules = law(context.province, context.today)
    require_day_of_scheme("since_date", term.since, context.today, rules)
    terms.require_lawful_base(term.industry, term.value, term.since, rules)
    registered = await registration_store.find_industries(tx, term.platform)
    if registered is not None and term.industry.value not in registered:
        raise IndustryNotRegistered(
            field="industry", platform=f"platforms/{term.platform}", industry=term.industry
        )
    return await _add(tx, term, context.now)


async def assign_experience_band(tx: Transaction, term: Term, context: CommandContext) -> Term:
    """Assign a band to a platform from a day on."""
    rules = law(context.province, context.today)
    require_day_of_scheme("since_date", term.since, context.today, rules)
    terms.require_lawful_band(term.value, term.since, rules)
    return await _add(tx, term, context.now)


async def refix_bands(
    tx: Transaction,
    request_id: str,
    year: int,
    rows: Sequence[BenefitsCharged],
    context: CommandContext,
) -> list[Term]:
    """Fix the bands of a year from each platform's loss ratio in the window of months.

    Bills of the year rest on them, so that in production the assumed values that were used have to
    be confirmed.
    """
    used = UsedValues()
    rules = law(context.province, context.today).noting(used)
    latest = await assessment_store.lock_latest_month(tx)
    require_window_assessed(year, latest, rules)
    first, last = window(year, rules)
    fixed = []
    for row in rows:
        earlier = await term_store.list_of_platforms(tx, [row.platform])
        current, _ = band_on(row.platform, Month(year - 1, 12).last_day, earlier, rules)
        figures = await term_store.get_window_figures(tx, row.platform, first, last)
        experience = Experience(
            row.platform,
            figures.premium,
            Fen(row.benefit_fen),
            figures.month_count,
            figures.order_count,
            row.lift,
        )
        band, finding = refix_band(current, experience, year, rules)
        term = Term(
            row.platform,
            TermKind.BAND,
            date(year, 1, 1),
            band,
            reason=finding.text,
            id=id_from(request_id, row.platform),
            findings=(finding,),
        )
        fixed.append(await _add(tx, term, context.now))
    await record_use(tx, f"bands/{year}/{id_from(request_id, 'bands')}", used.versions, context)
    return fixed


async def _add(tx: Transaction, term: Term, now: datetime) -> Term:
    # What is signed is a change of the terms that the platform has now.
    await term_store.list_of_platforms(tx, [term.platform])
    latest = await assessment_store.lock_latest_month(tx)
    terms.require_month_not_assessed(term.since, latest)
    normalized = replace(term, value=term.value.normalize())
    await term_store.insert(tx, normalized, now)
    return normalized
