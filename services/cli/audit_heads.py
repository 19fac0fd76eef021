"""The heads of the audit chains that `oip verify` saw before, kept outside the databases.

A database that is restored or cut takes its audit chain back with it, and the shorter chain is
intact in itself. Only somebody who saw the longer one can say so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from oip.operations.v1 import operations_pb2

from services.cli.connection import Refused
from services.cli.operations import stub_of
from services.cli.refusals import unwritable
from services.client.channels import Channels

Check: TypeAlias = operations_pb2.VerifyResponse.Check

HEADS_FILE = "audit-heads.json"
CODE, TEXT = "I10-heads", "no audit chain has gone back or changed since its head was last seen"


@dataclass(frozen=True)
class AuditHead:
    """The newest row of a chain."""

    seq: int
    hash: str


def read_heads(file: Path) -> dict[str, AuditHead]:
    """The heads by service; none before the first run. Raises Refused for another file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {name: AuditHead(int(row["seq"]), str(row["hash"])) for name, row in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(
            "{file} holds no audit heads; bring back the file that `oip verify` wrote, or name it "
            "with --heads.",
            "{file} 中没有审计链检查点; 请恢复 `oip verify` 写入的文件, 或以 --heads 指定。",
            file=file,
        ) from error


def write_heads(file: Path, heads: dict[str, AuditHead]) -> None:
    """Replace the file at once, so that an interruption leaves the old one."""
    content = {name: {"seq": head.seq, "hash": head.hash} for name, head in sorted(heads.items())}
    draft = file.with_suffix(".draft")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise unwritable(file, error) from error


async def compare_heads(
    channels: Channels, services: Iterable[str], file: Path, *, accepts: bool = False
) -> Check:
    """Compare each chain with the head seen before, and remember today's where it goes on.

    `accepts` remembers every head, also of a chain that went back.
    """
    before = read_heads(file)
    after, wrong = dict(before), []
    for name in services:
        seen = before.get(name)
        answer = await stub_of(channels, name).GetDelivery(
            operations_pb2.GetDeliveryRequest(audit_seq=seen.seq if seen else 0)
        )
        sentence = _difference(name, seen, answer)
        if sentence and not accepts:
            wrong.append(sentence)
        else:
            after[name] = AuditHead(answer.audit_seq, answer.audit_hash.hex())
    write_heads(file, after)
    detail = "; ".join(wrong) or f"{len(after)} heads in {file}"
    return Check(invariant=CODE, text=TEXT, holds=not wrong, detail=detail)


def _difference(name: str, seen: AuditHead | None, answer: operations_pb2.Delivery) -> str:
    if seen is None or not seen.seq:
        return ""
    if answer.audit_seq < seen.seq:
        return f"the audit chain of {name} went back from row {seen.seq} to {answer.audit_seq}"
    if answer.audit_hash_at.hex() != seen.hash:
        return f"the audit chain of {name} has another row {seen.seq} than before"
    return ""
