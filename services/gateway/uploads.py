"""Uploads of orders over HTTP: NDJSON or an Arrow stream in, a line for each batch out.

`POST /oip.orders.v1.OrderService/UploadOrders?platform=platforms/{code}&run={name}`. The answer has
a line of JSON for each batch, with its receipt or its refusal, as soon as it is stored. The last
line is `end` with the number of batches, or `error` if the upload stopped there; without either the
answer is not complete. The same body under the same run gets the same receipts.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from google.protobuf import json_format
from google.rpc import status_pb2
from oip.orders.v1 import orders_pb2
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from services.gateway import json_messages
from services.gateway.bodies import Body
from services.gateway.calls import HEADERS, refusal
from services.gateway.errors import error_of, is_fault, language_of, status_of_error
from services.gateway.methods import UPLOAD_PATH
from services.gateway.order_batches import OrderBatch, batches_of_arrow, batches_of_lines
from services.gateway.problems import BodyTooSlow, ContentTypeUnknown, MethodIsPost
from services.gateway.services import PeerPlaces, Places, RefusedPeers, Services, token_in
from services.gateway.settings import GatewaySettings
from services.kernel.problems import Malformed
from services.orderlog.columns import ROWS_MAX, BatchSizeWrong
from services.runtime.base.log import logger
from services.runtime.rpc.access import deadline_cap, rule_of

log = logger("gateway")

NDJSON, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"
KINDS = {NDJSON: batches_of_lines, "application/jsonl": batches_of_lines, ARROW: batches_of_arrow}
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_HEAD = {**HEADERS, "content-type": NDJSON}


class Uploads:
    """The endpoint of uploads, an ASGI application: it answers while the body still comes."""

    def __init__(
        self, services: Services, settings: GatewaySettings, refused: RefusedPeers
    ) -> None:
        self._services = services
        self._settings = settings
        self._places = Places("streams", settings.uploads)
        self._peers = PeerPlaces(settings.uploads_per_peer)
        self._refused = refused
        self._seconds = float(deadline_cap(rule_of(UPLOAD_PATH)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one upload."""
        request = Request(scope, receive)
        body = Body(
            request, self._settings.upload_mebibytes * 1024 * 1024, self._settings.idle_seconds
        )
        writer = _Writer(send, self._settings.idle_seconds)
        language = language_of(request.headers.get("accept-language", ""))
        try:
            with self._peers.place(request):
                await writer.write_all(self._lines(request, body, language))
        except ClientDisconnect:
            return
        except Exception as error:
            if is_fault(error):
                log.exception("upload_failed")
            status = status_of_error(error, "orders", UPLOAD_PATH, self._seconds)
            await asyncio.sleep(self._refused.seconds_to_hold(request, status))
            await body.drain(error)
            if not writer.has_begun:
                await refusal(request, status, closes=body.is_open)(scope, receive, send)
                return
            await writer.end({"error": error_of(status, language)})

    async def _lines(
        self, request: Request, body: Body, language: str
    ) -> AsyncIterator[dict[str, Any]]:
        """The lines of the answer. Raises what stops the upload."""
        batches = _batches_of(request, body)
        token = token_in(request.headers.get("authorization", ""))
        upload = _Upload(batches)
        # The service waits only seconds for the first batch of a stream, and nobody knows before
        # whether the token is good: who has not sent a batch holds none of the places of all.
        await upload.load_first(self._settings.first_batch_seconds)
        with self._places.place():
            stream = self._services.stream(
                UPLOAD_PATH, upload.messages(), token=token, seconds=self._seconds
            )
            try:
                async for content in stream:
                    answer = orders_pb2.UploadOrdersResponse.FromString(content)
                    yield _line(upload.sent.popleft(), answer, language)
            finally:
                stream.cancel()
        if upload.failure is not None:
            raise upload.failure
        yield {"end": {"batchCount": upload.count}}


class _Upload:
    """The batches of one upload on their way: sent, in the order in which answers come."""

    def __init__(self, batches: AsyncIterator[OrderBatch]) -> None:
        self._batches = batches
        self._next: OrderBatch | None = None
        self.sent: deque[OrderBatch] = deque()
        self.count = 0
        self.failure: Exception | None = None

    async def load_first(self, seconds: float) -> None:
        """Wait for the first batch. Raises BodyTooSlow, or BatchSizeWrong for a body without."""
        try:
            async with asyncio.timeout(seconds):
                self._next = await anext(self._batches, None)
        except TimeoutError:
            raise BodyTooSlow(seconds=f"{seconds:g}") from None
        if self._next is None:
            raise BatchSizeWrong(most=ROWS_MAX)

    async def messages(self) -> AsyncIterator[bytes]:
        """The messages of the stream. What the body refuses is raised after the answers."""
        while self._next is not None:
            batch = self._next
            self.sent.append(batch)
            self.count += 1
            yield batch.message
            try:
                self._next = await anext(self._batches, None)
            except Exception as error:  # noqa: BLE001 - gRPC would drop it
                self.failure = error
                return


class _Writer:
    """Writes lines while more are made: a caller may send its whole body before it reads any."""

    def __init__(self, send: Send, idle_seconds: float) -> None:
        self._send = send
        self._idle_seconds = idle_seconds
        self.has_begun = False

    async def write_all(self, lines: AsyncIterator[dict[str, Any]]) -> None:
        """Write all lines and end the answer. Raises what the lines raise, after those before."""
        waiting: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        async def collect() -> None:
            try:
                async with aclosing(lines):  # type: ignore[type-var]
                    async for line in lines:
                        waiting.put_nowait(line)
            finally:
                waiting.put_nowait(None)

        collecting = asyncio.create_task(collect(), name="upload")
        try:
            while (line := await waiting.get()) is not None:
                await self._write(line)
            await collecting
        finally:
            collecting.cancel()
        await self._close()

    async def end(self, line: dict[str, Any]) -> None:
        """Write the last line."""
        await self._write(line)
        await self._close()

    async def _write(self, line: dict[str, Any]) -> None:
        if not self.has_begun:
            self.has_begun = True
            headers = [(name.encode(), value.encode()) for name, value in _HEAD.items()]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        body = json_messages.dump_value(line) + b"\n"
        # A caller that reads nothing for so long ends its upload.
        try:
            async with asyncio.timeout(self._idle_seconds):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            raise ClientDisconnect from None

    async def _close(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _batches_of(request: Request, body: Body) -> AsyncIterator[OrderBatch]:
    """The batches of a request. Raises a Problem for a wrong head."""
    if request.method != "POST":
        raise MethodIsPost(path=UPLOAD_PATH)
    content_type = request.headers.get("content-type", "")
    split = KINDS.get(content_type.partition(";")[0].strip().lower())
    if split is None:
        accepted = f"{NDJSON}, {ARROW}"
        raise ContentTypeUnknown(content_type=content_type[:80] or "-", accepted=accepted)
    query: Mapping[str, str] = request.query_params
    platform, run = query.get("platform", ""), query.get("run", "")
    if not platform.startswith("platforms/"):
        raise Malformed.form("platform", "platforms/{credit_code}")
    if not _RUN.fullmatch(run):
        raise Malformed.of(
            "run",
            "NOT_A_RUN",
            "name the upload with 1 to 40 letters, digits, '.', '_' or '-'",
            "请以 1 至 40 个字母、数字、'.'、'_' 或 '-' 命名本次上传",
        )
    return split(body.pieces(), platform, run)


def _line(
    batch: OrderBatch, answer: orders_pb2.UploadOrdersResponse, language: str
) -> dict[str, Any]:
    line: dict[str, Any] = {"batch": batch.number, "batchId": batch.batch_id}
    if batch.first_row is not None:
        line["firstRow"] = batch.first_row
    if answer.WhichOneof("outcome") == "problem":
        status = status_pb2.Status.FromString(answer.problem.SerializeToString())
        return {**line, "error": error_of(status, language)}
    receipt = json_format.MessageToDict(answer.receipt, always_print_fields_with_no_presence=True)
    return {**line, "receipt": receipt}
