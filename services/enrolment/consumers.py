"""Enrolment hears nobody: it is where the system begins."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from services.runtime.service.context import Handler

HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {}
