"""Tables of premiums, and one function per question or change; no rule, no commit."""

from services.premiums.store.tables import metadata

__all__ = ["metadata"]
