"""Claims hear nobody: what they need they ask for."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.message import Message

from services.runtime.service.context import Handler

HANDLERS: Mapping[str, Mapping[type[Message], Handler]] = {}
