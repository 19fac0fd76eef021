"""Credit codes of the platforms that tests act for."""

from __future__ import annotations

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
