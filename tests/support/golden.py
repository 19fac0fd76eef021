"""Texts that are compared whole with a file under tests/golden.

`make golden` rewrites the files (OIP_GOLDEN=write); the difference is reviewed like code.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "golden"


def check_golden(name: str, text: str) -> None:
    """Fail unless the text is the file's, byte for byte."""
    path = FOLDER / name
    if os.environ.get("OIP_GOLDEN") == "write":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{name} is missing; write it with `make golden`"
    assert text == path.read_text(encoding="utf-8")
