"""Tables of the fund, and one function per question or change."""

from services.fund.store.tables import metadata

__all__ = ["metadata"]
