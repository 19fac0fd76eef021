"""Take a batch: judge it in a worker process, then write it and all that stands beside it at once.

One transaction a batch: rows, receipt, rejections, tallies, log, checkpoint, event, audit. The
batches of one platform are written one after the other, because each adds to the platform's log and
because the revisions of an order must meet; different platforms go side by side.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from services.kernel.problems import Kind, Problem
from services.orderlog import tree
from services.orders import events
from services.orders.commands.enrolled import Enrolled, unpacked
from services.orders.commands.gaps import find_gaps
from services.orders.commands.signing import signer_of
from services.orders.commands.workers import WorkerPool
from services.orders.domain.checks import CONFLICTS, Status, rules_at
from services.orders.domain.judging import Rejected, Tally
from services.orders.domain.receipts import receipt_hash
from services.orders.domain.records import Batch
from services.orders.store import intake as store
from services.orders.store import records
from services.runtime.base.failpoints import failpoint
from services.runtime.events import outbox
from services.runtime.rpc.access import caller
from services.runtime.service.context import ServiceContext
from services.runtime.storage import audit
from services.runtime.storage.database import Transaction

# Connections that intake may hold; the rest of the pool answers questions.
WRITERS_MAX = 2
# Batches in memory, of all streams: up to 4 MB as they came and 8 MB as they are written.
PLACES_MAX = 8
NUMBERS_AT_A_TIME = 32


class BatchIdReused(Problem):
    """The batch id was used before for other content."""

    kind, reason = Kind.DIFFERENT_EXISTS, "BATCH_ID_REUSED"
    message = "Batch id {batch_id} was used before with other content; send it under a new id."
    message_zh = "批次编号 {batch_id} 已用于内容不同的批次; 请使用新的编号。"


@dataclass(frozen=True)
class Upload:
    """A batch as it came, unread. `form` is `rows` (an OrderRows) or `arrow` (an IPC stream)."""

    platform: str
    batch_id: str
    form: str
    content: bytes


@dataclass(frozen=True)
class _Judged:
    """What the worker says, and where its bytes are."""

    batch_no: int
    received_count: int
    content_hash: bytes
    rejected: list[Rejected]
    doubled: list[Rejected | None]
    is_first: bool
    row_of: array[int]
    hashes: bytes
    root: bytes
    tallies: list[Tally]
    rows: bytes
    offsets: bytes
    exists_count: int = 0


class Intake:
    """Takes batches for one running service."""

    def __init__(self, context: ServiceContext, pool: WorkerPool) -> None:
        self._context = context
        self._pool = pool
        self._enrolled = Enrolled(context.database)
        self._signer = signer_of(context)
        self._writers = asyncio.Semaphore(WRITERS_MAX)
        # Taken by who reads a stream, in the order of its batches: a batch that waits for the one
        # before it never holds the place that one needs.
        self.places = asyncio.Semaphore(PLACES_MAX)
        self._turn: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers: list[int] = []
        self._meets_held: set[str] = set()

    async def take(self, upload: Upload, before: Awaitable[object] | None = None) -> Batch:
        """Take a batch and give its receipt, which is the first one if it was taken before.

        It is written after `before` is done: batches of a stream are written in the order sent.
        Raises a Problem if the batch as a whole is refused; then nothing is stored.
        """
        held = await self._held(upload)
        if held is not None:
            return held
        judged = await self._judge(upload)
        if before is not None:
            await asyncio.wait([asyncio.ensure_future(before)])
        await failpoint("orders.before_copy")
        batch = await self._write(upload, judged)
        await failpoint("orders.after_commit")
        self._context.wake.set()
        return batch

    async def _held(self, upload: Upload) -> Batch | None:
        """The receipt of a batch taken before; raises BatchIdReused for other content."""
        async with self._context.database.begin(upload.platform) as tx:
            batch = await records.get_batch(tx, upload.platform, upload.batch_id)
        if batch is not None:
            _require_same(batch, await self._hash_of(upload, batch.content_hash))
        return batch

    async def _hash_of(self, upload: Upload, expected: bytes) -> bytes:
        """The content's hash. Rows that are not as expected byte for byte are parsed for it."""
        found = await asyncio.to_thread(lambda: sha256(upload.content).digest())
        if found != expected and upload.form == "rows":
            async with self._pool.worker() as worker:
                _, (found,) = await worker.ask({"ask": "hash"}, upload.content)
        return found

    async def _judge(self, upload: Upload) -> _Judged:
        """Have a worker process judge a batch.

        It is given back while enrolments are waited for, and reads the batch again: a platform's
        unknown workers hold up nobody else.
        """
        batch_no = await self._next_number()
        while True:
            async with self._pool.worker() as worker:
                read, (content_hash, asked) = await worker.ask(
                    {"ask": "read", "form": upload.form, "platform": upload.platform},
                    upload.content,
                )
                strangers = await self._enrolled.strangers(upload.platform, unpacked(asked))
                if not self._enrolled.may_come(upload.platform, strangers):
                    rules = rules_at(self._context.clock.now(), self._context.province)
                    header = {"ask": "judge", "rules": asdict(rules), "batch_no": batch_no}
                    answer, parts = await worker.ask({**header, "not_enrolled": strangers})
                    break
            await self._enrolled.wait_for(upload.platform, strangers)
        root, hashes, row_of, rows, offsets = parts
        return _Judged(
            batch_no=batch_no,
            received_count=read["received_count"],
            content_hash=content_hash,
            rejected=[_rejected(one) for one in answer["rejected"]],
            doubled=[one and _rejected(one) for one in answer["doubled"]],
            is_first=answer["is_first"],
            row_of=array("I", row_of),
            hashes=hashes,
            root=root,
            tallies=[(area, kind, day, count) for area, kind, day, count in answer["tallies"]],
            rows=rows,
            offsets=offsets,
        )

    async def _next_number(self) -> int:
        if not self._numbers:
            async with self._context.database.begin() as tx:
                await store.take_role(tx)
                self._numbers = await store.batch_numbers(tx, NUMBERS_AT_A_TIME)
        return self._numbers.pop(0)

    async def _write(self, upload: Upload, judged: _Judged) -> Batch:
        """Write a batch, straight unless that is known to be in vain.

        A platform whose last batch met held rows is likely to be sending a file again.
        """
        if judged.is_first and upload.platform not in self._meets_held:
            try:
                async with self._transaction(upload.platform) as tx:
                    return await self._record(tx, upload, judged, straight=True)
            except store.AlreadyHeld:
                self._meets_held.add(upload.platform)
        async with self._transaction(upload.platform) as tx:
            batch = await self._record(tx, upload, judged, straight=False)
        if batch.created_count == batch.received_count:
            self._meets_held.discard(upload.platform)
        return batch

    @asynccontextmanager
    async def _transaction(self, platform: str) -> AsyncIterator[Transaction]:
        async with (
            self._turn[platform],
            self._writers,
            self._context.database.begin(platform) as tx,
        ):
            await store.take_role(tx)
            yield tx
            await failpoint("orders.before_commit")

    async def _record(
        self, tx: Transaction, upload: Upload, judged: _Judged, *, straight: bool
    ) -> Batch:
        """Write a judged batch, straight by COPY or through staging."""
        log = await store.lock_log(tx, upload.platform)
        self._signer.require_whole(upload.platform, log)
        held = await records.get_batch(tx, upload.platform, upload.batch_id)
        if held is not None:
            _require_same(held, judged.content_hash)
            return held
        if straight and log.has_headless:
            raise store.AlreadyHeld
        if not judged.hashes:
            pass
        elif straight:
            await store.copy(tx, encoding.copy_parts(judged.rows))
        else:
            judged, is_headless = await self._settle(tx, upload.platform, judged, log)
            log = replace(log, has_headless=log.has_headless or is_headless)
        now = self._context.clock.now()
        # A clock that stepped back does not turn the log: months are stretches of it.
        now = max(now, log.last_time or now)
        batch = _batch(upload, judged, log.size, now)
        await store.insert_batch(tx, batch, judged.tallies)
        await self._append(tx, batch, log, now)
        await outbox.add(tx, events.order_batch_recorded(batch, judged.tallies), now)
        await find_gaps(tx, batch.platform, {day for _, _, day, _ in judged.tallies}, now)
        await audit.append(
            tx,
            now=now,
            actor=caller().subject,
            action="oip.orders.v1.UploadOrders",
            resource=batch.name,
            request_hash=receipt_hash(batch),
        )
        return batch

    async def _settle(
        self, tx: Transaction, platform: str, judged: _Judged, log: store.Log
    ) -> tuple[_Judged, bool]:
        """Compare with what is held, store what is new, and judge the batch anew."""
        await store.stage(tx, encoding.copy_parts(judged.rows))
        simple = judged.is_first and not log.has_headless
        settled = await store.settle(tx, platform, is_first=simple)
        count = len(judged.hashes) // tree.HASH_BYTES
        own, again = settled.verdicts[:count], settled.verdicts[count:]
        new_count = own.count(store.NEW)
        root, hashes, rows = judged.root, judged.hashes, judged.rows
        if not new_count:
            root, hashes, rows = tree.EMPTY_ROOT, b"", b""
        elif new_count < len(settled.verdicts):
            async with self._pool.worker() as worker:
                _, (root, hashes, rows) = await worker.ask(
                    {"ask": "settled", "verdicts": settled.verdicts, "new": store.NEW},
                    judged.hashes,
                    judged.rows,
                    judged.offsets,
                )
        if new_count:
            await store.copy(tx, encoding.copy_parts(rows))
        refused = [
            Rejected(
                judged.row_of[row["leaf_index"]],
                row["order_no"],
                Status.EXISTS_WITH_DIFFERENT_CONTENT
                if str(row["verdict"]) == store.CONFLICT
                else Status.REVISION_OLDER_THAN_HELD,
                "revision",
                row["content"],
            )
            for row in settled.refused
        ]
        # Of an identity that is neither held nor passed, the first row is stored now.
        against_first = [
            one for one, verdict in zip(judged.doubled, again, strict=True) if verdict == store.NEW
        ]
        refused += [one for one in against_first if one is not None]
        settled_batch = replace(
            judged,
            hashes=hashes,
            root=root,
            tallies=settled.tallies,
            exists_count=settled.verdicts.count(store.EXISTS) + against_first.count(None),
            rejected=sorted([*judged.rejected, *refused], key=lambda one: one.index),
        )
        return settled_batch, settled.is_headless

    async def _append(self, tx: Transaction, batch: Batch, log: store.Log, now: datetime) -> None:
        leaf = tree.leaf_hash(batch.log_entry)
        frontier, places = tree.append(log.frontier, log.size, leaf)
        hashes = tree.completed_hashes(log.frontier, places, leaf)
        grown = replace(log, size=log.size + 1, frontier=frontier)
        root = tree.fold(frontier)
        note = self._signer.sign(batch.platform, grown.size, root)
        nodes = list(zip(places, hashes, strict=True))
        checkpoint = {"root": root, "note": note, "now": now}
        await store.append_to_log(tx, batch.platform, grown, nodes, checkpoint)


def _rejected(plain: list[Any]) -> Rejected:
    index, order_no, status, field, content = plain
    return Rejected(index, order_no, Status(status), field, content)


def _require_same(held: Batch, content_hash: bytes) -> None:
    if held.content_hash != content_hash:
        raise BatchIdReused(field="batch_id", batch_id=held.batch_id)


def _batch(upload: Upload, judged: _Judged, log_index: int, now: datetime) -> Batch:
    conflicts = sum(one.status in CONFLICTS for one in judged.rejected)
    return Batch(
        platform=upload.platform,
        batch_id=upload.batch_id,
        batch_no=judged.batch_no,
        log_index=log_index,
        received_count=judged.received_count,
        created_count=len(judged.hashes) // tree.HASH_BYTES,
        exists_count=judged.exists_count,
        conflict_count=conflicts,
        rejected_count=len(judged.rejected) - conflicts,
        rejected_by_reason=_by_reason(judged.rejected),
        root=judged.root,
        content_hash=judged.content_hash,
        create_time=now,
        rejections=judged.rejected,
    )


def _by_reason(rejected: Sequence[Rejected]) -> dict[Status, int]:
    return dict(
        sorted(Counter(one.status for one in rejected if one.status not in CONFLICTS).items())
    )
