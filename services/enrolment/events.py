"""Events of enrolment: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Sequence

from oip.enrolment.v1 import events_pb2
from oip.type.v1 import type_pb2

from services.enrolment.domain.platforms import RegisteredPlatform, platform_name
from services.runtime.rpc.wire import enum_number


def platform_registered(registered: RegisteredPlatform) -> events_pb2.PlatformRegistered:
    """A platform was registered."""
    platform = registered.platform
    return events_pb2.PlatformRegistered(
        platform=platform.name,
        revision=registered.revision,
        industries=[enum_number(industry.value) for industry in platform.industries],
    )


def workers_enrolled(platform: str, workers: Sequence[int]) -> events_pb2.WorkersEnrolled:
    """Workers, by id, were enrolled with the platform of a credit code."""
    return events_pb2.WorkersEnrolled(platform=platform_name(platform), workers=workers)


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
