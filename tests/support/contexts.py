"""Contexts for tests that call commands on a database, without a running service."""

from __future__ import annotations

import secrets
from datetime import datetime

from services.runtime.base.clock import SetClock
from services.runtime.rpc.client import Channels
from services.runtime.service.context import ServiceContext
from services.runtime.storage.crypto import ColumnCipher, DataKey
from services.runtime.storage.database import Database
from services.runtime.storage.key_file import Keys


def service_context(database: Database, now: datetime) -> ServiceContext:
    """A service on this database that can reach no other; `.command(actor)` is its commands'."""
    keys = Keys({"test": secrets.token_bytes(32)}, "test", secrets.token_bytes(32))
    return ServiceContext(
        service=database.service,
        database=database,
        clock=SetClock(now),
        cipher=ColumnCipher(keys, DataKey.random()),
        channels=Channels({}, str),
    )
