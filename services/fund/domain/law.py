"""The dated numbers that the fund reads."""

from __future__ import annotations

from pathlib import Path

from services.kernel.lawbook import load_law

LAW = load_law(Path(__file__).parents[1] / "parameters", shared=("scheme_start",))
