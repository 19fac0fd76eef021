"""The token with which a session's calls are made, and how a person gets a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

import grpc
from oip.staff.v1 import staff_pb2, staff_pb2_grpc

from services.console.backend import Backend, refusal_of
from services.console.sessions import Person, Session
from services.kernel.periods import civil_day
from services.runtime.base.clock import Clock
from services.runtime.rpc.access import PLATFORM_ROLES
from services.runtime.rpc.roles import role_name
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER, Issuer
from services.runtime.rpc.wire import date_from_wire

# Accounts of a development stack that may read the staff register: of `make demo`, `make dev`.
REGISTER_READERS = ("administrator-1", "developer", "test")


class Credentials(Protocol):
    """How calls of a session are signed in: with tokens of a provider, or of development."""

    async def current(self, session: Session) -> Session | None:
        """The session with tokens that are valid now; None if the person has to sign in again."""

    def token_of(self, session: Session) -> str:
        """The token of a session's calls."""


@dataclass(frozen=True)
class Choice:
    """A person of a development stack, in one capacity: for the office, or for a company."""

    key: str
    person: Person


class DevelopmentCredentials:
    """Tokens of the development issuer; whoever opens the page may be any person of the stack."""

    def __init__(self, issuer: Issuer, backend: Backend, clock: Clock) -> None:
        self._issuer = issuer
        self._backend = backend
        self._clock = clock
        self._reader = ""
        self._sources: dict[tuple[str, tuple[str, ...], str], Callable[[], str]] = {}

    async def current(self, session: Session) -> Session | None:
        """The session: its tokens are made anew as they run out."""
        return session

    def token_of(self, session: Session) -> str:
        """A token of the session's person."""
        if session.person is None:
            return ""
        return self._token(session.person)

    def _token(self, person: Person) -> str:
        key = (person.subject, person.roles, person.platform)
        if key not in self._sources:
            self._sources[key] = self._issuer.source(*key)
        return self._sources[key]()

    async def choices(self) -> list[Choice]:
        """The persons of the staff register with an account of development. Raises RpcError."""
        members: list[staff_pb2.StaffMember] = []
        for subject in sorted(REGISTER_READERS, key=lambda each: each != self._reader):
            try:
                members = await self._members(Person(subject, "", ("administrator",)))
            except grpc.RpcError as error:
                if refusal_of(error).is_unreachable:
                    raise
            else:
                self._reader = subject
                break
        today = civil_day(self._clock.now())
        return [choice for member in members for choice in _choices(member, today)]

    async def _members(self, reader: Person) -> list[staff_pb2.StaffMember]:
        stub = self._backend.stub(staff_pb2_grpc.StaffServiceStub, "staff", self._token(reader))
        request = staff_pb2.ListStaffMembersRequest(page_size=1000)
        return list((await stub.ListStaffMembers(request)).staff_members)


def _choices(member: staff_pb2.StaffMember, today: date) -> list[Choice]:
    """A member as people choose it: once for the office, and once for each company."""
    capacities: dict[str, list[str]] = {}
    for role, platform in granted(member, today):
        roles = capacities.setdefault(platform, [])
        if role not in roles:
            roles.append(role)
    return [
        Choice(
            f"{account.subject}|{platform}",
            Person(account.subject, member.display_name, tuple(roles), platform, member.name),
        )
        for account in member.accounts
        if account.issuer == DEVELOPMENT_ISSUER
        for platform, roles in sorted(capacities.items())
    ]


def granted(member: staff_pb2.StaffMember, today: date) -> list[tuple[str, str]]:
    """The roles in force of a member, each with the credit code of its platform."""
    return [
        (role_name(grant.role), grant.platform.removeprefix("platforms/"))
        for grant in member.grants
        if not grant.HasField("revoke_time")
        and date_from_wire(grant.from_date, "from_date") <= today
        and not (
            grant.HasField("until_date") and date_from_wire(grant.until_date, "until_date") < today
        )
    ]


async def person_of(backend: Backend, token: str, today: date) -> Person:
    """The person of a token, as the staff register has it. Raises RpcError."""
    stub = backend.stub(staff_pb2_grpc.StaffServiceStub, "staff", token)
    member = await stub.GetOwnStaffMember(staff_pb2.GetOwnStaffMemberRequest())
    roles = granted(member, today)
    platforms = {platform for _, platform in roles if platform}
    subject = member.accounts[0].subject if member.accounts else ""
    person = Person(subject, member.display_name, (), "", member.name)
    platform_roles = {role_name(role) for role in PLATFORM_ROLES}
    return replace(
        person,
        roles=tuple(dict.fromkeys(role for role, _ in roles)),
        platform=min(platforms) if platforms and {r for r, _ in roles} <= platform_roles else "",
    )
