"""Evidence files: proofs of a claim's order records, checked without network or database."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from oip.orders.v1 import orders_pb2

from services.client.sealing import opened, sealed
from services.kernel.problems import Kind, Problem
from services.orders.domain import merkle, notes
from services.orders.domain.checks import moment
from services.orders.domain.records import log_entry
from services.runtime.wire import moment_from_wire

FORMAT = "oip-evidence-1"
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


class EvidenceBroken(Problem):
    """An evidence file does not hold."""

    kind, reason = Kind.MALFORMED, "EVIDENCE_BROKEN"
    words = "The evidence does not hold: {what}. Do not rely on it; export it anew."
    words_zh = "证据不成立: {what}。请勿采信, 并重新导出。"


@dataclass(frozen=True)
class Proven:
    """A record that the file proves, and the head it is proven under."""

    record: dict[str, Any]
    order_batch: str
    create_time: str
    origin: str
    log_size: int


def evidence_file(claim: str, verifier_key: str, proofs: Iterable[orders_pb2.OrderProof]) -> bytes:
    """One file with everything a verifier needs."""
    content = {
        "format": FORMAT,
        "claim": claim,
        "verifier_key": verifier_key,
        "proofs": [_proof(proof) for proof in proofs],
    }
    return sealed(content)


def verify_file(content: bytes, verifier_key: str = "") -> list[Proven]:
    """Check a file; raises EvidenceBroken at the first thing that does not fit.

    `verifier_key` is the key as the authority gave it out; without it the one in the file is used,
    which proves that the file is whole, but not who signed it.
    """
    try:
        held = opened(content, FORMAT)
        if verifier_key and held["verifier_key"] != verifier_key.strip():
            raise EvidenceBroken(what="it is signed with another key than the one given")
        return [_verify(proof, held["verifier_key"]) for proof in held["proofs"]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise EvidenceBroken(what=f"it is no evidence file, or a damaged one ({error})") from error


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
        record[name] = moment(record[name]).isoformat() if record[name] else ""
    return record


def _proof(proof: orders_pb2.OrderProof) -> dict[str, Any]:
    return {
        "record": decode_leaf(proof.leaf),
        "order_batch": proof.record.order_batch,
        "create_time": moment_from_wire(proof.record.create_time, "create_time").isoformat(),
        "leaf": _base64(proof.leaf),
        "leaf_index": proof.leaf_index,
        "leaf_count": proof.leaf_count,
        "batch_path": [_base64(one) for one in proof.batch_path],
        "batch_root": _base64(proof.batch_root),
        "log_index": proof.log_index,
        "log_path": [_base64(one) for one in proof.log_path],
        "checkpoint": proof.checkpoint.note,
    }


def _verify(proof: dict[str, Any], verifier_key: str) -> Proven:
    leaf, root = _bytes(proof["leaf"]), _bytes(proof["batch_root"])
    record = decode_leaf(leaf)
    if record != proof["record"]:
        raise EvidenceBroken(what="a record does not say what its leaf says")
    name = f"order {record['order_no']}"
    path = [_bytes(one) for one in proof["batch_path"]]
    count, hashed = proof["leaf_count"], merkle.leaf_hash(leaf)
    if not merkle.is_included(hashed, proof["leaf_index"], count, path, root):
        raise EvidenceBroken(what=f"{name} does not lie in its batch")
    head = notes.open_note(proof["checkpoint"], verifier_key)
    taken = datetime.fromisoformat(proof["create_time"])
    entry = log_entry(count, taken, root, proof["order_batch"])
    log_path = [_bytes(one) for one in proof["log_path"]]
    hashed = merkle.leaf_hash(entry)
    if not merkle.is_included(hashed, proof["log_index"], head.size, log_path, head.root):
        raise EvidenceBroken(what=f"the batch of {name} does not lie in the log")
    platform = record["platform"]
    if not head.origin.endswith(f"/{platform}") or f"/{platform}/" not in proof["order_batch"]:
        raise EvidenceBroken(what=f"{name} is of another platform than its log")
    return Proven(record, proof["order_batch"], proof["create_time"], head.origin, head.size)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
