"""Walks every log from its start: rows give roots, roots give heads, and others recorded the same.

A page of batches at a time, so that the memory needed does not grow with the months.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.message import DecodeError
from oip.orders.v1 import events_pb2

from services.orderlog import tree
from services.orderlog.tree import Place
from services.orders import events
from services.orders.domain.judging import Tally
from services.orders.domain.receipts import add_rejections, begin_receipt
from services.orders.domain.records import Batch
from services.orders.store import log as log_store
from services.orders.store import records
from services.orders.store import recounts as store
from services.orders.store.recounts import Entry, LogEnd
from services.runtime.storage.database import Transaction

BATCHES_AT_A_TIME = 20
REJECTIONS_AT_A_TIME = 1000
SHOWN_MAX = 5
# Batches that may be missing in a row before a log is not followed beyond.
GAP_MAX = 1000
GONE = LogEnd(-1, [], 0)


@dataclass
class Faults:
    """What does not hold: how many, and the first of them in words."""

    count: int = 0
    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        """One more."""
        self.count += 1
        if len(self.sentences) < SHOWN_MAX:
            self.sentences.append(sentence)

    @property
    def detail(self) -> str:
        """The first of them; how many more there are."""
        more = self.count - len(self.sentences)
        shown = "; ".join(self.sentences) or "no difference"
        return f"{shown}; and {more} more" if more else shown


@dataclass
class Trail:
    """How far a log was followed: its size and frontier, made anew from its batches."""

    platform: str
    size: int = 0
    frontier: list[bytes] = field(default_factory=list)
    last_time: datetime | None = None
    is_followed: bool = True
    nodes: dict[Place, bytes] = field(default_factory=dict)

    def append(self, leaf: bytes) -> None:
        """Go on by one batch."""
        before = self.frontier
        self.frontier, places = tree.append(before, self.size, leaf)
        self.nodes |= dict(zip(places, tree.completed_hashes(before, places, leaf), strict=True))
        self.size += 1

    @property
    def node_count(self) -> int:
        """How many complete subtrees a log of this size has."""
        return 2 * self.size - self.size.bit_count()


class Walk:
    """One walk through all logs; `faults` by what they break."""

    def __init__(self, tx: Transaction) -> None:
        self.faults: defaultdict[str, Faults] = defaultdict(Faults)
        self._tx = tx
        self._trail: Trail | None = None
        self._ends: dict[str, LogEnd] = {}

    async def run(self) -> None:
        """Walk through every place at which a batch or a head stands, then look for lost logs."""
        self._ends = await store.log_ends(self._tx)
        async for page in store.entries(self._tx, BATCHES_AT_A_TIME):
            numbers = [one.batch.batch_no for one in page if one.batch is not None]
            hashes = await log_store.hashes_of_batches(self._tx, numbers)
            tallies = await store.tallies_of(self._tx, numbers)
            for entry in page:
                await self._step(entry, hashes, tallies)
            await self._compare_nodes()
        await self._end()
        for platform, end in self._ends.items():
            if end.size > 0 or end.node_count:
                held = f"{max(end.size, 0)} batches and {end.node_count} nodes"
                self._fault("log", f"the log of {platform} tells of {held}, and none is held")
        for name in await store.gone(self._tx, SHOWN_MAX + 1):
            self._fault("told", f"{name} was recorded and is not held")

    async def _step(
        self, entry: Entry, hashes: Mapping[int, bytes], tallies: Mapping[int, list[Tally]]
    ) -> None:
        if self._trail is None or self._trail.platform != entry.platform:
            await self._end()
            self._trail = Trail(entry.platform)
            if self._ends.get(entry.platform, GONE).size < 0:
                self._fault("log", f"the log of {entry.platform} is gone, its batches are not")
        trail = self._trail
        await self._reach(trail, entry.index)
        if entry.batch is None:
            self._fault("log", f"the log of {trail.platform} lacks the batch at {entry.index}")
            await self._reach(trail, entry.index + 1, told=True)
        else:
            self._check_rows(entry.batch, hashes.get(entry.batch.batch_no, b""))
            await self._check_receipt(entry.batch, entry.noted)
            self._check_event(entry.batch, tallies.get(entry.batch.batch_no, []), entry.told)
            if trail.is_followed:
                trail.append(tree.leaf_hash(entry.batch.log_entry))
            self._check_time(trail, entry.batch)
        self._check_head(trail, entry)

    def _check_rows(self, batch: Batch, packed: bytes) -> None:
        if tree.root(tree.unpack(packed)) != batch.root:
            self._fault("rows", f"the rows of {batch.name} do not give its root")

    async def _check_receipt(self, batch: Batch, noted: Sequence[bytes]) -> None:
        digest, after = begin_receipt(batch), -1
        refused = batch.conflict_count + batch.rejected_count
        try:
            while refused:
                page = await records.list_rejections(
                    self._tx, batch.batch_no, after, REJECTIONS_AT_A_TIME
                )
                add_rejections(digest, page)
                if len(page) < REJECTIONS_AT_A_TIME:
                    break
                after = page[-1].index
        except ValueError:
            self._fault("told", f"the rejections of {batch.name} cannot be read")
            return
        if not noted:
            self._fault("told", f"{batch.name} has no audit row")
        elif list(noted) != [digest.digest()]:
            self._fault("told", f"the receipt of {batch.name} is not the one in the audit")

    def _check_event(self, batch: Batch, tallies: Sequence[Tally], told: Sequence[bytes]) -> None:
        if len(told) != 1:
            self._fault("told", f"{batch.name} was told {len(told)} times")
            return
        try:
            event = events_pb2.OrderBatchRecorded.FromString(told[0])
        except DecodeError:
            event = events_pb2.OrderBatchRecorded()
        if event != events.order_batch_recorded(batch, tallies):
            self._fault("told", f"{batch.name} was told otherwise than it is held")

    def _check_time(self, trail: Trail, batch: Batch) -> None:
        if trail.last_time is not None and batch.create_time < trail.last_time:
            self._fault("log", f"{batch.name} is older than the batch before it")
        trail.last_time = batch.create_time

    def _check_head(self, trail: Trail, entry: Entry) -> None:
        head, size = entry.head, entry.index + 1
        where = f"the head of {trail.platform} at {size}"
        if head is None:
            self._fault("log", f"{where} is missing")
            return
        if trail.is_followed and head.root != tree.fold(trail.frontier):
            self._fault("log", f"{where} is not the one that its batches give")
        if entry.batch is not None and head.create_time != entry.batch.create_time:
            self._fault("log", f"{where} has another time than its batch")

    async def _reach(self, trail: Trail, index: int, *, told: bool = False) -> None:
        """Go over places where nothing stands by the nodes that are held of them."""
        start = trail.size
        if not trail.is_followed or start >= index:
            return
        if not told:
            missing = f"batches from {start} to {index - 1}" if index - start > 1 else start
            self._fault("log", f"the log of {trail.platform} lacks the batch at {missing}")
        places = [(0, place) for place in range(start, min(index, start + GAP_MAX))]
        held = await log_store.nodes(self._tx, trail.platform, places)
        if len(held) < index - start:
            trail.is_followed = False
            return
        for place in places:
            trail.append(held[place])

    async def _compare_nodes(self) -> None:
        """Compare the nodes that were completed since the last time with those held."""
        trail = self._trail
        if trail is None or not trail.nodes:
            return
        held = await log_store.nodes(self._tx, trail.platform, sorted(trail.nodes))
        for (level, position), hashed in sorted(trail.nodes.items()):
            if held.get((level, position)) != hashed:
                where = f"node {level}/{position} of the log of {trail.platform}"
                self._fault("log", f"{where} is not the one that its batches give")
        trail.nodes = {}

    async def _end(self) -> None:
        """Compare the end of a log with what its next batch would go on from."""
        await self._compare_nodes()
        trail = self._trail
        if trail is None:
            return
        end = self._ends.pop(trail.platform, GONE)
        if end.size < 0 or not trail.is_followed:
            return
        log = f"the log of {trail.platform}"
        if end.size != trail.size:
            self._fault("log", f"{log} has {trail.size} batches, not {end.size}")
        elif end.frontier != trail.frontier:
            self._fault("log", f"{log} goes on from other nodes than its batches give")
        if end.node_count != trail.node_count:
            self._fault("log", f"{log} has {end.node_count} nodes, not {trail.node_count}")

    def _fault(self, what: str, sentence: str) -> None:
        self.faults[what].add(sentence)
