"""Enrolment consumes no events: the system begins here."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from services.runtime.service.context import Handler

HANDLERS: Mapping[type[Message], Handler] = {}
