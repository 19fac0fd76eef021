"""Golden files: what was promised, to be compared with what is. `make golden` rewrites them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "golden"


def promised(name: str, lines: Iterable[str]) -> set[str]:
    """The lines of a golden file that are missing; with OIP_GOLDEN=write it is rewritten."""
    now = sorted(set(lines))
    path = FOLDER / name
    if os.environ.get("OIP_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(now) + "\n", encoding="utf-8")
    return set(path.read_text(encoding="utf-8").splitlines()) - set(now)


def check_golden(name: str, text: str) -> None:
    """Fail unless the text is the file's, byte for byte."""
    path = FOLDER / name
    if os.environ.get("OIP_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{name} is missing; write it with `make golden`"
    assert text == path.read_text(encoding="utf-8")
