"""Events of enrolment: domain values in, event messages out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message
from oip.enrolment.v1 import events_pb2
from oip.type.v1 import type_pb2

from services.enrolment.domain.platforms import RegisteredPlatform, platform_name
from services.runtime.rpc.wire import enum_number
from services.runtime.service.context import Guard
from services.runtime.storage.erasures import Erasure


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


def worker_erased(erasure: Erasure) -> events_pb2.WorkerErased:
    """A worker was erased."""
    return events_pb2.WorkerErased(
        worker=erasure.name,
        code=enum_number(erasure.code),
        document_number=erasure.document_number,
        document_hash=erasure.document_hash,
    )


def _erased(event: events_pb2.WorkerErased) -> str:
    code = type_pb2.ErasureCode.Name(event.code)
    return f"erasure of {event.worker}: {code}, {event.document_number}"


# Lost in a restore, an erasure has to be made again before anything else of the worker.
GUARDS: Mapping[type[Message], Guard] = {events_pb2.WorkerErased: Guard("worker", _erased)}


def month_ended(summary: type_pb2.MonthSummary) -> events_pb2.MonthEnded:
    """A month ended with what the summary counts."""
    return events_pb2.MonthEnded(summary=summary)
