"""Requests as domain values. Everything raises Malformed, or NotFound for foreign resources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from oip.orders.v1 import orders_pb2

from services.kernel import names
from services.kernel.problems import GivenTwice, Malformed, NotFound
from services.orders.domain.batches import Upload
from services.orders.domain.gaps import Line
from services.runtime.rpc.access import caller

WORKER_MAX = 2**63 - 1
HOLDERS = ("claims/", "accidentReports/")
# Pieces that one field may arrive in; every library writes it in one.
PIECES_MAX = 1000
_BATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def own_platform(name: str) -> str:
    """The credit code in a platform's name; a platform may only name itself."""
    (code,) = names.parse(name, "platforms", field="platform")
    caller().require_platform(code)
    return code


def optional_platform(name: str) -> str:
    """The platform of a filter; a platform that names none filters by itself."""
    if name:
        return own_platform(name)
    return caller().platform if caller().is_platform else ""


def worker(name: str) -> int:
    """The number in a worker's name."""
    (text,) = names.parse(name, "workers", field="worker")
    if not text.isascii() or not text.isdigit() or int(text) > WORKER_MAX:
        raise Malformed.form("worker", "workers/{id}")
    return int(text)


def batch_name(text: str, field: str) -> tuple[str, str]:
    """Platform and id in a batch's name; NotFound for another platform's."""
    platform, batch_id = names.parse(text, "platforms", "orderBatches", field=field)
    if caller().is_platform and caller().platform != platform:
        raise NotFound(name=text)
    return platform, batch_id


def margin(duration: Duration) -> timedelta:
    """How far outside an order a moment may lie."""
    return timedelta(seconds=duration.seconds, microseconds=duration.nanos // 1000)


def holder(name: str) -> str:
    """The claim or accident report that needs records."""
    if not name.startswith(HOLDERS):
        raise Malformed.form("holder", "claims/{id}, accidentReports/{id}")
    return name


def total_lines(tallies: Sequence[orders_pb2.OrderTally]) -> dict[Line, int]:
    """Declared counts by pooling area and industry."""
    lines: dict[Line, int] = {}
    for index, tally in enumerate(tallies):
        line = (_pooling_area(tally.pooling_area, index), int(tally.industry))
        if line in lines:
            raise GivenTwice.of(f"tallies[{index}]")
        lines[line] = tally.order_count
    return lines


def upload(request: orders_pb2.UploadOrdersEnvelope) -> Upload:
    """A batch whose rows are still bytes."""
    if not _BATCH_ID.fullmatch(request.batch_id):
        raise Malformed.of(
            "batch_id",
            "WRONG_BATCH_ID",
            "choose 1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit",
            "请使用 1 至 63 个字母、数字、'.'、'_' 或 '-', 以字母或数字开头",
        )
    platform = own_platform(request.platform)
    piece_count, has_arrow = len(request.rows), request.HasField("arrow_ipc")
    if bool(piece_count) == has_arrow or piece_count > PIECES_MAX:
        raise Malformed.of(
            "content",
            "ONE_CONTENT",
            "send one of {fields}, and once",
            "请只发送以下之一, 且只发送一次: {fields}",
            fields=("rows", "arrow_ipc"),
        )
    if has_arrow:
        return Upload(platform, request.batch_id, "arrow", request.arrow_ipc)
    return Upload(platform, request.batch_id, "rows", b"".join(request.rows))


def _pooling_area(code: str, index: int) -> int:
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        raise Malformed.of(
            f"tallies[{index}].pooling_area",
            "NOT_A_DIVISION",
            "write a division code of six digits, such as 440106",
            "请填写六位行政区划代码, 如 440106",
        )
    return int(code)
