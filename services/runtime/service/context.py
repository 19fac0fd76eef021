"""What a running service has at hand, what a command has at hand, and what a service declares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from services.kernel.periods import civil_day
from services.kernel.workdays import WorkCalendar
from services.runtime.base.clock import Clock
from services.runtime.base.holidays import work_calendar
from services.runtime.rpc.access import caller
from services.runtime.rpc.client import Channels
from services.runtime.storage.crypto import ColumnCipher
from services.runtime.storage.database import Database, Transaction


@dataclass(frozen=True)
class CommandContext:
    """Who acts, when and where: all that a command knows beside its transaction and its input."""

    now: datetime
    # The subject of the caller, or `services/{producer}` for an event.
    actor: str
    # The division code of the province served.
    province: str
    cipher: ColumnCipher
    calendar: WorkCalendar

    @property
    def today(self) -> date:
        """The civil day in Asia/Shanghai."""
        return civil_day(self.now)


@dataclass(frozen=True)
class ServiceContext:
    """One running service. Setting `wake` makes the relay publish what was written."""

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
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    # What the servicers opened; closed once running calls have ended.
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def command(self, actor: str | None = None) -> CommandContext:
        """The context of one command; without an actor it is the caller of the running RPC."""
        return CommandContext(
            now=self.clock.now(),
            actor=caller().subject if actor is None else actor,
            province=self.province,
            cipher=self.cipher,
            calendar=work_calendar(),
        )


# A command for an event: `on_claim_determined(tx, event, context)`.
Handler: TypeAlias = Callable[[Transaction, Any, CommandContext], Awaitable[None]]


@dataclass(frozen=True)
class Check:
    """One invariant, re-computed: its code (`I1`), what it says, whether it holds, the count."""

    invariant: str
    text: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True)
class Invariant:
    """What must hold of a service's rows: a code that no other has, and one sentence."""

    code: str
    text: str

    def check(self, wrong_count: int, counted: str) -> Check:
        """The invariant with the number of rows that break it: `check(0, "bills differ")`."""
        return self.result(holds=wrong_count == 0, detail=f"{wrong_count} {counted}")

    def result(self, *, holds: bool, detail: str) -> Check:
        """The invariant with a detail in words."""
        return Check(self.code, self.text, holds, detail)


Verify: TypeAlias = Callable[[Transaction, ServiceContext], Awaitable[list[Check]]]


@dataclass(frozen=True)
class Service:
    """What a service declares: its servicers, its event handlers, its invariants."""

    name: str
    register: Callable[[grpc.aio.Server, ServiceContext], None]
    # The command for each event consumed; the event's package names the producer.
    handlers: Mapping[type[Message], Handler]
    invariants: tuple[Invariant, ...]
    verify: Verify
    # What it does by itself, once all services consume and until it is cancelled.
    background: Callable[[ServiceContext], Coroutine[Any, Any, None]] | None = None

    @property
    def producers(self) -> tuple[str, ...]:
        """The services whose events it consumes."""
        return tuple(dict.fromkeys(producer_of(message) for message in self.handlers))


def producer_of(message: type[Message]) -> str:
    """The producer of an event: `claims` for `oip.claims.v1.ClaimDetermined`."""
    return str(message.DESCRIPTOR.full_name).split(".")[1]
