"""The invariants of orders, recomputed from the rows: receipts, tallies, roots, logs, heads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from google.protobuf.message import DecodeError
from oip.orders.v1 import events_pb2
from sqlalchemy.exc import DataError

from services.kernel.parameters import ParameterNotFound
from services.kernel.periods import first_moment
from services.orderlog import tree
from services.orderlog.signer import Signer
from services.orders import events
from services.orders.commands.log_key import signer_of
from services.orders.domain.batches import Batch, Tally
from services.orders.domain.law import rules_at
from services.orders.domain.log_progress import LogProgress, Violations
from services.orders.domain.receipts import add_rejections, begin_receipt
from services.orders.store import batches as batch_store
from services.orders.store import invariants as store
from services.orders.store import logs as log_store
from services.orders.store.invariants import LogEnd, LogPosition
from services.runtime.service.context import Check, Invariant, ServiceContext
from services.runtime.storage.database import Transaction

HEADS_PER_PAGE = 1000
BATCHES_PER_PAGE = 20
REJECTIONS_PER_PAGE = 1000
SHOWN_MAX = 5
# Consecutive batches that may be missing before a log is not followed further.
MISSING_BATCHES_MAX = 1000
NO_END = LogEnd(-1, [], 0)

ROWS_STORED = Invariant(
    "I2-orders-rows",
    "every accepted order is stored once, and each batch has as many as its receipt says",
)
RECEIPTS_ADD_UP = Invariant(
    "I13-orders-receipts",
    "received = created + exists + conflict + rejected in every batch, as its rejections say",
)
TALLIES_RECOUNTED = Invariant(
    "I2-orders-tallies",
    "the published tallies equal a recount of the orders, batch by batch",
)
LEGS_COUNTED = Invariant(
    "I2-orders-legs",
    "the legs of orders that were not reversed are what premiums are published to count",
)
FIRST_REVISIONS_KNOWN = Invariant(
    "I2-orders-first-revisions",
    "the orders whose first revision is missing are listed, and no others",
)
FREEZES_AUDITED = Invariant(
    "I5-orders-freezes",
    "records are kept for exactly the requests that the audit names",
)
ROWS_GIVE_ROOT = Invariant("I5-orders-roots", "the rows of each batch give its root")
LOG_WITHOUT_GAP = Invariant(
    "I5-orders-log", "the roots give every head and node of the log, without a gap"
)
RECEIPTS_PUBLISHED = Invariant(
    "I5-orders-published",
    "each receipt is the audited one, and its event agrees with the stored batch",
)
HEADS_SIGNED = Invariant("I5-orders-heads", "every stored head of a log has a valid signature")
AREAS_OF_PLACES = Invariant("I5-orders-areas", "each order has the pooling area of its place")

INVARIANTS: tuple[Invariant, ...] = (
    ROWS_STORED,
    RECEIPTS_ADD_UP,
    TALLIES_RECOUNTED,
    LEGS_COUNTED,
    FIRST_REVISIONS_KNOWN,
    FREEZES_AUDITED,
    ROWS_GIVE_ROOT,
    LOG_WITHOUT_GAP,
    RECEIPTS_PUBLISHED,
    HEADS_SIGNED,
    AREAS_OF_PLACES,
)
# Those that one statement counts: the statement, and what it counts.
RECOUNTS: tuple[tuple[Invariant, str, str], ...] = (
    (ROWS_STORED, store.ROW_COUNT_MISMATCH_SQL, "batches differ"),
    (RECEIPTS_ADD_UP, store.RECEIPT_MISMATCH_SQL, "batches differ"),
    (TALLIES_RECOUNTED, store.TALLY_MISMATCH_SQL, "lines differ"),
    (LEGS_COUNTED, store.LEG_MISMATCH_SQL, "lines differ"),
    (FIRST_REVISIONS_KNOWN, store.FIRST_REVISION_MISMATCH_SQL, "orders or logs differ"),
    (FREEZES_AUDITED, store.FREEZE_MISMATCH_SQL, "requests differ"),
)


async def verify(tx: Transaction, context: ServiceContext) -> list[Check]:
    """Recompute every invariant."""
    checks = [
        invariant.check(await store.count(tx, statement), counted)
        for invariant, statement, counted in RECOUNTS
    ]
    verifier = LogVerifier(tx)
    try:
        await verifier.run()
    except DataError as error:
        # A moment or text that no service wrote and that cannot be read.
        verifier.violations[LOG_WITHOUT_GAP].add(
            f"a value of the log cannot be read ({error.orig})"
        )
    violations = {
        ROWS_GIVE_ROOT: verifier.violations[ROWS_GIVE_ROOT],
        LOG_WITHOUT_GAP: verifier.violations[LOG_WITHOUT_GAP],
        RECEIPTS_PUBLISHED: verifier.violations[RECEIPTS_PUBLISHED],
        HEADS_SIGNED: await _unsigned_heads(tx, signer_of(context)),
        AREAS_OF_PLACES: await _wrong_areas(tx, context.province),
    }
    return [
        *checks,
        *(
            invariant.result(holds=not broken.count, detail=broken.detail)
            for invariant, broken in violations.items()
        ),
    ]


async def _unsigned_heads(tx: Transaction, signer: Signer) -> Violations:
    violations = Violations()
    platform, size = "", 0
    while page := await log_store.list_checkpoints_after(tx, platform, size, HEADS_PER_PAGE):
        for head in page:
            if not signer.opens(head.note, head.platform, head.log_size, head.root):
                where = f"the head of {head.platform} at {head.log_size}"
                violations.add(f"{where} is not signed as it stands there")
        platform, size = page[-1].platform, page[-1].log_size
    return violations


async def _wrong_areas(tx: Transaction, province: str) -> Violations:
    violations = Violations()
    for period in _periods(await store.list_batch_days(tx), province):
        wrong_count = await store.count(
            tx,
            store.POOLING_AREA_MISMATCH_SQL,
            start=period.start,
            end=period.end,
            areas=list(period.areas),
            earlier_areas=list(period.earlier_areas),
        )
        if wrong_count:
            violations.add(f"{wrong_count} orders stand in another pooling area than their place")
    return violations


@dataclass(frozen=True)
class PeriodOfAreas:
    """A period with the same pooling areas, and the areas before it."""

    start: datetime
    end: datetime
    areas: tuple[int, ...]
    earlier_areas: tuple[int, ...]


def _periods(days: Sequence[date], province: str) -> list[PeriodOfAreas]:
    """The periods that these days lie in, in order."""
    periods: list[PeriodOfAreas] = []
    for areas, same in groupby(days, lambda day: _areas(day, province)):
        first, *rest = same
        end = first_moment((rest[-1] if rest else first) + timedelta(days=1))
        earlier_areas = periods[-1].areas if periods else areas
        periods.append(PeriodOfAreas(first_moment(first), end, areas, earlier_areas))
    return periods


def _areas(day: date, province: str) -> tuple[int, ...]:
    try:
        return rules_at(first_moment(day), province).pooling_areas
    except ParameterNotFound:
        # Long before the scheme: intake accepted nothing then.
        return ()


class LogVerifier:
    """Follows every log from its start: rows give roots, roots give heads, audit and events agree.

    It reads a page of batches at a time, so that the memory needed does not grow with the months.
    """

    def __init__(self, tx: Transaction) -> None:
        self.violations: defaultdict[Invariant, Violations] = defaultdict(Violations)
        self._tx = tx
        self._progress: LogProgress | None = None
        self._ends: dict[str, LogEnd] = {}

    async def run(self) -> None:
        """Go through every position that has a batch or a head, then look for lost logs."""
        self._ends = await store.list_log_ends(self._tx)
        async for page in store.list_log_positions(self._tx, BATCHES_PER_PAGE):
            numbers = [position.batch.batch_no for position in page if position.batch is not None]
            hashes = await log_store.list_hashes_by_batch(self._tx, numbers)
            tallies = await store.list_tallies(self._tx, numbers)
            for position in page:
                await self._check_position(position, hashes, tallies)
            await self._compare_nodes()
        await self._check_end()
        for platform, end in self._ends.items():
            if end.size > 0 or end.node_count:
                what = f"{max(end.size, 0)} batches and {end.node_count} nodes"
                self._log_differs(f"the log of {platform} has {what}, and no batch is stored")
        for name in await store.list_missing_batches(self._tx, SHOWN_MAX + 1):
            self._event_differs(f"{name} was recorded and is not stored")

    async def _check_position(
        self,
        position: LogPosition,
        hashes: Mapping[int, bytes],
        tallies: Mapping[int, list[Tally]],
    ) -> None:
        if self._progress is None or self._progress.platform != position.platform:
            await self._check_end()
            self._progress = LogProgress(position.platform)
            if self._ends.get(position.platform, NO_END).size < 0:
                self._log_differs(f"the log of {position.platform} is missing, its batches are not")
        progress, batch = self._progress, position.batch
        await self._fill_gap(progress, position.index)
        if batch is None:
            self._log_differs(f"the log of {progress.platform} lacks the batch at {position.index}")
            await self._fill_gap(progress, position.index + 1, is_reported=True)
        else:
            if tree.root(tree.unpack(hashes.get(batch.batch_no, b""))) != batch.root:
                sentence = f"the rows of {batch.name} do not give its root"
                self.violations[ROWS_GIVE_ROOT].add(sentence)
            await self._check_receipt(batch, position.audit_hashes)
            self._check_event(batch, tallies.get(batch.batch_no, []), position.events)
            if progress.is_followed:
                progress.append(tree.leaf_hash(batch.log_entry))
            if progress.last_time is not None and batch.create_time < progress.last_time:
                self._log_differs(f"{batch.name} is older than the batch before it")
            progress.last_time = batch.create_time
        self._check_head(progress, position)

    async def _check_receipt(self, batch: Batch, audit_hashes: Sequence[bytes]) -> None:
        digest, after = begin_receipt(batch), -1
        refused_count = batch.conflict_count + batch.rejected_count
        try:
            while refused_count:
                page = await batch_store.list_rejections(
                    self._tx, batch.batch_no, after, REJECTIONS_PER_PAGE
                )
                add_rejections(digest, page)
                if len(page) < REJECTIONS_PER_PAGE:
                    break
                after = page[-1].index
        except ValueError:
            self._event_differs(f"the rejections of {batch.name} cannot be read")
            return
        if not audit_hashes:
            self._event_differs(f"{batch.name} has no audit row")
        elif list(audit_hashes) != [digest.digest()]:
            self._event_differs(f"the receipt of {batch.name} is not the one in the audit")

    def _check_event(
        self, batch: Batch, tallies: Sequence[Tally], payloads: Sequence[bytes]
    ) -> None:
        expected = events.order_batch_recorded(batch, tallies)
        if len(payloads) != len(expected):
            self._event_differs(f"{batch.name} has {len(payloads)} events, not {len(expected)}")
            return
        try:
            parts = [events_pb2.OrderBatchRecorded.FromString(payload) for payload in payloads]
        except DecodeError:
            parts = []
        if parts != expected:
            self._event_differs(f"the event of {batch.name} differs from the stored batch")

    def _check_head(self, progress: LogProgress, position: LogPosition) -> None:
        head, size = position.head, position.index + 1
        where = f"the head of {progress.platform} at {size}"
        if head is None:
            self._log_differs(f"{where} is missing")
            return
        if progress.is_followed and head.root != tree.fold(progress.frontier):
            self._log_differs(f"{where} is not the one that its batches give")
        if position.batch is not None and head.create_time != position.batch.create_time:
            self._log_differs(f"{where} has another time than its batch")

    async def _fill_gap(
        self, progress: LogProgress, index: int, *, is_reported: bool = False
    ) -> None:
        """Advance over positions without a batch by the stored nodes of them."""
        start = progress.size
        if not progress.is_followed or start >= index:
            return
        if not is_reported:
            missing = f"batches from {start} to {index - 1}" if index - start > 1 else start
            self._log_differs(f"the log of {progress.platform} lacks the batch at {missing}")
        positions = [(0, leaf) for leaf in range(start, min(index, start + MISSING_BATCHES_MAX))]
        nodes = await log_store.list_nodes(self._tx, progress.platform, positions)
        if len(nodes) < index - start:
            progress.is_followed = False
            return
        for position in positions:
            progress.append(nodes[position])

    async def _compare_nodes(self) -> None:
        """Compare the nodes completed since the last comparison with the stored ones."""
        progress = self._progress
        if progress is None or not progress.nodes:
            return
        stored = await log_store.list_nodes(self._tx, progress.platform, sorted(progress.nodes))
        for (level, index), node in sorted(progress.nodes.items()):
            if stored.get((level, index)) != node:
                where = f"node {level}/{index} of the log of {progress.platform}"
                self._log_differs(f"{where} is not the one that its batches give")
        progress.nodes = {}

    async def _check_end(self) -> None:
        """Compare the end of a log with the stored one, to which its next batch would be added."""
        await self._compare_nodes()
        progress = self._progress
        if progress is None:
            return
        end = self._ends.pop(progress.platform, NO_END)
        if end.size < 0 or not progress.is_followed:
            return
        log = f"the log of {progress.platform}"
        if end.size != progress.size:
            self._log_differs(f"{log} has {progress.size} batches, not {end.size}")
        elif end.frontier != progress.frontier:
            self._log_differs(f"{log} continues from other nodes than its batches give")
        if end.node_count != progress.node_count:
            self._log_differs(f"{log} has {end.node_count} nodes, not {progress.node_count}")

    def _log_differs(self, sentence: str) -> None:
        self.violations[LOG_WITHOUT_GAP].add(sentence)

    def _event_differs(self, sentence: str) -> None:
        self.violations[RECEIPTS_PUBLISHED].add(sentence)
