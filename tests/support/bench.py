"""What a benchmark does with its figures: print them, keep them in build/bench.json, hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

import pytest

BENCH = Path(__file__).resolve().parents[2] / "build" / "bench.json"
_NONE: Mapping[str, float] = {}


def keep(
    benchmark: str,
    text: str,
    figures: Mapping[str, float],
    *,
    at_least: Mapping[str, float] = _NONE,
    at_most: Mapping[str, float] = _NONE,
) -> None:
    """Print a benchmark's figures under a line that says what was measured, and keep them.

    In the file they replace those of the benchmark's last run. Fails afterwards if a figure misses
    its bound, and names every one that does.
    """
    bounds = {name: f"at least {bound:g}" for name, bound in at_least.items()}
    bounds |= {name: f"at most {bound:g}" for name, bound in at_most.items()}
    missed = [name for name, bound in at_least.items() if not figures[name] >= bound]
    missed += [name for name, bound in at_most.items() if not figures[name] <= bound]
    lines = ["", *wrap(f"{benchmark}: {text}", 100, subsequent_indent="  ")]
    for name, value in figures.items():
        line = f"  {name:<34}{rounded(value):>14,}"
        if name in bounds:
            line += f"   {'MISSED' if name in missed else 'held'}: {bounds[name]}"
        lines.append(line)
    print("\n".join(lines), flush=True)  # noqa: T201 - what a benchmark is for
    _write(benchmark, figures)
    if missed:
        sentences = (f"{name} is {rounded(figures[name]):,}, not {bounds[name]}" for name in missed)
        pytest.fail(f"{benchmark}: " + "; ".join(sentences), pytrace=False)


def rounded(value: float) -> float:
    """Three significant digits, and no decimals from a hundred on."""
    return round(value) if abs(value) >= 100 or value == round(value) else float(f"{value:.3g}")


def _write(benchmark: str, figures: Mapping[str, float]) -> None:
    BENCH.parent.mkdir(exist_ok=True)
    kept = json.loads(BENCH.read_text(encoding="utf-8")) if BENCH.exists() else {}
    kept[benchmark] = {name: rounded(value) for name, value in figures.items()}
    BENCH.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")
