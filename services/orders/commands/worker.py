"""A worker process: reads batches that may be harmful, checks, hashes and encodes them.

Runs as a program of its own, with no credentials, limited memory and nothing but its standard
streams: what it cannot survive, the service does. It is asked one thing at a time and answers each
with one frame: a length, a JSON header with the lengths of what follows, then the parts.
"""

from __future__ import annotations

import json
import os
import resource
import struct
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
from services.orders.domain import judging
from services.orders.domain.checks import Rules

MEMORY_BYTES_MAX = 2 << 30
OPEN_FILES_MAX = 32
PRIORITY_STEPS = 10
REMEMBERED_MAX = 2_000_000
LENGTH = struct.Struct("<I")

Answer = tuple[dict[str, Any], list[Any]]


@dataclass
class _Desk:
    """The batch being worked on, from one question to the next, and who is known to be enrolled.

    Enrolments are never taken back, so a worker that was found once is not asked for again.
    """

    batch: columns.Columns | None = None
    platform: str = ""
    asked: set[int] = field(default_factory=set)
    enrolled: dict[str, set[int]] = field(default_factory=dict)

    def ask_for(self, platform: str, workers: set[int]) -> set[int]:
        """Those of these workers that are not known to be enrolled with the platform."""
        self.platform = platform
        self.asked = workers - self.enrolled.setdefault(platform, set())
        return self.asked

    def learn(self, not_enrolled: Sequence[int]) -> None:
        """Remember the answer."""
        if sum(map(len, self.enrolled.values())) > REMEMBERED_MAX:
            self.enrolled = {}
        known = self.enrolled.setdefault(self.platform, set())
        known.update(self.asked.difference(not_enrolled))


def main() -> None:
    """Answer questions until the other side closes the stream."""
    _limit()
    _step_back()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    desk = _Desk()
    while (question := read_frame(source)) is not None:
        header, parts = question
        try:
            answer, content = ANSWERS[header["ask"]](desk, header, parts)
        except Problem as problem:
            facts = problem.facts
            answer, content = {"problem": type(problem).__name__, "facts": facts}, []
        write_frame(sink, answer, content)


def read_frame(source: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next frame; None at the end of the stream."""
    start = source.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header = json.loads(source.read(LENGTH.unpack(start)[0]))
    return header, [source.read(size) for size in header["sizes"]]


def write_frame(sink: BinaryIO, header: dict[str, Any], parts: list[Any]) -> None:
    """Send a frame."""
    sink.writelines(frame(header, parts))
    sink.flush()


def frame(header: dict[str, Any], parts: list[Any]) -> list[Any]:
    """A header and parts as they go over the stream."""
    views = [memoryview(part) for part in parts]
    packed = json.dumps({**header, "sizes": [view.nbytes for view in views]}).encode()
    return [LENGTH.pack(len(packed)) + packed, *views]


def _read(desk: _Desk, header: dict[str, Any], parts: list[bytes]) -> Answer:
    """Read a batch; answer with those of its workers whose enrolment is to be looked up."""
    if header["form"] == "arrow":
        batch = columns.from_arrow(parts[0])
        content_hash = sha256(parts[0]).digest()
    else:
        rows = _rows_in(parts[0])
        batch = columns.from_rows(rows.rows)
        content_hash = _hash_of(rows)
    desk.batch = batch
    asked = desk.ask_for(header["platform"], set(batch.workers().to_pylist()))
    return {"received_count": len(batch)}, [content_hash, array("q", asked)]


def _hash(_desk: _Desk, _header: dict[str, Any], parts: list[bytes]) -> Answer:
    """The content hash of rows."""
    return {}, [_hash_of(_rows_in(parts[0]))]


def _rows_in(content: bytes) -> orders_pb2.OrderRows:
    try:
        return orders_pb2.OrderRows.FromString(content)
    except DecodeError:
        raise columns.BatchUnreadable(what="its rows are no OrderRows message") from None


def _hash_of(rows: orders_pb2.OrderRows) -> bytes:
    """SHA-256 over the rows in a form that does not hang on the library that wrote them."""
    return sha256(rows.SerializeToString(deterministic=True)).digest()


def _judge(desk: _Desk, header: dict[str, Any], _parts: list[bytes]) -> Answer:
    """Check, hash and encode the batch that was read."""
    assert desk.batch is not None
    desk.learn(header["not_enrolled"])
    rules = Rules(**{**header["rules"], "pooling_areas": tuple(header["rules"]["pooling_areas"])})
    judged = judging.judge(
        desk.batch, desk.platform, rules, header["not_enrolled"], header["batch_no"]
    )
    desk.batch = None
    answer = {
        "rejected": [_plain(one) for one in judged.rejected],
        "doubled": [one and _plain(one) for one in judged.doubled],
        "is_first": judged.is_first,
        "tallies": judged.tallies,
    }
    row_of = array("I", judged.row_of).tobytes()
    content, offsets = encoding.packed(judged.rows) if judged.row_of else (b"", bytes(4))
    return answer, [judged.root, b"".join(judged.hashes), row_of, content, offsets]


def _plain(one: judging.Rejected) -> list[Any]:
    return [one.index, one.order_no, int(one.status), one.field, one.content]


def _settled(_desk: _Desk, header: dict[str, Any], parts: list[bytes]) -> Answer:
    """Of a judged batch what is new: root, hashes, rows, and tallies."""
    hashes, content, offsets = parts
    held = tree.unpack(hashes)
    mask = [
        verdict == header["new"] and place < len(held)
        for place, verdict in enumerate(header["verdicts"])
    ]
    # Doubled rows come last and have no leaf.
    new = [one for one, is_new in zip(held, mask, strict=False) if is_new]
    return {}, [tree.root(new), b"".join(new), encoding.kept(content, offsets, mask)]


def _path(_desk: _Desk, header: dict[str, Any], parts: list[bytes]) -> Answer:
    """The root, and the inclusion proof of one leaf."""
    hashes = tree.unpack(parts[0])
    path = tree.path(hashes, header["index"]) if header["index"] < len(hashes) else []
    return {}, [tree.root(hashes), b"".join(path)]


ANSWERS: dict[str, Callable[[_Desk, dict[str, Any], list[bytes]], Answer]] = {
    "read": _read,
    "hash": _hash,
    "judge": _judge,
    "settled": _settled,
    "path": _path,
}


def _step_back() -> None:
    """Leave the cores to whoever asks something: a batch can wait, a person should not.

    Linux shares cores among sessions before it looks at priorities within one, where it does.
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
