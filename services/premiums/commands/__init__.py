"""Changes of premiums: load, decide, save, tell."""

from services.premiums.commands.assessing import assess_premiums, estimate_premium
from services.premiums.commands.hearing import accrue_premiums, keep_gaps, keep_platform
from services.premiums.commands.receiving import apply_premium_credit, record_premium_receipt
from services.premiums.commands.terms import (
    assign_experience_band,
    assign_premium_base,
    declare_premium,
    refix_bands,
)

__all__ = [
    "accrue_premiums",
    "apply_premium_credit",
    "assess_premiums",
    "assign_experience_band",
    "assign_premium_base",
    "declare_premium",
    "estimate_premium",
    "keep_gaps",
    "keep_platform",
    "record_premium_receipt",
    "refix_bands",
]
