"""Platforms and fictional workers for files of orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.type.v1 import type_pb2

from services.kernel.identifiers import citizen_check
from services.runtime.rpc.client import Channels
from services.runtime.service.stack import Stack

ROWS_PER_REQUEST = 5000


def citizen_number(number: int) -> str:
    """The fictional citizen number of a person, with a correct check character."""
    year, month, day = 1965 + number % 40, 1 + number // 40 % 12, 1 + number // 480 % 28
    body = f"440101{year}{month:02d}{day:02d}{number // 13440 % 1000:03d}"
    return body + citizen_check(body)


async def enrol_hints(stack: Stack, platform: str, hints: Iterable[str]) -> None:
    """Register a platform and enrol these workers with it."""
    rows = [
        pb.EnrolWorkersRequest.Row(worker_number=hint, document_number=citizen_number(number))
        for number, hint in enumerate(sorted(set(hints)))
    ]
    administrator = stack.channels("test", "administrator")
    own = stack.channels("test", "platform", platform=platform)
    try:
        await _stub(administrator).RegisterPlatform(
            pb.RegisterPlatformRequest(
                request_id=f"register-{platform}",
                credit_code=platform,
                display_name=platform,
                industries=[type_pb2.RIDE_HAILING],
            )
        )
        for start in range(0, len(rows), ROWS_PER_REQUEST):
            await _enrol(own, platform, rows[start : start + ROWS_PER_REQUEST], start)
    finally:
        await administrator.close()
        await own.close()


async def _enrol(
    own: Channels, platform: str, rows: Sequence[pb.EnrolWorkersRequest.Row], start: int
) -> None:
    request = pb.EnrolWorkersRequest(
        request_id=f"enrol-{platform}-{start}", platform=f"platforms/{platform}", rows=rows
    )
    answer = await _stub(own).EnrolWorkers(request, timeout=120)
    assert not answer.rejected_count, answer.outcomes[:3]


def _stub(channels: Channels) -> enrolment_pb2_grpc.EnrolmentServiceAsyncStub:
    return channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")
