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
from oip.staff.v1.events_pb2 import StaffChanged
from oip.type.v1 import type_pb2

from services.kernel.lawbook import Law
from services.kernel.periods import Month, civil_day
from services.kernel.workdays import WorkCalendar
from services.runtime.base.clock import Clock
from services.runtime.base.holidays import work_calendar
from services.runtime.base.tenant_limits import Limits
from services.runtime.events.envelope import Envelope
from services.runtime.rpc.access import Caller, caller
from services.runtime.rpc.client import Channels
from services.runtime.service.erasures import (
    Erasing,
    events_of_erased_keys,
    on_data_key_erased,
)
from services.runtime.service.staff_copy import STAFF, on_staff_changed
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
    # The person who acts: `staffMembers/{id}`, or the worker whom an agent outside the register
    # speaks for; empty for services and events.
    member: str = ""
    # The member, if one acts in a role of the staff register.
    official: str = ""
    # The account of the caller with its issuer; empty for events.
    account: str = ""
    # Money moves only on what the province has confirmed; see confirmations.py.
    in_production: bool = False
    # The event that is being consumed; None in an RPC.
    envelope: Envelope | None = None

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
    in_production: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    limits: Limits = field(default_factory=Limits)
    # Where probes are answered, `host:port`, once the service listens.
    health_address: Callable[[], str] = lambda: ""
    # Drops what this process keeps in memory of the staff register.
    forget_staff: Callable[[], None] = lambda: None
    # Resources of the servicers; closed once running calls have ended.
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def command(self, actor: str | None = None, envelope: Envelope | None = None) -> CommandContext:
        """The context of one command; the default actor is the caller of the running RPC."""
        who = caller() if actor is None else Caller(actor, frozenset())
        return CommandContext(
            now=self.clock.now(),
            actor=who.subject,
            member=who.actor,
            official=who.official,
            account=who.account if actor is None else "",
            in_production=self.in_production,
            province=self.province,
            cipher=self.cipher,
            calendar=work_calendar(),
            envelope=envelope,
        )


async def month_over(_tx: Transaction, current: Month) -> Month:
    """The last month that is over, for a service that waits for nothing but the clock."""
    return current.plus(-1)


@dataclass(frozen=True)
class MonthEnd:
    """How a service ends its months.

    `event` makes its MonthEnded; `latest(tx, current)` is the last month that it may end while
    `current` is the month of the clock, None if there is none yet.
    """

    event: Callable[[type_pb2.MonthSummary], Message]
    latest: Callable[[Transaction, Month], Awaitable[Month | None]] = month_over


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
class Guard:
    """An event that moves money or decides: lost in a restore, it blocks others of its type.

    `scope_field` is the field that bounds what is blocked, for example `claim`; empty for the whole
    type. `summary(message)` says what the event is about, without personal data.
    """

    scope_field: str
    summary: Callable[[Any], str]


@dataclass(frozen=True)
class Figure:
    """A count and a sum that another service must hold as well, for `oip verify`."""

    check: str
    key: str
    count: int
    sum: str


# The figures of a service from a month on, by check and key.
Figures: TypeAlias = Callable[[Transaction, Month], Awaitable[list[Figure]]]


@dataclass(frozen=True)
class Service:
    """What a service declares: its servicers, event handlers and invariants."""

    name: str
    register: Callable[[grpc.aio.Server, ServiceContext], None]
    # The command for each event that this service consumes besides those of every service; the
    # package of an event names its producer.
    handlers: Mapping[type[Message], Handler]
    invariants: tuple[Invariant, ...]
    verify: Verify
    # A task of the service; it starts once all services consume and runs until cancelled.
    background: Callable[[ServiceContext], Coroutine[Any, Any, None]] | None = None
    # The events whose repetition after a restore would pay or decide twice.
    guards: Mapping[type[Message], Guard] = field(default_factory=dict)
    figures: Figures | None = None
    # Set for a service whose months the fund waits for.
    month_end: MonthEnd | None = None
    # Set for a service that holds data of workers.
    erasing: Erasing | None = None
    # The parameters it reads; what the province lacks of them is named when the service starts.
    law: Law | None = None

    async def checks(self, tx: Transaction, context: ServiceContext) -> list[Check]:
        """The results of `verify`, one for each invariant; raises InvariantsNotAnsweredError."""
        checks = await self.verify(tx, context)
        require_each_once(self.name, self.invariants, checks)
        return checks

    @property
    def all_guards(self) -> Mapping[type[Message], Guard]:
        """Its guards, and that of MonthEnded: a month may not end again with other counts."""
        if self.month_end is None:
            return self.guards
        month_ended = type(self.month_end.event(type_pb2.MonthSummary()))
        return {**self.guards, month_ended: Guard("", _month_summary)}

    @property
    def consumed(self) -> Mapping[type[Message], Handler]:
        """Its handlers, and those of every service.

        Each keeps a copy of the staff register. One that holds data of workers erases them, and one
        that gets data keys of a producer drops those that were destroyed.
        """
        common: dict[type[Message], Handler] = dict.fromkeys(
            events_of_erased_keys(self.handlers), on_data_key_erased
        )
        if self.erasing is not None:
            common[self.erasing.trigger] = self.erasing.on_worker_erased
        if self.name != STAFF:
            common[StaffChanged] = on_staff_changed
        return {**self.handlers, **common}

    @property
    def producers(self) -> tuple[str, ...]:
        """The services whose events it consumes."""
        return tuple(dict.fromkeys(producer_of(message) for message in self.consumed))


def _month_summary(event: Any) -> str:
    return f"end of {event.summary.month.year}-{event.summary.month.month:02}"


def producer_of(message: type[Message]) -> str:
    """The producer of an event: `claims` for `oip.claims.v1.ClaimDetermined`."""
    return str(message.DESCRIPTOR.full_name).split(".")[1]
