"""Platforms and made-up workers for files of orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.type.v1 import type_pb2

from services.kernel.identifiers import citizen_check
from services.runtime.channels import Channels
from services.runtime.stack import Stack

ROWS_PER_REQUEST = 5000


def citizen_number(hint: str) -> str:
    """A made-up citizen number with a right check character, the same for the same worker."""
    digits = int.from_bytes(sha256(hint.encode()).digest()[:8], "big")
    year, month, day = 1965 + digits % 40, 1 + digits // 40 % 12, 1 + digits // 480 % 28
    body = f"44010{digits % 7 + 1}{year}{month:02d}{day:02d}{digits // 13440 % 1000:03d}"
    return body + citizen_check(body)


async def enrol_hints(stack: Stack, platform: str, hints: Iterable[str]) -> None:
    """Register a platform and enrol these workers with it; two that fall on one person are one."""
    people: dict[str, str] = {}
    for hint in sorted(set(hints)):
        people.setdefault(citizen_number(hint), hint)
    rows = [
        pb.EnrolWorkersRequest.Row(worker_number=h, document_number=n) for n, h in people.items()
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
