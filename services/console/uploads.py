"""Uploaded files of orders: kept for an hour in a folder of the process, mapped, and sent.

A process that ends drops them, and the platform sends the file again: what the service has stored
by then counts as existing. With several replicas the load balancer keeps a browser at one of them.
"""

from __future__ import annotations

import asyncio
import csv
import re
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc
from starlette.datastructures import UploadFile

from services.client.files.mapping import FileMapping, parse_mapping
from services.client.files.order_files import Proposal, propose_mapping
from services.client.files.orders import orders_of
from services.client.files.remarks import Remark
from services.client.files.summary import FileSummary, summarise_file
from services.client.upload.batches import Batch, split_into_batches
from services.client.upload.stream import send_batches
from services.client.upload.workers import look_up_workers, with_workers
from services.console.backend import refusal_of
from services.console.security import BodyTooLargeError
from services.console.texts import Text
from services.kernel.problems import Problem
from services.runtime.base.log import logger
from services.runtime.rpc.client import RemoteProblem

log = logger("console")

KEPT = timedelta(hours=1)
# What a file may become when it is unpacked into batches.
CONTENT_BYTES_MAX = 512 * 1024 * 1024
ROWS_SHOWN = 200
PIECE_BYTES = 1 << 20
COUNTS = ("received", "created", "exists", "conflict", "rejected")
HEADER = ("file_row", "order_no", "status", "field", "text", "text_zh")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}(\.gz)?$", re.ASCII)
_PLACE = re.compile(r'^place = \{ (adcode = (?:"[^"]*"|\{[^}]*\})), .*\}$', re.MULTILINE)
_OWN = 'platform = { constant = "" }  # FILL IN: your credit code'


class UploadsFullError(Exception):
    """As many files are being sent as the settings allow."""


class ContentTooLargeError(Exception):
    """The file becomes too large when it is unpacked."""


@dataclass(frozen=True)
class RefusedRow:
    """A row that is not stored, and why."""

    row: int
    order_no: str
    status: str
    field: str
    text: str
    text_zh: str


@dataclass
class Upload:
    """A file on its way: who sent it, how it is read, and what became of its rows."""

    id: str
    owner: tuple[str, str]
    path: Path
    name: str
    size: int
    begun: datetime
    mapping_text: str = ""
    missing: tuple[Remark, ...] = ()
    guessed: tuple[Remark, ...] = ()
    state: str = "mapping"
    mapping: FileMapping | None = None
    summary: FileSummary | None = None
    sent_count: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    batches: list[str] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    refused_count: int = 0
    failure: Text | None = None
    task: asyncio.Task[None] | None = None

    @property
    def row_count(self) -> int:
        """The rows of the file that are the platform's orders."""
        part = self.summary.parts.get(self.owner[1]) if self.summary else None
        return part.row_count if part else 0

    @property
    def percent(self) -> int:
        """How much of it is sent."""
        return 100 * self.sent_count // self.row_count if self.row_count else 0

    @property
    def refused_path(self) -> Path:
        """The list of all rows that are not stored."""
        return self.path.with_name("refused.csv")


class Uploads:
    """The uploads of this process."""

    def __init__(self, at_once: int, mebibytes: int) -> None:
        self._at_once = at_once
        self._mebibytes = mebibytes
        self._by_id: dict[str, Upload] = {}
        self._folder: Path | None = None

    def find(self, key: str, owner: tuple[str, str]) -> Upload | None:
        """An upload of this owner; nobody sees another's."""
        upload = self._by_id.get(key)
        return upload if upload is not None and upload.owner == owner else None

    def of(self, owner: tuple[str, str]) -> list[Upload]:
        """The uploads of an owner, newest first."""
        own = [upload for upload in self._by_id.values() if upload.owner == owner]
        return sorted(own, key=lambda upload: upload.begun, reverse=True)

    async def take(self, file: UploadFile, owner: tuple[str, str], now: datetime) -> Upload:
        """Store a file and propose how it is read.

        Raises OrderFileUnreadable, and BodyTooLargeError for a file above the size.
        """
        if (file.size or 0) > self._mebibytes * 1024 * 1024:
            raise BodyTooLargeError(self._mebibytes)
        self._drop_old(now)
        key = secrets.token_hex(8)
        folder = self._root() / key
        folder.mkdir(mode=0o700)
        suffix = _SUFFIX.search(file.filename or "")
        path = folder / f"orders{suffix[0].lower() if suffix else ''}"
        upload = Upload(key, owner, path, (file.filename or "")[-120:], file.size or 0, now)
        try:
            await _store(file, path)
            proposal = await asyncio.to_thread(propose_mapping, path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _propose(upload, proposal)
        self._by_id[key] = upload
        return upload

    def begin(self, upload: Upload, backend: Any, token: str) -> None:
        """Send an upload in the background. Raises UploadsFullError."""
        running = sum(each.state == "sending" for each in self._by_id.values())
        if running >= self._at_once:
            raise UploadsFullError
        upload.state = "sending"
        upload.task = asyncio.create_task(_send(upload, backend, token), name="upload of orders")

    async def close(self) -> None:
        """End what runs and remove all files."""
        for upload in self._by_id.values():
            if upload.task is not None:
                upload.task.cancel()
        tasks = [each.task for each in self._by_id.values() if each.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _root(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="oip-console-"))
        return self._folder

    def _drop_old(self, now: datetime) -> None:
        for key, upload in list(self._by_id.items()):
            if upload.begun + KEPT < now and upload.state != "sending":
                shutil.rmtree(upload.path.parent, ignore_errors=True)
                del self._by_id[key]


async def _store(file: UploadFile, path: Path) -> None:
    with path.open("wb") as sink:
        while piece := await file.read(PIECE_BYTES):
            sink.write(piece)


def _propose(upload: Upload, proposal: Proposal) -> None:
    """The proposal, with what the console knows filled in: whose file it is."""
    own = f'platform = {{ constant = "{upload.owner[1]}" }}'
    upload.mapping_text = _by_code(proposal.text.replace(_OWN, own))
    upload.missing = tuple(lack for lack in proposal.missing if not lack.en.startswith("platform:"))
    upload.guessed = tuple(proposal.guessed)


def _by_code(text: str) -> str:
    """Where a column has the code of the place, coordinates are left out: they need polygons."""
    if not _PLACE.search(text):
        return text
    return _PLACE.sub(r"place = { \1 }", text).partition("\n[places]")[0] + "\n"


async def review(upload: Upload, text: str) -> None:
    """Read the whole file with a mapping, and count. Raises a Problem that says what is wrong."""
    upload.mapping_text = text
    upload.mapping = parse_mapping(text, upload.path.with_name("mapping.toml"))
    upload.summary = await asyncio.to_thread(summarise_file, upload.path, upload.mapping)
    upload.summary.require_few_wrong(upload.name)
    upload.state = "checked"


async def _send(upload: Upload, backend: Any, token: str) -> None:
    """Send the rows of the owner, and note what became of them."""
    try:
        await _send_all(upload, backend, token)
        upload.state = "done"
    except asyncio.CancelledError:
        raise
    except ContentTooLargeError:
        upload.failure = (
            "The file is too large when unpacked; split it.",
            "文件解压后过大，请拆分后再上传。",
        )
    except Problem as problem:
        upload.failure = (problem.sentence, problem.sentence_zh)
    except RemoteProblem as problem:
        upload.failure = (problem.sentence, problem.sentence_zh)
    except grpc.RpcError as error:
        refusal = refusal_of(error)
        upload.failure = (refusal.sentence, refusal.sentence_zh)
    except Exception:
        log.exception("upload_failed", upload=upload.id)
        upload.failure = ("Something went wrong; send the file again.", "系统出错，请重新上传。")
    if upload.failure is not None:
        upload.state = "failed"


async def _send_all(upload: Upload, backend: Any, token: str) -> None:
    assert upload.mapping is not None
    assert upload.summary is not None
    platform = upload.owner[1]
    enrolment = backend.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment", token)
    orders = backend.stub(orders_pb2_grpc.OrderServiceStub, "orders", token)
    part = upload.summary.parts.get(platform)
    with upload.refused_path.open("w", encoding="utf-8-sig", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(HEADER)
        for row in upload.summary.wrong_rows():
            wrong = (row.row, row.order_no, row.fault.name, row.field)
            _refuse(upload, writer, RefusedRow(*wrong, row.sentence, row.sentence_zh))
        if part is None:
            return
        known = await look_up_workers(enrolment, platform, part.worker_numbers)
        batches = await asyncio.to_thread(_prepare, upload, platform, known)
        async with aclosing(send_batches(orders, platform, _stored(upload, batches))) as answers:
            async for answer in answers:
                if answer.receipt is None:
                    assert answer.refusal is not None
                    raise answer.refusal
                await _note(upload, orders, answer.batch, answer.receipt, writer)


def _prepare(upload: Upload, platform: str, known: dict[str, int]) -> list[Batch]:
    """Split the file into batches on disk, so that sending them waits for no reader."""
    assert upload.mapping is not None
    pieces = orders_of(upload.path, upload.mapping, platform)
    tables = (with_workers(piece, known) for piece in pieces)
    batches, total = [], 0
    for batch in split_into_batches(tables, f"page-{upload.id}"):
        total += len(batch.content)
        if total > CONTENT_BYTES_MAX:
            raise ContentTooLargeError
        (upload.path.parent / batch.batch_id).write_bytes(batch.content)
        batches.append(replace(batch, content=b""))
    return batches


def _stored(upload: Upload, batches: list[Batch]) -> Iterator[Batch]:
    for batch in batches:
        path = upload.path.parent / batch.batch_id
        yield replace(batch, content=path.read_bytes())
        path.unlink()


async def _note(
    upload: Upload, stub: Any, batch: Batch, receipt: orders_pb2.OrderBatch, writer: Any
) -> None:
    upload.sent_count += batch.row_count
    upload.batches.append(receipt.name)
    upload.counts.update({name: getattr(receipt, f"{name}_count") for name in COUNTS})
    token: str | None = "" if receipt.rejected_count or receipt.conflict_count else None
    while token is not None:
        answer = await stub.ListOrderRejections(
            orders_pb2.ListOrderRejectionsRequest(
                order_batch=receipt.name, page_size=1000, page_token=token
            )
        )
        for each in answer.rejections:
            status = orders_pb2.OrderRejection.Status.Name(each.status)
            row = (batch.file_rows[each.index], each.order_no, status, each.field)
            _refuse(upload, writer, RefusedRow(*row, each.text, each.text_zh))
        token = answer.next_page_token or None


def _refuse(upload: Upload, writer: Any, row: RefusedRow) -> None:
    cells = (row.row, row.order_no, row.status, row.field, row.text, row.text_zh)
    writer.writerow(_harmless(cell) for cell in cells)
    upload.refused_count += 1
    if len(upload.refused) < ROWS_SHOWN:
        upload.refused.append(row)


def _harmless(cell: object) -> object:
    text = str(cell)
    return f"'{text}" if text.startswith(tuple("=+-@\t\r")) else cell
