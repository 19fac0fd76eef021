"""Credit codes of the platforms that tests act for."""

from __future__ import annotations

from services.kernel.identifiers import credit_check

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"


def credit_code(number: int) -> str:
    """The credit code of a fictional company."""
    body = f"91440100MA{number:07d}"
    return body + credit_check(body)
