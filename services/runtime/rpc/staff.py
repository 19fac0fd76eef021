"""Who calls: what the token says and, for persons, what the staff register allows.

Every service has a local copy of the register (storage/staff_copy.py). An entry is kept in memory
for two seconds, or until this process consumes a change; what would refuse a call is read first.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Protocol

from oip.staff.v1 import events_pb2
from oip.type.v1 import type_pb2

from services.kernel.periods import civil_day
from services.kernel.phrases import Phrase
from services.kernel.problems import Forbidden
from services.runtime.rpc.access import (
    OUTSIDE_REGISTER,
    PLATFORM_ROLES,
    Caller,
    NotInStaffRegister,
    Unauthenticated,
    reaches,
    require_role,
    role_name,
)
from services.runtime.rpc.access_reasons import without_platform
from services.runtime.rpc.error_status import is_unavailable
from services.runtime.rpc.wire import date_from_wire
from services.runtime.storage import staff_copy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from oip.staff.v1 import staff_pb2

    from services.runtime.rpc.tokens import Token, Verifier
    from services.runtime.storage.database import Database

ENTRY_SECONDS = 2.0
ENTRIES_MAX = 10_000
# How long a read may take where an entry is known, and how old that may be during an outage.
PATIENCE_SECONDS = 1.0
OUTAGE_SECONDS = 600.0


@dataclass(frozen=True)
class Days:
    """Days from the first to the last, both included; without a last one they do not end."""

    from_date: date
    until_date: date | None = None

    def include(self, day: date) -> bool:
        """Whether a day is one of them."""
        return self.from_date <= day and (self.until_date is None or day <= self.until_date)


@dataclass(frozen=True)
class Grant:
    """A grant of a role as the local copy has it; `platform` is a credit code."""

    role: int
    areas: frozenset[str]
    platform: str
    day_limit_fen: int
    days: Days


@dataclass(frozen=True)
class StaffEntry:
    """A person of the staff register as the local copy has it."""

    member: str
    grants: tuple[Grant, ...]
    absences: tuple[Days, ...]
    tokens_not_before: datetime | None

    @classmethod
    def parse(cls, content: bytes) -> StaffEntry:
        """The entry in a StaffChanged message."""
        message = events_pb2.StaffChanged.FromString(content)
        ended = message.HasField("tokens_not_before")
        return cls(
            message.member,
            tuple(_grant_of(grant) for grant in message.grants),
            tuple(_days_of(absence) for absence in message.absences),
            message.tokens_not_before.ToDatetime(UTC) if ended else None,
        )


class Register(Protocol):
    """The entries of the staff register by account."""

    def cached(self, issuer: str, subject: str) -> StaffEntry | None:
        """The entry if it was read a moment ago."""

    async def read(self, issuer: str, subject: str) -> StaffEntry | None:
        """The entry as stored now; None without one."""

    async def member_of(self, issuer: str, subject: str) -> str:
        """The person with an account, as read within two seconds; empty for none."""


class StaffRegister:
    """The register as the local copy of one service has it."""

    def __init__(self, database: Database, seconds: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._seconds = seconds
        self._entries: dict[tuple[str, str], tuple[float, StaffEntry]] = {}
        # Until when accounts of workers' agents are known to be in no entry.
        self._outside: dict[tuple[str, str], float] = {}
        # Counts the changes, so that what was read before one is not kept after it.
        self._generation = 0

    def cached(self, issuer: str, subject: str) -> StaffEntry | None:
        """The entry if it was read within two seconds and nothing has changed since."""
        end, entry = self._entries.get((issuer, subject), (0.0, None))
        return entry if self._seconds() < end else None

    async def read(self, issuer: str, subject: str) -> StaffEntry | None:
        """The entry as stored now, or as read last while the database does not answer."""
        generation, end = self._generation, self._seconds() + ENTRY_SECONDS
        known_end, known = self._entries.get((issuer, subject), (0.0, None))
        usable = known if self._seconds() < known_end + OUTAGE_SECONDS else None
        try:
            patience = asyncio.timeout(None if usable is None else PATIENCE_SECONDS)
            async with patience, self._database.read() as tx:
                content = await staff_copy.find(tx, issuer, subject)
        except Exception as error:
            # Without its database the service changes and shows nothing; only its operators must
            # still learn what it lacks, so the entry as read last counts meanwhile.
            if usable is None or not (isinstance(error, TimeoutError) or is_unavailable(error)):
                raise
            return usable
        if content is None:
            self._entries.pop((issuer, subject), None)
            return None
        entry = StaffEntry.parse(content)
        if generation == self._generation:
            if len(self._entries) >= ENTRIES_MAX:
                self._entries.clear()
            self._entries[issuer, subject] = (end, entry)
        return entry

    async def member_of(self, issuer: str, subject: str) -> str:
        """The person with an account, as read within two seconds; empty for none."""
        if self._seconds() < self._outside.get((issuer, subject), 0.0):
            return ""
        generation, end = self._generation, self._seconds() + ENTRY_SECONDS
        entry = self.cached(issuer, subject) or await self.read(issuer, subject)
        if entry is not None:
            return entry.member
        if generation == self._generation:
            if len(self._outside) >= ENTRIES_MAX:
                self._outside.clear()
            self._outside[issuer, subject] = end
        return ""

    def forget(self) -> None:
        """Read every entry again: the local copy has changed."""
        self._generation += 1
        self._entries.clear()
        self._outside.clear()


class Admission:
    """Decides who calls a method, and whether the caller may."""

    def __init__(self, verifier: Verifier, register: Register) -> None:
        """Accept the tokens of the verifier as far as the register allows."""
        self._verifier = verifier
        self._register = register

    def verify(self, bearer: str) -> Token:
        """What a token says. Raises Unauthenticated."""
        return self._verifier.verify(bearer)

    def require_bound(self, token: Token, certificate: bytes | None) -> None:
        """Raise Unauthenticated for a token of another client.

        `certificate` is the SHA-256 of the client's certificate, if the connection has one.
        """
        if certificate is not None and token.certificate != certificate:
            raise Unauthenticated(
                what=Phrase.of(
                    "OTHER_CERTIFICATE",
                    "the token is not bound to this client's certificate",
                    "令牌未绑定本客户端证书",
                )
            )

    async def caller(self, token: Token, rule: type_pb2.Access | None) -> Caller:
        """The caller with a token. Raises Forbidden, NotInStaffRegister or Unauthenticated."""
        return await self._caller(token, require_role(rule, token.roles))

    async def original(self, token: Token, rule: type_pb2.Access) -> Caller:
        """The caller for whom a service asks, as far as the register allows; raises as `caller`.

        The grants that reach the records of the method count, although its roles are the service's.
        """
        reaching = frozenset(role for role in token.roles if reaches(rule, role))
        return await self._caller(token, reaching or token.roles)

    async def _caller(self, token: Token, opening: frozenset[int]) -> Caller:
        now = self._verifier.clock.now()
        if token.roles <= OUTSIDE_REGISTER:
            who = caller_of(token, None, opening, now)
            if type_pb2.Access.WORKER_AGENT not in who.roles:
                return who
            # One person may be an official under one account and somebody's agent under another.
            member = await self._register.member_of(token.issuer, token.subject)
            return replace(who, member=member)
        entry = self._register.cached(token.issuer, token.subject)
        if entry is not None:
            try:
                return caller_of(token, entry, opening, now)
            except (Forbidden, Unauthenticated):
                # A grant may have come since the entry was read.
                pass
        entry = await self._register.read(token.issuer, token.subject)
        return caller_of(token, entry, opening, now)


def caller_of(
    token: Token, entry: StaffEntry | None, opening: frozenset[int], now: datetime
) -> Caller:
    """The caller that token and register make; `opening` are the roles that open the method."""
    outside = token.roles & OUTSIDE_REGISTER
    if entry is None:
        if not opening & outside:
            raise NotInStaffRegister(subject=token.subject)
        return Caller(token.subject, outside, issuer=token.issuer, person=token.person)
    if entry.tokens_not_before is not None and token.issue_time < entry.tokens_not_before:
        raise Unauthenticated(
            what=Phrase.of(
                "SESSIONS_ENDED",
                "the sessions of this account were ended, so sign in again",
                "该账号的会话已终止, 请重新登录",
            )
        )
    today = civil_day(now)
    grants = () if _is_absent(entry, today) else _in_force(entry.grants, token, today)
    roles = outside | {grant.role for grant in grants}
    if not opening & roles:
        raise Forbidden(what=_why_not(token, entry, opening, today))
    used = [grant for grant in grants if grant.role in opening]
    is_platform = not roles.isdisjoint(PLATFORM_ROLES)
    return Caller(
        token.subject,
        frozenset(roles),
        platform=token.platform if is_platform else "",
        issuer=token.issuer,
        member=entry.member,
        areas=_areas_of(used),
        person=token.person if outside else "",
        day_limit_fen=_limit_of(used),
    )


def as_held(who: Caller, entry: StaffEntry | None, opening: frozenset[int], today: date) -> Caller:
    """A caller of some time ago with the roles, areas and limit that the register still allows."""
    grants = (
        () if entry is None or _is_absent(entry, today) else _in_force(entry.grants, who, today)
    )
    used = [grant for grant in grants if grant.role in opening]
    return replace(
        who,
        roles=who.roles & OUTSIDE_REGISTER | {grant.role for grant in grants},
        areas=_areas_of(used),
        day_limit_fen=_limit_of(used),
    )


def _in_force(grants: Iterable[Grant], holder: Token | Caller, today: date) -> tuple[Grant, ...]:
    return tuple(
        grant
        for grant in grants
        if grant.role in holder.roles
        and grant.days.include(today)
        and (not grant.platform or grant.platform == holder.platform)
    )


def _is_absent(entry: StaffEntry, today: date) -> bool:
    return any(absence.include(today) for absence in entry.absences)


def _areas_of(grants: Iterable[Grant]) -> frozenset[str]:
    areas = [grant.areas for grant in grants]
    return frozenset().union(*areas) if all(areas) else frozenset()


def _limit_of(grants: Iterable[Grant]) -> int:
    limits = [grant.day_limit_fen for grant in grants]
    return max(limits) if limits and all(limits) else 0


def _why_not(token: Token, entry: StaffEntry, opening: frozenset[int], today: date) -> Phrase:
    """Which role does not count, and why."""
    role = min(opening)
    name = role_name(role)
    if role in PLATFORM_ROLES and not token.platform:
        return without_platform(name)
    grants = [
        grant
        for grant in entry.grants
        if grant.role == role and (not grant.platform or grant.platform == token.platform)
    ]
    if not grants:
        if role in PLATFORM_ROLES:
            return Phrase.of(
                "ROLE_NOT_GRANTED",
                "the staff register does not grant this account the role {role} for platform"
                " {platform}",
                "人员登记簿未授予该账号平台 {platform} 的角色 {role}",
                role=name,
                platform=token.platform,
            )
        return Phrase.of(
            "ROLE_NOT_GRANTED",
            "the staff register does not grant this account the role {role}",
            "人员登记簿未授予该账号角色 {role}",
            role=name,
        )
    for absence in entry.absences:
        if absence.include(today):
            return Phrase.of(
                "HOLDER_ABSENT",
                "the role {role} rests while its holder is absent, until {day}",
                "角色 {role} 因本人缺勤暂停, 至 {day}",
                role=name,
                day=absence.until_date,
            )
    coming = [grant.days.from_date for grant in grants if grant.days.from_date > today]
    if coming:
        return Phrase.of(
            "GRANT_NOT_BEGUN",
            "the grant of the role {role} begins on {day}",
            "角色 {role} 的授权自 {day} 起生效",
            role=name,
            day=min(coming),
        )
    return Phrase.of(
        "GRANT_ENDED",
        "the grant of the role {role} has ended",
        "角色 {role} 的授权已终止",
        role=name,
    )


def _grant_of(grant: staff_pb2.RoleGrant) -> Grant:
    return Grant(
        int(grant.role),
        frozenset(grant.areas),
        grant.platform.removeprefix("platforms/"),
        grant.day_limit_fen,
        _days_of(grant),
    )


def _days_of(message: staff_pb2.RoleGrant | staff_pb2.Absence) -> Days:
    until = message.HasField("until_date")
    return Days(
        date_from_wire(message.from_date, "from_date"),
        date_from_wire(message.until_date, "until_date") if until else None,
    )
