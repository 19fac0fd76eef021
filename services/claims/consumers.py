"""Claims has no handlers of its own: it asks enrolment and orders when it needs their answers."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {}
