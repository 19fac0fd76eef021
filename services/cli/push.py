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

from services.cli.connection import Connection, sentence_of
from services.cli.output import print_sentence, progress_bars
from services.cli.push_files import (
    Receipt,
    Rejected,
    State,
    harmless,
    rejected_list,
    rejected_path,
    status_name,
)
from services.cli.tables import show_rows
from services.cli.values import count_value, text_value
from services.cli.view import Format, say, view
from services.client.files.mapping import FileMapping
from services.client.files.orders import orders_of
from services.client.files.places import PlaceBy
from services.client.files.regular_files import refuse_other_files
from services.client.files.summary import FileSummary, PlatformPart, summarise_file
from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import Answer, send_batches
from services.client.upload.workers import look_up_padded, look_up_workers, with_workers
from services.kernel.phrases import FieldPath, Language, label

PAGE_SIZE = 1000
STATUS = "oip.orders.v1.OrderRejection.Status"
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
        refuse_other_files(path)
        state, mark = State.of(path, self._mapping.digest), _mark(path)
        if state.other_mapping:
            self._say(
                f"The mapping of {path.name} differs from that of the interrupted push: "
                "the whole file is sent again.",
                f"{path.name} 的映射文件与中断的推送不同: 将重新发送整个文件。",
            )
        summary = summarise_file(path, self._mapping)
        summary.require_few_wrong(path.name)
        self._files.append(_File(path, summary, state, mark))

    async def send_all(self) -> bool:
        """Send the files one after the other; whether the service now stores every row."""
        for file in self._files:
            if not file.summary.row_count:
                self._say(
                    f"{file.path.name} has no orders; nothing was sent.",
                    f"{file.path.name} 没有订单; 未发送任何内容。",
                )
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
                file.refused.append(
                    say(
                        f"{file.path.name} was changed while it was sent.",
                        f"{file.path.name} 在发送期间发生了变化。",
                    )
                )
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
                self._print(lost_zeros(padded))
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
            say(
                f"Rows {first:,} to {last:,}, {batch.row_count:,} of {platform}, were refused as a "
                f"whole ({problem.reason}): {sentence}",
                f"第 {first:,} 至 {last:,} 行 ({platform} 共 {batch.row_count:,} 行) 被整批拒收 "
                f"({problem.reason}): {sentence}",
            )
        )

    def _show(self, file: _File) -> None:
        self._print(file.path.name)
        counts = {f"{name}_count": count_value(file.counts[name]) for name in COUNTS}
        row = {"file": text_value(file.path.name), **counts}
        show_rows([row], [*counts] if view().format is Format.TABLE else [*row])
        for reason, count in sorted(file.reasons.items()):
            title = label(STATUS, reason).zh
            self._print(say(f"  {reason}: {count:,}", f"  {title}(`{reason}`): {count:,}"))
        for sentence in wrong_rows(file.summary):
            self._print(f"  {sentence}")
        by_centre = file.summary.places[PlaceBy.CENTRE]
        if by_centre:
            self._print(placed_by_centre(by_centre))
        for sentence in file.refused:
            self._print(sentence)
        if not file.is_stored:
            self._say(
                f"Rows that were not stored are listed in {rejected_path(file.path).name}, next to "
                "the file.",
                f"未存入的行列于 {rejected_path(file.path).name}, 与该文件在同一文件夹。",
            )
        if file.refused:
            self._say(
                "Push the file again to send what is missing.", "请重新推送该文件以补发所缺内容。"
            )

    def _say(self, en: str, zh: str) -> None:
        self._print(say(en, zh))

    def _print(self, sentence: str) -> None:
        print_sentence(self._console, sentence)


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
        say(
            f"{fault.name}{f' ({field})' if field else ''}: {count:,}",
            f"{FieldPath(field).text(Language.ZH)} `{fault.name}`: {count:,}".lstrip(),
        )
        for (fault, field), count in sorted(summary.faults.items())
    ]


def placed_by_centre(count: int) -> str:
    """The sentence on orders whose pooling area is a guess."""
    return say(
        f"{count:,} orders have their pooling area from the nearest centre, which may be the wrong "
        "one; name division codes or polygons in the mapping.",
        f"{count:,} 个订单的统筹地区取自最近的中心点, 可能有误; "
        "请在映射文件中使用行政区划代码或多边形。",
    )


def lost_zeros(padded: Mapping[str, str]) -> str:
    """The sentence on worker numbers that are enrolled with more zeros."""
    some = ", ".join(f"{number} ({enrolled})" for number, enrolled in list(padded.items())[:3])
    return say(
        f"Workers are not enrolled as the file writes them, but with leading zeros: {some}; a "
        "spreadsheet dropped the zeros: export the file from its source as text.",
        f"文件中的人员编号缺少登记时的前导零: {some}; 前导零已被电子表格删除: "
        "请从来源系统以文本格式重新导出。",
    )
