"""JSON files that show damage: one canonical form only, with a digest over the whole content."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any


def seal(content: dict[str, Any]) -> bytes:
    """The file of this content: sorted, indented, with the SHA-256 over the rest as `digest`."""
    digest = sha256(_canonical(content)).hexdigest()
    return _canonical({**content, "digest": digest})


def unseal(file: bytes, form: str) -> dict[str, Any]:
    """The content of a sealed file; `form` is its expected `format`.

    Raises ValueError if a byte was changed or the format is another.
    """
    content = json.loads(file)
    if not isinstance(content, dict) or content.pop("digest", None) is None:
        raise ValueError("it has no digest")
    if content.get("format") != form:
        raise ValueError(f"the format is {content.get('format')}, not {form}")
    if file != seal(content):
        raise ValueError("the file was changed after it was written")
    return content


def _canonical(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
