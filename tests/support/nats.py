"""The users of a nats-server in tests: those of a deployment, and the toy services."""

from __future__ import annotations

from services.runtime.base.nats_users import nats_users

NATS_USERS = (*nats_users(), "toy", "echo", "drum")
