"""Signed heads of a log that an outsider kept, and whether today's log contains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.client.proofs.evidence import EvidenceBroken, path_in, require_keys, to_base64
from services.kernel.problems import Kind, Problem
from services.orderlog import notes, tree
from services.orderlog.notes import Head
from services.orderlog.sealed_json import seal, unseal

FORMAT = "oip-consistency-1"
FILE_KEYS = frozenset({"first", "format", "path", "second", "verifier_keys"})


class LogRewritten(Problem):
    """A log does not begin with the log of an earlier head."""

    kind, reason = Kind.NOT_ALLOWED_NOW, "LOG_REWRITTEN"
    message = (
        "The log {origin} is not the log whose head was kept: {what}. "
        "Keep both heads: both are signed, and together they prove the change."
    )
    message_zh = (
        "日志 {origin} 与留存的检查点不符: {what}。请保存两个检查点, 二者均有签名, 可以互证。"
    )


@dataclass(frozen=True)
class Growth:
    """Proof that the log of the second head begins with the log of the first."""

    first: Head
    second: Head


def open_head(note: str, verifier_keys: Sequence[str]) -> Head:
    """The head in a note that one of these keys signed. Raises EvidenceBroken."""
    what = "there is no verifier key"
    for key in verifier_keys:
        try:
            return notes.open_note(note, key.strip())
        except ValueError as error:
            what = str(error)
    raise EvidenceBroken(what=f"a head cannot be opened ({what})")


def consistency_file(
    verifier_keys: Sequence[str], first: str, second: str, path: Sequence[bytes]
) -> bytes:
    """One file with both notes and the proof between them."""
    return seal(
        {
            "format": FORMAT,
            "verifier_keys": list(verifier_keys),
            "first": first,
            "second": second,
            "path": [to_base64(node) for node in path],
        }
    )


def verify_growth(content: bytes, verifier_keys: Sequence[str], kept: str) -> Growth:
    """Check a file against the kept note. Raises EvidenceBroken or LogRewritten."""
    try:
        proof = unseal(content, FORMAT)
        require_keys(proof, FILE_KEYS, "the file")
        first, second = (open_head(proof[name], verifier_keys) for name in ("first", "second"))
        path = path_in(proof["path"])
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        what = f"it is not a consistency file, or a damaged one ({error})"
        raise EvidenceBroken(what=what) from error
    kept_head = open_head(kept, verifier_keys)
    if first != kept_head:
        what = f"the file begins with the head at {first.size}, not with the kept one"
        raise EvidenceBroken(what=what)
    return require_growth(kept_head, second, path)


def require_growth(first: Head, second: Head, path: Sequence[bytes]) -> Growth:
    """Raise LogRewritten unless the second head's log begins with the first's."""
    if first.origin != second.origin:
        raise EvidenceBroken(what=f"the heads are of two logs, {first.origin}, {second.origin}")
    what = ""
    if second.size < first.size:
        what = f"it had {first.size} batches, and has {second.size} today"
    elif second.size == first.size and second.root != first.root:
        what = f"its head at {first.size} is different today"
    elif not tree.is_consistent(first.size, second.size, first.root, second.root, path):
        what = f"its head at {second.size} does not contain the one at {first.size}"
    if what:
        raise LogRewritten(origin=first.origin, what=what)
    return Growth(first, second)
