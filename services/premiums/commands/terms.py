"""Bases, bands and declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from services.kernel.money import Fen
from services.kernel.names import id_from
from services.kernel.periods import Month
from services.premiums.commands.occasion import Occasion
from services.premiums.domain import assessing, declaring, experience, terms
from services.premiums.domain.declaring import Cell, Difference
from services.premiums.domain.experience import Experience
from services.premiums.domain.problems import IndustryNotRegistered
from services.premiums.domain.terms import Term, TermKind
from services.premiums.store import declaring as declarations
from services.premiums.store import hearing
from services.premiums.store import terms as held_terms
from services.runtime.storage.database import Transaction


@dataclass(frozen=True)
class Charged:
    """What benefits say about a platform in the window of a year's bands."""

    platform: str
    benefit_fen: int
    lift: bool


@dataclass(frozen=True)
class Declared:
    """A declaration beside the orders held."""

    platform: str
    month: Month
    revision: int
    differences: Sequence[Difference]
    due: date
    create_time: datetime


async def assign_premium_base(tx: Transaction, term: Term, occasion: Occasion) -> Term:
    """Fix a platform's base for an industry from a day on."""
    assert term.industry is not None
    terms.check_base(term.industry, term.value, term.since, occasion.law)
    registered = await hearing.industries_of(tx, term.platform)
    if registered is not None and term.industry.value not in registered:
        raise IndustryNotRegistered(
            field="industry", platform=f"platforms/{term.platform}", industry=term.industry.name
        )
    return await _add(tx, term, occasion.now)


async def assign_experience_band(tx: Transaction, term: Term, occasion: Occasion) -> Term:
    """Fix a platform's band from a day on."""
    terms.check_band(term.value, term.since, occasion.law)
    return await _add(tx, term, occasion.now)


async def refix_bands(
    tx: Transaction,
    request_id: str,
    year: int,
    rows: Sequence[Charged],
    occasion: Occasion,
) -> list[Term]:
    """Fix the bands of a year from each platform's loss ratio in the window."""
    rules = occasion.law
    latest = await hearing.lock_latest_month(tx)
    experience.check_window(year, latest, rules)
    first, last = experience.window(year, rules)
    since = date(year, 1, 1)
    found = []
    for row in rows:
        own = await held_terms.terms_of(tx, [row.platform])
        current, _ = terms.band_on(row.platform, Month(year - 1, 12).last_day, own, rules)
        counted = await held_terms.counted(tx, row.platform, first, last)
        past = Experience(
            row.platform,
            counted.premium,
            Fen(row.benefit_fen),
            counted.month_count,
            counted.order_count,
            row.lift,
        )
        band, finding = experience.refix(current, past, year, rules)
        term = Term(
            row.platform,
            TermKind.BAND,
            since,
            band,
            reason=finding.text,
            id=id_from(request_id, row.platform),
            findings=(finding,),
        )
        found.append(await _add(tx, term, occasion.now))
    return found


async def declare_premium(
    tx: Transaction,
    platform: str,
    month: Month,
    counts: Mapping[Cell, int],
    occasion: Occasion,
) -> Declared:
    """Keep a platform's declaration of a month that has ended, and compare it."""
    assessing.check_month_ended(month, occasion.today)
    held = await hearing.held_counts(tx, platform, month)
    revision = await declarations.add_declaration(tx, platform, month, counts, occasion.now)
    differences = declaring.compare(counts, held)
    due = occasion.due_date(month)
    return Declared(platform, month, revision, differences, due, occasion.now)


async def _add(tx: Transaction, term: Term, now: datetime) -> Term:
    terms.check_since(term.since, await hearing.lock_latest_month(tx))
    kept = replace(term, value=term.value.normalize())
    await held_terms.add_term(tx, kept, now)
    return kept
