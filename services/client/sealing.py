"""JSON files that show damage: written in one form only, with a digest over all of it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def sealed(content: dict[str, Any]) -> bytes:
    """The file: sorted, indented, with the SHA-256 over the rest as `digest`."""
    digest = sha256(_canonical(content)).hexdigest()
    return _canonical({**content, "digest": digest})


def opened(content: bytes, form: str) -> dict[str, Any]:
    """What a sealed file of this format says; raises ValueError if a byte of it was changed."""
    held = json.loads(content)
    if not isinstance(held, dict) or held.pop("digest", None) is None:
        raise ValueError("it has no digest")
    if held.get("format") != form:
        raise ValueError(f"the format is {held.get('format')}, not {form}")
    if content != sealed(held):
        raise ValueError("the file was changed after it was written")
    return held


def _canonical(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
