"""Trees, leaves, notes and evidence files; docs/evidence.md is held to the code."""

from __future__ import annotations

import json
import re
import struct
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from oip.orders.v1 import orders_pb2 as pb

from services.client.evidence import EvidenceBroken, evidence_file, verify_file
from services.orders.domain import encoding, judging, merkle, notes
from services.orders.domain.columns import from_rows
from services.orders.domain.records import batch_name, log_entry
from services.runtime.wire import moment_to_wire
from tests.support.uploading import NINE, SWIFT, row

DOC = (Path(__file__).parents[3] / "docs" / "evidence.md").read_text(encoding="utf-8")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = notes.key_name("440000")
VERIFIER = notes.verifier_key(NAME, KEY.public_key())
ROWS = [
    row("R-1", worker=7),
    row("雨-2", worker=7, revision=2, state=4, reason="测试", industry=2),
    row("R-3", worker=9, state=1, ended=None),
]


def leaves_of(rows: list[dict[str, Any]]) -> list[bytes]:
    prefixed = encoding.leaves(from_rows([pb.OrderRow(**one) for one in rows]), SWIFT)
    return [bytes(leaf[1:]) for leaf in prefixed.to_pylist()]


def plain_leaf(one: dict[str, Any]) -> bytes:
    """A leaf as the page describes it."""
    number, reason = str(one["order_no"]).encode(), str(one["reason"]).encode()
    return (
        b"\x01"
        + SWIFT.encode()
        + struct.pack(
            ">IQBBqqqI",
            one["revision"],
            one["worker"],
            one["industry"],
            one["state"],
            one["accept_time_us"],
            one["pick_up_time_us"],
            one["end_time_us"],
            one["place_of_acceptance"],
        )
        + struct.pack(">H", len(number))
        + number
        + struct.pack(">H", len(reason))
        + reason
    )


def tree(hashes: list[bytes]) -> bytes:
    """The Merkle tree hash as RFC 6962 defines it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(b"\x01" + tree(hashes[:split]) + tree(hashes[split:])).digest()


def some_hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(bytes((number,))) for number in range(count)]


@given(
    st.lists(
        st.builds(
            row,
            st.text(min_size=1, max_size=20),
            reason=st.sampled_from(("", "雨", "x" * 200)),
            worker=st.integers(0, 2**63 - 1),
            revision=st.integers(0, 2**31 - 1),
            pick_up_time_us=st.integers(0, 2**62),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_leaves_built_by_columns_are_those_of_the_page(rows: list[dict[str, Any]]) -> None:
    assert leaves_of(rows) == [plain_leaf(one) for one in rows]


@pytest.mark.parametrize("count", range(34))
def test_roots_and_proofs_are_those_of_the_standard(count: int) -> None:
    hashes = some_hashes(count)
    root = merkle.root(hashes)

    assert root == tree(hashes)
    for index, leaf in enumerate(hashes):
        path = merkle.path(hashes, index)
        assert merkle.is_included(leaf, index, count, path, root)
        assert not merkle.is_included(leaf, index + 1, count, path, root)
        assert not merkle.is_included(leaf, index, count, [*path, leaf], root)


@pytest.mark.parametrize("count", range(1, 34))
def test_a_log_that_grows_proves_itself_at_every_size(count: int) -> None:
    hashes, frontier, nodes = some_hashes(count), list[bytes](), dict[merkle.Place, bytes]()
    for size, leaf in enumerate(hashes):
        before = frontier
        frontier, places = merkle.append(before, size, leaf)
        nodes |= dict(zip(places, merkle.completed_hashes(before, places, leaf), strict=True))

    assert merkle.fold(frontier) == merkle.root(hashes)
    for index, leaf in enumerate(hashes):
        path = merkle.log_path(index, count, nodes.__getitem__)
        assert path == merkle.path(hashes, index)
        assert merkle.is_included(leaf, index, count, path, merkle.root(hashes))
    for first in range(1, count + 1):
        proof = merkle.consistency_path(first, count, nodes.__getitem__)
        old, new = merkle.root(hashes[:first]), merkle.root(hashes)
        assert merkle.is_consistent(first, count, old, new, proof)
        assert not merkle.is_consistent(first, count, hashes[0] + b"x", new, proof)


def proofs(log_size: int = 5) -> list[pb.OrderProof]:
    """Proofs of three records in the fourth batch of a log."""
    leaves = leaves_of(ROWS)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    root, name = merkle.root(hashes), batch_name(SWIFT, "b1")
    entries = some_hashes(log_size)
    entries[3] = merkle.leaf_hash(log_entry(len(leaves), NINE, root, name))
    head = notes.Head(notes.origin("440000", SWIFT), log_size, merkle.root(entries))
    return [
        pb.OrderProof(
            record=pb.OrderRecord(order_batch=name, create_time=moment_to_wire(NINE)),
            leaf=leaf,
            leaf_index=index,
            leaf_count=len(leaves),
            batch_path=merkle.path(hashes, index),
            batch_root=root,
            log_index=3,
            log_path=merkle.path(entries, 3),
            checkpoint=pb.Checkpoint(note=notes.sign(head, NAME, KEY)),
        )
        for index, leaf in enumerate(leaves)
    ]


def test_an_evidence_file_holds_and_says_what_it_proves() -> None:
    proven = verify_file(evidence_file("claims/c1", VERIFIER, proofs()), VERIFIER)

    assert [one.record["order_no"] for one in proven] == ["R-1", "雨-2", "R-3"]
    assert proven[1].record["reason"] == "测试"
    assert proven[2].record["end_time"] == ""


def test_any_changed_byte_of_an_evidence_file_is_found() -> None:
    content = evidence_file("claims/c1", VERIFIER, proofs()[:1])
    for at in range(0, len(content), 3):
        changed = bytearray(content)
        changed[at] ^= 1
        with pytest.raises(EvidenceBroken):
            verify_file(bytes(changed), VERIFIER)
    with pytest.raises(EvidenceBroken):
        verify_file(content[:-1], VERIFIER)


def test_a_file_written_anew_by_a_forger_fails_at_the_signature() -> None:
    held = json.loads(evidence_file("claims/c1", VERIFIER, proofs()[:1]))
    forger = Ed25519PrivateKey.generate()
    forged = proofs()[:1]
    head = notes.open_note(held["proofs"][0]["checkpoint"], VERIFIER)
    forged[0].checkpoint.note = notes.sign(head, NAME, forger)
    own = notes.verifier_key(NAME, forger.public_key())

    with pytest.raises(EvidenceBroken, match="another key"):
        verify_file(evidence_file("claims/c1", own, forged), VERIFIER)
    with pytest.raises(EvidenceBroken, match="no signature"):
        verify_file(evidence_file("claims/c1", VERIFIER, forged), VERIFIER)


def test_the_vectors_of_the_page_are_right() -> None:
    leaves = leaves_of(ROWS)
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    entry = log_entry(3, NINE, merkle.root(hashes), batch_name(SWIFT, "b1"))
    head = notes.Head(notes.origin("440000", SWIFT), 1, merkle.leaf_hash(entry))

    for content in (*leaves, *hashes, merkle.root(hashes), entry, merkle.leaf_hash(entry)):
        assert f"`{content.hex()}`" in DOC
    assert f"`{VERIFIER}`" in DOC
    assert notes.sign(head, NAME, KEY) in DOC


def test_the_verifier_of_the_page_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
    assert len(program.splitlines()) < 50
    names: dict[str, Any] = {"__name__": "verifier"}
    exec(compile(program, "verifier", "exec"), names)
    file = tmp_path / "c1.json"
    file.write_bytes(evidence_file("claims/c1", VERIFIER, proofs()))

    names["main"](str(file), VERIFIER)

    assert capsys.readouterr().out.count("proven:") == 3
    held = json.loads(file.read_bytes())["proofs"][0]
    with pytest.raises(AssertionError):
        names["check"]({**held, "leaf_index": 1}, VERIFIER)
    other = notes.verifier_key(NAME, Ed25519PrivateKey.generate().public_key())
    with pytest.raises(InvalidSignature):
        names["check"](held, other)


def test_rows_for_copy_do_not_depend_on_their_neighbours() -> None:
    columns = from_rows([pb.OrderRow(**one) for one in ROWS])
    area = pa.array([440100] * 3, pa.int32())
    whole = encoding.copy_rows(columns, area, SWIFT, 7).to_pylist()

    mask = pa.array([False, True, True])
    (_, second, third) = whole
    part = encoding.copy_rows(columns.take(mask), area.filter(mask), SWIFT, 7).to_pylist()

    positions = [(0).to_bytes(4, "big"), (1).to_bytes(4, "big"), (2).to_bytes(4, "big")]
    assert part[0] == second.replace(b"\0\0\0\4" + positions[1], b"\0\0\0\4" + positions[0], 1)
    assert part[1] == third.replace(b"\0\0\0\4" + positions[2], b"\0\0\0\4" + positions[1], 1)


def test_an_order_number_is_shown_without_harm() -> None:
    assert judging.readable("a\x00b" + "c" * 80) == "a?b" + "c" * 61
