"""Entrance for events: who is enrolled with a platform."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from google.protobuf.message import Message
from oip.enrolment.v1 import events_pb2

from services.orders.store import enrolled
from services.runtime.service.context import Handler
from services.runtime.storage.database import Transaction


async def workers_enrolled(
    tx: Transaction, event: events_pb2.WorkersEnrolled, _now: datetime
) -> None:
    """Remember who is enrolled; the same again changes nothing, in any order."""
    await enrolled.add_enrolled(tx, event.platform, event.workers)


HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {
    "enrolment": {events_pb2.WorkersEnrolled: workers_enrolled}
}
