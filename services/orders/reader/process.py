"""The program of a reader process: reads batches that may be harmful, validates and encodes them.

It runs without credentials, with limited memory and with its standard streams only, so that a batch
that kills it does not harm the service. It answers one request at a time, each with one frame.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from google.protobuf.message import DecodeError
from oip.orders.v1 import orders_pb2

from services.kernel.problems import Problem
from services.orderlog import columns, tree
from services.orders.domain import copy_format, prepared_batches, resolutions
from services.orders.domain.row_rules import Rules
from services.orders.reader.protocol import LENGTH, Header, frame, pack_batch

MEMORY_BYTES_MAX = 2 << 30
OPEN_FILES_MAX = 32
PRIORITY_STEPS = 10
REMEMBERED_MAX = 2_000_000

Answer = tuple[Header, list[Any]]


@dataclass
class ReaderState:
    """The batch between two requests, and the workers known to be enrolled.

    Enrolments are never revoked, so a worker that was found once need not be looked up again.
    """

    batch: columns.Columns | None = None
    content_hash: bytes = b""
    platform: str = ""
    looked_up: set[int] = field(default_factory=set)
    enrolled: dict[str, set[int]] = field(default_factory=dict)

    def to_look_up(self, platform: str, workers: set[int]) -> set[int]:
        """Those of these workers that are not known to be enrolled with the platform."""
        self.platform = platform
        self.looked_up = workers - self.enrolled.setdefault(platform, set())
        return self.looked_up

    def learn(self, not_enrolled: Sequence[int]) -> None:
        """Remember the workers that were looked up and are enrolled."""
        if sum(map(len, self.enrolled.values())) > REMEMBERED_MAX:
            self.enrolled = {}
        known = self.enrolled.setdefault(self.platform, set())
        known.update(self.looked_up.difference(not_enrolled))


def main() -> None:
    """Answer requests until the other side closes the stream."""
    _limit()
    _lower_priority()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    state = ReaderState()
    while (request := _read_frame(source)) is not None:
        header, parts = request
        try:
            answer, content = ANSWERS[header["method"]](state, header, parts)
        except Problem as problem:
            answer, content = {"problem": type(problem).__name__, "facts": problem.facts}, []
        sink.writelines(frame(answer, content))
        sink.flush()


def _read_frame(source: BinaryIO) -> tuple[Header, list[bytes]] | None:
    """The next frame; None at the end of the stream."""
    start = source.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header = json.loads(source.read(LENGTH.unpack(start)[0]))
    return header, [source.read(size) for size in header["sizes"]]


def _read(state: ReaderState, header: Header, parts: list[bytes]) -> Answer:
    """Read a batch; answer with the workers whose enrolment must be looked up."""
    if header["form"] == "arrow":
        state.batch = columns.from_arrow(parts[0])
        state.content_hash = sha256(parts[0]).digest()
    else:
        rows = _rows_in(parts[0])
        state.batch = columns.from_rows(rows.rows)
        state.content_hash = _hash_of(rows)
    workers = state.to_look_up(header["platform"], set(state.batch.workers().to_pylist()))
    return {}, [array("q", workers)]


def _content_hash(_state: ReaderState, _header: Header, parts: list[bytes]) -> Answer:
    """The content hash of rows."""
    return {}, [_hash_of(_rows_in(parts[0]))]


def _rows_in(content: bytes) -> orders_pb2.OrderRows:
    try:
        return orders_pb2.OrderRows.FromString(content)
    except DecodeError:
        raise columns.BatchUnreadable.of(
            "its rows are not an OrderRows message", "rows 不是 OrderRows 消息"
        ) from None


def _hash_of(rows: orders_pb2.OrderRows) -> bytes:
    """SHA-256 over the rows in a form that is independent of the library that wrote them."""
    return sha256(rows.SerializeToString(deterministic=True)).digest()


def _validate(state: ReaderState, header: Header, _parts: list[bytes]) -> Answer:
    """Check, hash and encode the batch that was read."""
    assert state.batch is not None
    not_enrolled = header["not_enrolled"]
    state.learn(not_enrolled)
    per_area = {name: tuple(header["rules"][name]) for name in ("pooling_areas", "area_starts_us")}
    rules = Rules(**{**header["rules"], **per_area})
    prepared = prepared_batches.validate(
        state.batch,
        state.platform,
        rules,
        not_enrolled=not_enrolled,
        batch_no=header["batch_no"],
        content_hash=state.content_hash,
    )
    state.batch = None
    return pack_batch(prepared)


def _select(_state: ReaderState, _header: Header, parts: list[bytes]) -> Answer:
    """Root, leaf hashes and rows of those rows of a batch that are new, by their verdicts."""
    verdicts, packed_hashes, content, offsets = parts
    leaves = tree.unpack(packed_hashes)
    mask = resolutions.new_rows(verdicts.decode("ascii"), len(leaves))
    # Duplicate rows come last and have no leaf.
    hashes = [leaf for leaf, is_new in zip(leaves, mask, strict=False) if is_new]
    return {}, [tree.root(hashes), b"".join(hashes), copy_format.filtered(content, offsets, mask)]


def _path(_state: ReaderState, header: Header, parts: list[bytes]) -> Answer:
    """The root, and the inclusion proof of one leaf."""
    hashes = tree.unpack(parts[0])
    path = tree.path(hashes, header["index"]) if header["index"] < len(hashes) else []
    return {}, [tree.root(hashes), b"".join(path)]


ANSWERS: dict[str, Callable[[ReaderState, Header, list[bytes]], Answer]] = {
    "read": _read,
    "content_hash": _content_hash,
    "validate": _validate,
    "select": _select,
    "path": _path,
}


def _lower_priority() -> None:
    """Yield the cores to calls that people wait for; a batch can wait.

    Linux shares cores among sessions first, by the priority in `autogroup`, and within a session by
    the priority of the process.
    """
    os.nice(PRIORITY_STEPS)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(PRIORITY_STEPS), encoding="ascii")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES_MAX, OPEN_FILES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
