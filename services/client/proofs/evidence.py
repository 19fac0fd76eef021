"""Evidence files: proofs of order records, checked without network or database.

Everything in a file is either proven by a signature or kept under `unsigned`: which claim it is
for, when the accident was reported, which records came late. A file has no other content.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from oip.orders.v1 import orders_pb2

from services.kernel.phrases import Phrase
from services.kernel.problems import Kind, Problem
from services.orderlog import notes, tree
from services.orderlog.entries import log_entry, moment
from services.orderlog.sealed_json import seal, unseal
from services.runtime.rpc.wire import moment_from_wire

FORMAT = "oip-evidence-2"
LEAF_VERSION = 1
CREDIT_CODE_LENGTH = 18
# Numbers of a leaf after the platform: name and bytes, in order; docs/evidence.md.
NUMBERS = (
    ("revision", 4),
    ("worker", 8),
    ("industry", 1),
    ("state", 1),
    ("accept_time", 8),
    ("pick_up_time", 8),
    ("end_time", 8),
    ("place_of_acceptance", 4),
)
MOMENTS = ("accept_time", "pick_up_time", "end_time")

FILE_KEYS = frozenset({"format", "proofs", "unsigned", "verifier_key"})
PROOF_KEYS = frozenset(
    {
        "batch_path",
        "batch_root",
        "checkpoint",
        "create_time",
        "leaf",
        "leaf_count",
        "leaf_index",
        "log_index",
        "log_path",
        "order_batch",
        "record",
        "unsigned",
    }
)
# The statements allowed under `unsigned` of the file and of a proof, and their types.
CLAIM_STATEMENTS = {"claim": str, "accident_report": str, "accident_time": str, "report_time": str}
RECORD_STATEMENTS = {"late": bool, "named": bool}


THE_FILE = Phrase("FILE", "the file", "文件")
_A_PROOF = Phrase("PROOF", "a proof", "某项证明")


class EvidenceBroken(Problem):
    """An evidence file is not valid."""

    kind, reason = Kind.MALFORMED, "EVIDENCE_BROKEN"
    message = "The evidence is not valid: {what}. Do not rely on it; export it again."
    message_zh = "证据不成立: {what}。请勿采信, 并重新导出。"

    @classmethod
    def of(cls, case: str, en: str, zh: str, **facts: object) -> EvidenceBroken:
        """`EvidenceBroken.of("TIME", "its time is wrong", "时间有误")`."""
        return cls(what=Phrase(case, en, zh, facts))


@dataclass(frozen=True)
class UnsignedStatements:
    """Statements about the records for a claim that no signature proves.

    `named` are the revisions that the claim's evidence names, by order.
    """

    claim: str
    accident_report: str = ""
    accident_time: str = ""
    report_time: str = ""
    named: frozenset[tuple[str, int]] = frozenset()

    def of_claim(self) -> dict[str, str]:
        """The statements about the claim."""
        return {name: getattr(self, name) for name in CLAIM_STATEMENTS if getattr(self, name)}

    def of_record(self, record: orders_pb2.OrderRecord) -> dict[str, bool]:
        """The statements about one record."""
        named = (record.order, record.row.revision) in self.named
        return {"late": record.late, "named": named}


@dataclass(frozen=True)
class Proven:
    """A record that the file proves, and the head it is proven under; `unsigned` is not proven."""

    record: dict[str, Any]
    order_batch: str
    create_time: str
    origin: str
    log_size: int
    unsigned: Mapping[str, bool]


@dataclass(frozen=True)
class Evidence:
    """What a file proves, and what it only states (`unsigned`)."""

    proven: list[Proven]
    verifier_key: str
    unsigned: Mapping[str, str] = field(default_factory=dict)


def evidence_file(
    verifier_key: str,
    proofs: Iterable[orders_pb2.OrderProof],
    unsigned: UnsignedStatements | None = None,
) -> bytes:
    """One file with everything a verifier needs."""
    content = {
        "format": FORMAT,
        "verifier_key": verifier_key,
        "proofs": [
            _proof(proof, unsigned.of_record(proof.record) if unsigned else {}) for proof in proofs
        ],
        "unsigned": unsigned.of_claim() if unsigned else {},
    }
    return seal(content)


def verify_file(content: bytes, verifier_key: str = "") -> Evidence:
    """Check a file; raises EvidenceBroken at the first fault.

    `verifier_key` is the key as the authority published it. Without it the key in the file is
    used, which proves that the file is whole, but not who signed it.
    """
    try:
        evidence = unseal(content, FORMAT)
        require_keys(evidence, FILE_KEYS, THE_FILE)
        key = evidence["verifier_key"]
        if verifier_key and key != verifier_key.strip():
            raise EvidenceBroken.of(
                "OTHER_KEY",
                "it is signed with another key than the expected one",
                "签名所用密钥与预期不符",
            )
        _require_statements(evidence["unsigned"], CLAIM_STATEMENTS, THE_FILE)
        if not isinstance(evidence["proofs"], list) or not evidence["proofs"]:
            raise EvidenceBroken.of(
                "NO_PROOF", "it has no proof, so it proves nothing", "不含任何证明"
            )
        proven = [_verify(proof, key) for proof in evidence["proofs"]]
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        RecursionError,
    ) as error:
        raise EvidenceBroken.of(
            "NOT_EVIDENCE",
            "it is not an evidence file, or a damaged one ({error})",
            "不是证据文件或已损坏",
            error=error,
        ) from error
    return Evidence(proven, key, evidence["unsigned"])


def require_keys(content: object, keys: frozenset[str], where: Phrase) -> None:
    """Raise EvidenceBroken unless the content has exactly these keys."""
    if not isinstance(content, dict):
        raise EvidenceBroken.of(
            "NO_NAMES",
            "{where} is not made of names and values",
            "{where}不由名称和值组成",
            where=where,
        )
    if unknown := sorted(content.keys() - keys):
        raise EvidenceBroken.of(
            "UNKNOWN_NAME",
            "{where} has {name}, which belongs to no such file",
            "{where}含有不属于该类文件的 {name}",
            where=where,
            name=repr(unknown[0]),
        )
    if missing := sorted(keys - content.keys()):
        raise EvidenceBroken.of(
            "NAME_MISSING",
            "{where} has no {name}",
            "{where}缺少 {name}",
            where=where,
            name=repr(missing[0]),
        )


def decode_leaf(leaf: bytes) -> dict[str, Any]:
    """The record in a leaf's bytes; raises ValueError if they are not one record exactly."""
    if leaf[:1] != bytes((LEAF_VERSION,)):
        raise ValueError("the leaf has an unknown version")
    at = 1 + CREDIT_CODE_LENGTH
    record: dict[str, Any] = {"platform": leaf[1:at].decode("ascii")}
    for name, width in NUMBERS:
        record[name] = int.from_bytes(leaf[at : at + width], "big")
        at += width
    for name in ("order_no", "reason"):
        length = int.from_bytes(leaf[at : at + 2], "big")
        record[name] = leaf[at + 2 : at + 2 + length].decode()
        at += 2 + length
    if at != len(leaf):
        raise ValueError("the leaf has bytes too many or too few")
    for name in MOMENTS:
        try:
            record[name] = moment(record[name]).isoformat() if record[name] else ""
        except OverflowError:
            raise ValueError(f"{name} of the leaf is not a moment that a clock shows") from None
    return record


def _proof(proof: orders_pb2.OrderProof, unsigned: dict[str, bool]) -> dict[str, Any]:
    return {
        "record": decode_leaf(proof.leaf),
        "order_batch": proof.record.order_batch,
        "create_time": moment_from_wire(proof.record.create_time, "create_time").isoformat(),
        "leaf": to_base64(proof.leaf),
        "leaf_index": proof.leaf_index,
        "leaf_count": proof.leaf_count,
        "batch_path": [to_base64(node) for node in proof.batch_path],
        "batch_root": to_base64(proof.batch_root),
        "log_index": proof.log_index,
        "log_path": [to_base64(node) for node in proof.log_path],
        "checkpoint": proof.checkpoint.note,
        "unsigned": unsigned,
    }


def _verify(proof: dict[str, Any], verifier_key: str) -> Proven:
    require_keys(proof, PROOF_KEYS, _A_PROOF)
    _require_statements(proof["unsigned"], RECORD_STATEMENTS, _A_PROOF)
    leaf, root = from_base64(proof["leaf"]), from_base64(proof["batch_root"])
    record = decode_leaf(leaf)
    if _canonical(record) != _canonical(proof["record"]):
        raise EvidenceBroken.of(
            "OTHER_RECORD",
            "a record does not say what its leaf says",
            "某条记录与其叶节点不一致",
        )
    order = record["order_no"]
    if any(type(proof[place]) is not int for place in ("leaf_index", "leaf_count", "log_index")):
        raise EvidenceBroken.of(
            "PLACES",
            "the places of order {order} are not whole numbers",
            "订单 {order} 的位置不是整数",
            order=order,
        )
    path, log_path = path_in(proof["batch_path"]), path_in(proof["log_path"])
    count, hashed = proof["leaf_count"], tree.leaf_hash(leaf)
    if not tree.is_included(hashed, proof["leaf_index"], count, path, root):
        raise EvidenceBroken.of(
            "NOT_IN_BATCH",
            "order {order} does not lie in its batch",
            "订单 {order} 不在其批次中",
            order=order,
        )
    head = notes.open_note(proof["checkpoint"], verifier_key)
    taken = datetime.fromisoformat(proof["create_time"])
    if taken.isoformat() != proof["create_time"] or taken.utcoffset() != timedelta():
        raise EvidenceBroken.of(
            "TIME",
            "the time of order {order} is not written as it is in such files",
            "订单 {order} 的时间写法不符",
            order=order,
        )
    entry = log_entry(count, taken, root, proof["order_batch"])
    hashed = tree.leaf_hash(entry)
    if not tree.is_included(hashed, proof["log_index"], head.size, log_path, head.root):
        raise EvidenceBroken.of(
            "BATCH_NOT_IN_LOG",
            "the batch of order {order} does not lie in the log",
            "订单 {order} 的批次不在日志中",
            order=order,
        )
    platform = record["platform"]
    if not head.origin.endswith(f"/{platform}") or f"/{platform}/" not in proof["order_batch"]:
        raise EvidenceBroken.of(
            "OTHER_PLATFORM",
            "order {order} is of another platform than its log",
            "订单 {order} 与其日志不属于同一平台",
            order=order,
        )
    return Proven(
        record,
        proof["order_batch"],
        proof["create_time"],
        head.origin,
        head.size,
        proof["unsigned"],
    )


def _canonical(value: object) -> str:
    """The value as a file has it, where `true` and 1.0 differ from 1."""
    return json.dumps(value, sort_keys=True)


def _require_statements(content: object, types: Mapping[str, type], where: Phrase) -> None:
    """Raise EvidenceBroken unless `unsigned` has known statements only, each of its type."""
    if not isinstance(content, dict):
        raise EvidenceBroken.of(
            "UNSIGNED_NO_NAMES",
            "`unsigned` of {where} is not made of names and values",
            "{where}的 `unsigned` 不由名称和值组成",
            where=where,
        )
    for name, value in content.items():
        if name not in types or not isinstance(value, types[name]):
            raise EvidenceBroken.of(
                "UNSIGNED_UNKNOWN",
                "`unsigned` of {where} has a {name} it cannot have",
                "{where}的 `unsigned` 含有不应有的 {name}",
                where=where,
                name=repr(name),
            )


def to_base64(content: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(content).decode("ascii")


def from_base64(text: str) -> bytes:
    """The bytes in a text; raises ValueError for any other form of the same bytes."""
    content = base64.b64decode(text, validate=True)
    if to_base64(content) != text:
        raise ValueError("base64 is not in its canonical form")
    return content


def path_in(nodes: object) -> list[bytes]:
    """The hashes of a path in a file; raises ValueError if it is not a list of them."""
    if not isinstance(nodes, list):
        raise ValueError("a path is not a list")  # noqa: TRY004 - the file is damaged, not the program
    return [from_base64(node) for node in nodes]
