"""Signed heads of a log that an outsider kept, and whether today's log contains them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.client.proofs.evidence import (
    THE_FILE,
    EvidenceBroken,
    path_in,
    require_keys,
    to_base64,
)
from services.kernel.phrases import Phrase
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
    cause = "there is no verifier key"
    for key in verifier_keys:
        try:
            return notes.open_note(note, key.strip())
        except ValueError as error:
            cause = str(error)
    raise EvidenceBroken(
        what=Phrase.of(
            "HEAD_NOT_OPENED",
            "a head cannot be opened ({cause})",
            "无法用所给密钥验证检查点",
            cause=cause,
        )
    )


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
        require_keys(proof, FILE_KEYS, THE_FILE)
        first, second = (open_head(proof[name], verifier_keys) for name in ("first", "second"))
        path = path_in(proof["path"])
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        what = Phrase.of(
            "NOT_CONSISTENCY",
            "it is not a consistency file, or a damaged one ({error})",
            "不是一致性证明文件或已损坏",
            error=error,
        )
        raise EvidenceBroken(what=what) from error
    kept_head = open_head(kept, verifier_keys)
    if first != kept_head:
        what = Phrase.of(
            "OTHER_FIRST",
            "the file begins with the head at {size}, not with the kept one",
            "文件以规模 {size} 的检查点开始, 而非留存的检查点",
            size=first.size,
        )
        raise EvidenceBroken(what=what)
    return require_growth(kept_head, second, path)


def require_growth(first: Head, second: Head, path: Sequence[bytes]) -> Growth:
    """Raise LogRewritten unless the second head's log begins with the first's."""
    if first.origin != second.origin:
        raise EvidenceBroken(
            what=Phrase.of(
                "TWO_LOGS",
                "the heads are of two logs, {first}, {second}",
                "两个检查点属于不同日志: {first}、{second}",
                first=first.origin,
                second=second.origin,
            )
        )
    what = None
    if second.size < first.size:
        what = Phrase.of(
            "SHRUNK",
            "it had {before} batches, and has {now} today",
            "原有 {before} 个批次, 现只有 {now} 个",
            before=first.size,
            now=second.size,
        )
    elif second.size == first.size and second.root != first.root:
        what = Phrase.of(
            "OTHER_HEAD",
            "its head at {size} is different today",
            "规模 {size} 的检查点已不同",
            size=first.size,
        )
    elif not tree.is_consistent(first.size, second.size, first.root, second.root, path):
        what = Phrase.of(
            "NOT_CONTAINED",
            "its head at {now} does not contain the one at {before}",
            "规模 {now} 的检查点不包含规模 {before} 的检查点",
            now=second.size,
            before=first.size,
        )
    if what:
        raise LogRewritten(origin=first.origin, what=what)
    return Growth(first, second)
