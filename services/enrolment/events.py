"""What enrolment tells: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Sequence

from oip.enrolment.v1 import events_pb2

from services.enrolment.domain import Platform
from services.runtime.rpc.wire import enum_number


def platform_registered(platform: Platform, revision: int) -> events_pb2.PlatformRegistered:
    """A platform was registered."""
    return events_pb2.PlatformRegistered(
        platform=platform.credit_code,
        revision=revision,
        industries=[enum_number(one) for one in platform.industries],
    )


def workers_enrolled(platform: str, workers: Sequence[int]) -> events_pb2.WorkersEnrolled:
    """Workers were enrolled with a platform."""
    return events_pb2.WorkersEnrolled(platform=platform, workers=workers)
