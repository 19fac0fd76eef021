"""The staff register consumes no events of its own; the runtime keeps each service's local copy."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {}
