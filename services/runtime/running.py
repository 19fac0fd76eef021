"""What a service has at hand while it runs, and what it says of itself to be run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from services.runtime.channels import Channels
from services.runtime.clock import Clock
from services.runtime.crypto import ColumnCipher
from services.runtime.database import Database, Transaction

Handler: TypeAlias = Callable[[Transaction, Any, datetime], Awaitable[None]]


@dataclass(frozen=True)
class Running:
    """One service, running. `wake` tells the relay that there is something to publish."""

    service: str
    database: Database
    clock: Clock
    cipher: ColumnCipher
    channels: Channels
    # The division code of the province served.
    province: str = "440000"
    # Where files of this deployment lie; in development also the keys it makes for itself.
    state_dir: Path = Path(".local")
    makes_keys: bool = False
    # The key that signs order logs, as set.
    order_log_key_file: Path | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    # What the servicers opened; closed once running calls have ended.
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)


@dataclass(frozen=True)
class Check:
    """One invariant, re-computed: its name (`I1`), what it says, whether it holds, the count."""

    invariant: str
    text: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True)
class Service:
    """What a service says of itself: its servicers, what it hears, how it checks itself."""

    name: str
    register: Callable[[grpc.aio.Server, Running], None]
    listens: Mapping[str, Mapping[type[Message], Handler]]
    verify: Callable[[Transaction], Awaitable[list[Check]]]
    # What it does by itself, once all services listen and until it is cancelled.
    keeps: Callable[[Running], Coroutine[Any, Any, None]] | None = None
    # What can be checked only with what the service has at hand, such as a key.
    verify_with: Callable[[Transaction, Running], Awaitable[list[Check]]] | None = None
