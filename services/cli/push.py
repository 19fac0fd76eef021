"""A push: the files of one command, sent to the service, with a report on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from rich.console import Console
from rich.table import Table

from services.cli.connection import Connection, sentence_of
from services.cli.output import progress_bars
from services.cli.push_files import (
    Receipt,
    Rejected,
    State,
    harmless,
    rejected_list,
    rejected_path,
    status_name,
)
from services.client.files.mapping import FileMapping
from services.client.files.orders import orders_of
from services.client.files.places import PlaceBy
from services.client.files.summary import FileSummary, PlatformPart, summarise_file
from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import Answer, send_batches
from services.client.upload.workers import look_up_padded, look_up_workers, with_workers

PAGE_SIZE = 1000
COUNTS = ("received", "created", "exists", "conflict", "rejected")


@dataclass
class _File:
    """One file: its parts, its receipts, and the outcome of its rows so far."""

    path: Path
    summary: FileSummary
    state: State
    # Size and modification time when it was read.
    mark: tuple[int, int]
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    # Sentences on what was not sent or refused as a whole; another push may succeed.
    refused: list[str] = field(default_factory=list)

    def add(self, receipt: Receipt) -> None:
        self.counts.update({name: getattr(receipt, name) for name in COUNTS})
        self.reasons.update(receipt.reasons)

    @property
    def is_stored(self) -> bool:
        """Whether the service stores every row."""
        counts = self.counts
        is_taken = not (counts["rejected"] or counts["conflict"] or self.summary.wrong_count)
        return is_taken and not self.refused

    @property
    def was_changed(self) -> bool:
        """Whether somebody changed the file after it was checked."""
        return _mark(self.path) != self.mark


class Push:
    """The files of one command."""

    def __init__(self, connection: Connection, mapping: FileMapping, console: Console) -> None:
        self._connection = connection
        self._mapping = mapping
        self._console = console
        self._files: list[_File] = []

    def add(self, path: Path) -> None:
        """Read and check a file. Raises a Problem or Refused if it cannot be sent."""
        state, mark = State.of(path, self._mapping.digest), _mark(path)
        if state.other_mapping:
            self._say(
                f"The mapping of {path.name} differs from that of the interrupted push: "
                "the whole file is sent again."
            )
        summary = summarise_file(path, self._mapping)
        summary.require_few_wrong(path.name)
        self._files.append(_File(path, summary, state, mark))

    async def send_all(self) -> bool:
        """Send the files one after the other; whether the service now stores every row."""
        for file in self._files:
            if not file.summary.row_count:
                self._say(f"{file.path.name} has no orders; nothing was sent.")
                continue
            file.state.save(file.path)
            with rejected_list(file.path) as rejected, progress_bars(self._console) as bars:
                rejected.write_wrong(file.summary.wrong_rows())
                for platform, part in file.summary.parts.items():
                    if file.was_changed:
                        break
                    bar = bars.add_task(platform, total=part.row_count)
                    async for batch in self._send(file, platform, part, rejected):
                        bars.update(bar, advance=batch.row_count)
            if file.was_changed:
                file.refused.append(f"{file.path.name} was changed while it was sent.")
            file.state.finished = not file.refused
            file.state.save(file.path)
            self._show(file)
        return all(file.is_stored for file in self._files)

    async def _send(
        self, file: _File, platform: str, part: PlatformPart, rejected: Rejected
    ) -> AsyncIterator[Batch]:
        """Send a platform's rows; yields each batch once its refused rows are written."""
        receipts = file.state.done.setdefault(platform, {})
        earlier: list[Batch] = []
        async with self._connection.channels("platform", platform=platform) as channels:
            enrolment = channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
            stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
            known = await look_up_workers(enrolment, platform, part.worker_numbers)
            padded = await look_up_padded(enrolment, platform, part.worker_numbers - known.keys())
            if padded:
                self._say(lost_zeros(padded))
            pieces = orders_of(file.path, self._mapping, platform)
            orders = (with_workers(piece, known) for piece in pieces)
            batches = split_into_batches(orders, f"{file.state.run}-{platform}")
            unsent = _unsent(batches, receipts, earlier)
            async with aclosing(send_batches(stub, platform, unsent)) as answers:
                async for answer in answers:
                    batch = answer.batch
                    if answer.receipt is None:
                        self._refuse(file, platform, answer, rejected)
                    else:
                        receipts[batch.batch_id] = Receipt.of(answer.receipt)
                        file.state.save(file.path)
                        file.add(receipts[batch.batch_id])
                        if receipts[batch.batch_id].refused_count:
                            await _write_rows(stub, platform, batch, rejected)
                    yield batch
            for batch in earlier:
                file.add(receipts[batch.batch_id])
                if receipts[batch.batch_id].refused_count:
                    await _write_rows(stub, platform, batch, rejected)
                yield batch

    def _refuse(self, file: _File, platform: str, answer: Answer, rejected: Rejected) -> None:
        """Write all rows of a batch that was refused as a whole."""
        batch, problem = answer.batch, answer.refusal
        assert problem is not None
        sentence = sentence_of(problem)
        rejected.write(
            (
                row,
                platform,
                batch.batch_id,
                "",
                problem.reason,
                "",
                problem.sentence,
                problem.sentence_zh,
            )
            for row in batch.file_rows
        )
        first, last = batch.file_rows[0], batch.file_rows[-1]
        file.refused.append(
            f"Rows {first:,} to {last:,}, {batch.row_count:,} of {platform}, were refused as a "
            f"whole ({problem.reason}): {sentence}"
        )

    def _show(self, file: _File) -> None:
        table = Table(*COUNTS, title=file.path.name, title_justify="left")
        table.add_row(*(f"{file.counts[name]:,}" for name in COUNTS))
        self._console.print(table)
        for reason, count in sorted(file.reasons.items()):
            self._say(f"  {reason}: {count:,}")
        for sentence in wrong_rows(file.summary):
            self._say(f"  {sentence}")
        by_centre = file.summary.places[PlaceBy.CENTRE]
        if by_centre:
            self._say(placed_by_centre(by_centre))
        for sentence in file.refused:
            self._say(sentence)
        if not file.is_stored:
            self._say(
                f"Rows that were not stored are listed in {rejected_path(file.path).name}, next to "
                "the file."
            )
        if file.refused:
            self._say("Push the file again to send what is missing.")

    def _say(self, sentence: str) -> None:
        self._console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def _mark(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _unsent(
    batches: Iterable[Batch], receipts: Mapping[str, Receipt], earlier: list[Batch]
) -> Iterator[Batch]:
    """The batches without a receipt; the others go to `earlier`, without their content."""
    for batch in batches:
        if batch.batch_id in receipts:
            earlier.append(replace(batch, content=b""))
        else:
            yield batch


async def _write_rows(
    stub: orders_pb2_grpc.OrderServiceAsyncStub, platform: str, batch: Batch, rejected: Rejected
) -> None:
    """Write the refused rows of a batch that was stored."""
    token: str | None = ""
    while token is not None:
        answer = await stub.ListOrderRejections(
            orders_pb2.ListOrderRejectionsRequest(
                order_batch=f"platforms/{platform}/orderBatches/{batch.batch_id}",
                page_size=PAGE_SIZE,
                page_token=token,
            )
        )
        rejected.write(
            (
                batch.file_rows[rejection.index],
                platform,
                batch.batch_id,
                harmless(rejection.order_no),
                status_name(rejection.status),
                rejection.field,
                rejection.text,
                rejection.text_zh,
            )
            for rejection in answer.rejections
        )
        token = answer.next_page_token or None


def wrong_rows(summary: FileSummary) -> list[str]:
    """How many rows of the file are wrong, by fault and field; they are never sent."""
    return [
        f"{fault.name}{f' ({field})' if field else ''}: {count:,}"
        for (fault, field), count in sorted(summary.faults.items())
    ]


def placed_by_centre(count: int) -> str:
    """The sentence on orders whose pooling area is a guess."""
    return (
        f"{count:,} orders have their pooling area from the nearest centre, which may be the wrong "
        "one; name division codes or polygons in the mapping."
    )


def lost_zeros(padded: Mapping[str, str]) -> str:
    """The sentence on worker numbers that are enrolled with more zeros."""
    some = ", ".join(f"{number} ({enrolled})" for number, enrolled in list(padded.items())[:3])
    return (
        f"Workers are not enrolled as the file writes them, but with leading zeros: {some}; a "
        "spreadsheet dropped the zeros: export the file from its source as text."
    )
