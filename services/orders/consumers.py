"""The events that orders consumes, each with its command."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message
from oip.enrolment.v1 import events_pb2

from services.orders.commands.enrolments import on_workers_enrolled
from services.orders.commands.registrations import on_platform_registered
from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {
    events_pb2.PlatformRegistered: on_platform_registered,
    events_pb2.WorkersEnrolled: on_workers_enrolled,
}
