"""Resource names: `collection/id`, nested with further pairs, as in AIP-122."""

from __future__ import annotations

import hashlib
import re

from services.kernel.problems import Malformed

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def name(*parts: str | int) -> str:
    """`name("claims", "c1", "evidence", 3)` gives `claims/c1/evidence/3`."""
    return "/".join(str(part) for part in parts)


def parse(text: str, *collections: str, field: str = "name") -> tuple[str, ...]:
    """The ids in a name: `parse("claims/c1", "claims")` gives `("c1",)`.

    Raises Malformed with the field's name if the text does not have this form.
    """
    parts = text.split("/")
    form = "/".join(f"{collection}/{{id}}" for collection in collections)
    ids = tuple(parts[1::2])
    if tuple(parts[0::2]) != collections or len(ids) != len(collections):
        raise Malformed.of(
            field,
            "WRONG_FORM",
            "write it as {form}, not {text}",
            "请写作 {form}, 而不是 {text}",
            form=form,
            text=repr(text[:80]),
        )
    if not all(_ID.fullmatch(part) for part in ids):
        raise Malformed.of(
            field,
            "WRONG_ID",
            "an id in {form} has letters, digits, '.', '_' or '-' only",
            "{form} 中的编号只能含字母、数字、'.'、'_' 或 '-'",
            form=form,
        )
    return ids


def id_from(request_id: str, *parts: str) -> str:
    """The id of what a request creates: 16 hexadecimal digits derived from the request id.

    The same request gives the same id each time it is sent, on any machine.
    """
    digest = hashlib.sha256("\x00".join((request_id, *parts)).encode())
    return digest.hexdigest()[:16]
