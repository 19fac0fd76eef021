"""Merkle trees of RFC 6962: roots, inclusion and consistency proofs, and a log that grows.

A leaf is hashed as SHA-256(0x00 || leaf), a node as SHA-256(0x01 || left || right). A tree over n
leaves splits at the largest power of two below n; pairing level by level, with an odd last hash
moved up as it is, builds the same tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import pairwise

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

# Complete subtrees by (level, position): level 0 are the leaves' hashes.
Position = tuple[int, int]


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two hashes."""
    return sha256(b"\x01" + left + right).digest()


def leaf_hashes(prefixed: memoryview, offsets: Sequence[int]) -> list[bytes]:
    """The hashes of leaves that lie one after the other, each with its 0x00 before it."""
    return [sha256(prefixed[start:end]).digest() for start, end in pairwise(offsets)]


def unpack(packed: bytes) -> list[bytes]:
    """Hashes that lie one after the other."""
    return [packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)]


def root(hashes: Sequence[bytes]) -> bytes:
    """The root of the tree over these leaf hashes."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The inclusion proof of one leaf (RFC 6962, 2.1.1)."""
    proof, level = [], list(hashes)
    while len(level) > 1:
        if index ^ 1 < len(level):
            proof.append(level[index ^ 1])
        level, index = _above(level), index // 2
    return proof


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], top: bytes) -> bool:
    """Whether a leaf hash lies at this index of the tree of this size and root."""
    if not 0 <= index < size:
        return False
    waiting, last, current = list(proof), size - 1, leaf
    while last > 0:
        if index % 2 or index < last:
            if not waiting:
                return False
            sibling = waiting.pop(0)
            current = node_hash(sibling, current) if index % 2 else node_hash(current, sibling)
        index, last = index // 2, last // 2
    return not waiting and current == top


def _above(level: Sequence[bytes]) -> list[bytes]:
    above = [
        sha256(b"\x01" + left + right).digest()
        for left, right in zip(level[::2], level[1::2], strict=False)
    ]
    if len(level) % 2:
        above.append(level[-1])
    return above


def range_positions(start: int, end: int) -> list[Position]:
    """The complete subtrees that cover the leaves from `start` up to `end`, left to right.

    `start` is a multiple of the largest power of two that fits, as in all ranges of RFC 6962.
    """
    positions = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        positions.append((level, start >> level))
        start += 1 << level
    return positions


def append(frontier: Sequence[bytes], size: int, leaf: bytes) -> tuple[list[bytes], list[Position]]:
    """Add a leaf hash to a log: the new frontier, and the positions completed, leaf first.

    The hash of the k-th completed position is the leaf merged k times: `completed_hashes`.
    """
    hashes, completed, index, level = list(frontier), [(0, size)], size, 0
    current = leaf
    while index % 2:
        current = node_hash(hashes.pop(), current)
        index, level = index // 2, level + 1
        completed.append((level, index))
    return [*hashes, current], completed


def completed_hashes(
    frontier: Sequence[bytes], positions: Sequence[Position], leaf: bytes
) -> list[bytes]:
    """The hashes at the positions that `append` completed."""
    hashes, left = [leaf], list(frontier)
    for _ in positions[1:]:
        hashes.append(node_hash(left.pop(), hashes[-1]))
    return hashes


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, given largest first (left to right)."""
    if not hashes:
        return EMPTY_ROOT
    current = hashes[-1]
    for left in reversed(hashes[:-1]):
        current = node_hash(left, current)
    return current


def log_path(index: int, size: int, node: Callable[[Position], bytes]) -> list[bytes]:
    """The inclusion proof of a log's leaf from stored complete subtrees."""
    return [_range_hash(start, end, node) for start, end in path_ranges(index, 0, size)]


def path_ranges(index: int, start: int, end: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose hashes prove a leaf's inclusion, from the leaf upwards."""
    if end - start <= 1:
        return []
    split = start + _split(end - start)
    if index < split:
        return [*path_ranges(index, start, split), (split, end)]
    return [*path_ranges(index, split, end), (start, split)]


def consistency_path(first: int, second: int, node: Callable[[Position], bytes]) -> list[bytes]:
    """The consistency proof between two sizes of a log (RFC 6962, 2.1.2)."""
    return [_range_hash(start, end, node) for start, end in consistency_ranges(first, second)]


def consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """The ranges of leaves whose hashes prove that the first size is contained in the second."""
    if not 0 < first < second:
        return []
    return _subproof(first, 0, second, whole=True)


def _subproof(first: int, start: int, end: int, *, whole: bool) -> list[tuple[int, int]]:
    if first == end - start:
        return [] if whole else [(start, end)]
    split = _split(end - start)
    if first <= split:
        return [*_subproof(first, start, start + split, whole=whole), (start + split, end)]
    rest = _subproof(first - split, start + split, end, whole=False)
    return [*rest, (start, start + split)]


def is_consistent(  # noqa: C901 - the steps of RFC 9162, 2.1.4.2, in their order
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the log of the second size begins with that of the first."""
    if first == second:
        return first_root == second_root and not proof
    if first == 0:
        return first_root == EMPTY_ROOT and not proof
    if not 0 < first < second:
        return False
    waiting = list(proof)
    if first & (first - 1) == 0:
        waiting.insert(0, first_root)
    if not waiting:
        return False
    index, last = first - 1, second - 1
    while index % 2:
        index, last = index // 2, last // 2
    old = new = waiting.pop(0)
    for sibling in waiting:
        if last == 0:
            return False
        if index % 2 or index == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            new = node_hash(new, sibling)
        index, last = index // 2, last // 2
    return last == 0 and old == first_root and new == second_root


def _range_hash(start: int, end: int, node: Callable[[Position], bytes]) -> bytes:
    return fold([node(position) for position in range_positions(start, end)])


def _split(count: int) -> int:
    """The largest power of two below a count of two or more."""
    return 1 << ((count - 1).bit_length() - 1)
