"""Trees, leaves, notes and evidence files; docs/evidence.md is held to the code."""

from __future__ import annotations

import struct
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from oip.orders.v1 import orders_pb2 as pb

from services.orderlog import leaves, notes, tree
from services.orderlog.columns import from_rows
from services.orderlog.entries import batch_name, log_entry
from services.orders.domain import copy_format
from services.orders.domain.prepared_batches import readable
from services.runtime.rpc.wire import moment_to_wire
from tests.support.platforms import SWIFT
from tests.support.uploads import NINE, row

DOCS = Path(__file__).parents[3] / "docs"
DOC = (DOCS / "evidence.md").read_text(encoding="utf-8")
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = notes.key_name("440000")
VERIFIER = notes.verifier_key(NAME, KEY.public_key())
ROWS = [
    row("R-1", worker=7),
    row("雨-2", worker=7, revision=2, state=4, reason="测试", industry=2),
    row("R-3", worker=9, state=1, ended=None),
]


def leaves_of(rows: list[dict[str, Any]]) -> list[bytes]:
    prefixed = leaves.leaves(from_rows([pb.OrderRow(**one) for one in rows]), SWIFT)
    return [bytes(leaf[1:]) for leaf in prefixed.to_pylist()]


def leaf_by_the_page(order: dict[str, Any]) -> bytes:
    """A leaf as the page describes it."""
    number, reason = str(order["order_no"]).encode(), str(order["reason"]).encode()
    return (
        b"\x01"
        + SWIFT.encode()
        + struct.pack(
            ">IQBBqqqI",
            order["revision"],
            order["worker"],
            order["industry"],
            order["state"],
            order["accept_time_us"],
            order["pick_up_time_us"],
            order["end_time_us"],
            order["place_of_acceptance"],
        )
        + struct.pack(">H", len(number))
        + number
        + struct.pack(">H", len(reason))
        + reason
    )


def merkle_tree_hash(hashes: list[bytes]) -> bytes:
    """The Merkle tree hash as RFC 6962 defines it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"").digest()
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return sha256(
        b"\x01" + merkle_tree_hash(hashes[:split]) + merkle_tree_hash(hashes[split:])
    ).digest()


def some_hashes(count: int) -> list[bytes]:
    return [tree.leaf_hash(bytes((number,))) for number in range(count)]


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
    assert leaves_of(rows) == [leaf_by_the_page(one) for one in rows]


@pytest.mark.parametrize("count", range(34))
def test_roots_and_proofs_are_those_of_the_standard(count: int) -> None:
    hashes = some_hashes(count)
    root = tree.root(hashes)

    assert root == merkle_tree_hash(hashes)
    for index, leaf in enumerate(hashes):
        path = tree.path(hashes, index)
        assert tree.is_included(leaf, index, count, path, root)
        assert not tree.is_included(leaf, index + 1, count, path, root)
        assert not tree.is_included(leaf, index, count, [*path, leaf], root)


@pytest.mark.parametrize("count", range(1, 34))
def test_a_log_that_grows_proves_itself_at_every_size(count: int) -> None:
    hashes, frontier, nodes = some_hashes(count), list[bytes](), dict[tree.Position, bytes]()
    for size, leaf in enumerate(hashes):
        before = frontier
        frontier, positions = tree.append(before, size, leaf)
        nodes |= dict(zip(positions, tree.completed_hashes(before, positions, leaf), strict=True))

    assert tree.fold(frontier) == tree.root(hashes)
    for index, leaf in enumerate(hashes):
        path = tree.log_path(index, count, nodes.__getitem__)
        assert path == tree.path(hashes, index)
        assert tree.is_included(leaf, index, count, path, tree.root(hashes))
    for first in range(1, count + 1):
        proof = tree.consistency_path(first, count, nodes.__getitem__)
        old, new = tree.root(hashes[:first]), tree.root(hashes)
        assert tree.is_consistent(first, count, old, new, proof)
        assert not tree.is_consistent(first, count, hashes[0] + b"x", new, proof)


def proofs(log_size: int = 5) -> list[pb.OrderProof]:
    """Proofs of three records in the fourth batch of a log."""
    leaves = leaves_of(ROWS)
    hashes = [tree.leaf_hash(leaf) for leaf in leaves]
    root, name = tree.root(hashes), batch_name(SWIFT, "b1")
    entries = some_hashes(log_size)
    entries[3] = tree.leaf_hash(log_entry(len(leaves), NINE, root, name))
    head = notes.Head(notes.origin("440000", SWIFT), log_size, tree.root(entries))
    return [
        pb.OrderProof(
            record=pb.OrderRecord(order_batch=name, create_time=moment_to_wire(NINE)),
            leaf=leaf,
            leaf_index=index,
            leaf_count=len(leaves),
            batch_path=tree.path(hashes, index),
            batch_root=root,
            log_index=3,
            log_path=tree.path(entries, 3),
            checkpoint=pb.Checkpoint(note=notes.sign(head, NAME, KEY)),
        )
        for index, leaf in enumerate(leaves)
    ]


def test_the_vectors_of_the_page_are_right() -> None:
    leaves = leaves_of(ROWS)
    hashes = [tree.leaf_hash(leaf) for leaf in leaves]
    entry = log_entry(3, NINE, tree.root(hashes), batch_name(SWIFT, "b1"))
    head = notes.Head(notes.origin("440000", SWIFT), 1, tree.leaf_hash(entry))

    for content in (*leaves, *hashes, tree.root(hashes), entry, tree.leaf_hash(entry)):
        assert f"`{content.hex()}`" in DOC
    assert f"`{VERIFIER}`" in DOC
    assert notes.sign(head, NAME, KEY) in DOC

    empty = [
        log_entry(0, NINE + timedelta(hours=n), tree.EMPTY_ROOT, batch_name(SWIFT, f"b{n + 1}"))
        for n in (1, 2)
    ]
    entries = [tree.leaf_hash(one) for one in (entry, *empty)]
    for content in (*entries, tree.root(entries)):
        assert f"`{content.hex()}`" in DOC
    later = notes.Head(notes.origin("440000", SWIFT), 3, tree.root(entries))
    assert notes.sign(later, NAME, KEY) in DOC


def test_rows_for_copy_do_not_depend_on_their_neighbours() -> None:
    columns = from_rows([pb.OrderRow(**one) for one in ROWS])
    area = pa.array([440100] * 3, pa.int32())
    whole = copy_format.encode_rows(columns, area, SWIFT, 7).to_pylist()

    mask = pa.array([False, True, True])
    (_, second, third) = whole
    part = copy_format.encode_rows(columns.take(mask), area.filter(mask), SWIFT, 7).to_pylist()

    positions = [(0).to_bytes(4, "big"), (1).to_bytes(4, "big"), (2).to_bytes(4, "big")]
    assert part[0] == second.replace(b"\0\0\0\4" + positions[1], b"\0\0\0\4" + positions[0], 1)
    assert part[1] == third.replace(b"\0\0\0\4" + positions[2], b"\0\0\0\4" + positions[1], 1)


def test_an_order_number_is_shown_without_harm() -> None:
    assert readable("a\x00b" + "c" * 80) == "a?b" + "c" * 61
