"""Declarations of platforms."""

from __future__ import annotations

from collections.abc import Mapping

from services.kernel.periods import Month
from services.premiums.domain.assessment import due_date, require_month_ended
from services.premiums.domain.days import require_month_of_scheme
from services.premiums.domain.declarations import Cell, DeclarationResult, compare
from services.premiums.domain.law import law
from services.premiums.store import accruals as accrual_store
from services.premiums.store import declarations as declaration_store
from services.runtime.service.context import CommandContext
from services.runtime.storage.database import Transaction


async def declare_premium(
    tx: Transaction,
    platform: str,
    month: Month,
    counts: Mapping[Cell, int],
    context: CommandContext,
) -> DeclarationResult:
    """Store a platform's declaration of a month that has ended, and compare it."""
    rules = law(context.province, context.today)
    require_month_of_scheme(month, context.today, rules)
    require_month_ended(month, context.today)
    recorded = await accrual_store.count_orders(tx, platform, month)
    revision = await declaration_store.insert(tx, platform, month, counts, context.now)
    due = due_date(month, rules, context.calendar)
    differences = compare(counts, recorded)
    return DeclarationResult(platform, month, revision, differences, due, context.now)
