"""The context of a running service, the context of a command, and what a service declares."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
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
    """Who acts, when and where: what a command needs besides its transaction and input."""

    now: datetime
    # The subject of the caller, or `services/{producer}` for an event.
    actor: str
    # The division code of the province.
    province: str
    cipher: ColumnCipher
    calendar: WorkCalendar

    @property
    def today(self) -> date:
        """The civil day in Asia/Shanghai."""
        return civil_day(self.now)


@dataclass(frozen=True)
class ServiceContext:
    """A running service. Setting `wake` makes the relay publish new events at once."""

    service: str
    database: Database
    clock: Clock
    cipher: ColumnCipher
    channels: Channels
    # The division code of the province.
    province: str = "440000"
    # The folder for files of this deployment; in development also for the keys it creates.
    state_dir: Path = Path(".local")
    makes_keys: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    # Resources of the servicers; closed once running calls have ended.
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def command(self, actor: str | None = None) -> CommandContext:
        """The context of one command; the default actor is the caller of the running RPC."""
        return CommandContext(
            now=self.clock.now(),
            actor=caller().subject if actor is None else actor,
            province=self.province,
            cipher=self.cipher,
            calendar=work_calendar(),
        )


# The command for an event: `on_claim_determined(tx, event, context)`.
Handler: TypeAlias = Callable[[Transaction, Any, CommandContext], Awaitable[None]]


@dataclass(frozen=True)
class Check:
    """The result for one invariant: its code (`I1`) and text, whether it holds, and a detail."""

    invariant: str
    text: str
    holds: bool
    detail: str = ""


@dataclass(frozen=True)
class Invariant:
    """A condition on a service's rows: a code that is unique in the system, and one sentence."""

    code: str
    text: str

    def check(self, wrong_count: int, counted: str) -> Check:
        """The result by the number of rows that break the invariant: `check(0, "bills differ")`."""
        return self.result(holds=wrong_count == 0, detail=f"{wrong_count} {counted}")

    def result(self, *, holds: bool, detail: str) -> Check:
        """The result with a detail for people."""
        return Check(self.code, self.text, holds, detail)


class InvariantsNotAnsweredError(RuntimeError):
    """A service's `verify` does not answer each of its invariants exactly once."""

    def __init__(self, service: str, codes: Sequence[str]) -> None:
        super().__init__(
            f"verify of {service} must return one check for each of INVARIANTS; "
            f"missing, doubled or not declared: {', '.join(codes)}"
        )


def require_each_once(
    service: str, invariants: Iterable[Invariant], checks: Iterable[Check]
) -> None:
    """Raise InvariantsNotAnsweredError unless each invariant has exactly one check."""
    declared = Counter(invariant.code for invariant in invariants)
    returned = Counter(check.invariant for check in checks)
    codes = {*declared, *returned}
    wrong = sorted(code for code in codes if not declared[code] == returned[code] == 1)
    if wrong:
        raise InvariantsNotAnsweredError(service, wrong)


Verify: TypeAlias = Callable[[Transaction, ServiceContext], Awaitable[list[Check]]]


@dataclass(frozen=True)
class Service:
    """What a service declares: its servicers, event handlers and invariants."""

    name: str
    register: Callable[[grpc.aio.Server, ServiceContext], None]
    # The command for each event consumed; the package of an event names its producer.
    handlers: Mapping[type[Message], Handler]
    invariants: tuple[Invariant, ...]
    verify: Verify
    # A task of the service; it starts once all services consume and runs until cancelled.
    background: Callable[[ServiceContext], Coroutine[Any, Any, None]] | None = None

    async def checks(self, tx: Transaction, context: ServiceContext) -> list[Check]:
        """The results of `verify`, one for each invariant; raises InvariantsNotAnsweredError."""
        checks = await self.verify(tx, context)
        require_each_once(self.name, self.invariants, checks)
        return checks

    @property
    def producers(self) -> tuple[str, ...]:
        """The services whose events it consumes."""
        return tuple(dict.fromkeys(producer_of(message) for message in self.handlers))


def producer_of(message: type[Message]) -> str:
    """The producer of an event: `claims` for `oip.claims.v1.ClaimDetermined`."""
    return str(message.DESCRIPTOR.full_name).split(".")[1]
