"""The staff register and enrolment, which consumes its changes; Anna and Bert administrate."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from oip.staff.v1 import staff_pb2, staff_pb2_grpc

from services.enrolment.__main__ import SERVICE as ENROLMENT
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.roles import role_of
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER
from services.runtime.rpc.wire import enum_number
from services.staff.__main__ import SERVICE as STAFF
from services.staff.bootstrap import register_from
from tests.support.databases import Databases
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, stack_client, with_nats


def first_members(*subjects: str, role: str = "administrator") -> bytes:
    """A file of first members, with one role each."""
    return "\n".join(
        f'[[member]]\ndisplay_name = "{subject}"\nidentity_number = "ID-{subject}"\n'
        f'accounts = [{{issuer = "{DEVELOPMENT_ISSUER}", subject = "{subject}"}}]\n'
        f'grants = [{{role = "{role}", from_date = 2025-01-01}}]\n'
        for subject in subjects
    ).encode()


def account(subject: str, issuer: str = DEVELOPMENT_ISSUER) -> staff_pb2.Account:
    return staff_pb2.Account(issuer=issuer, subject=subject)


@dataclass
class Staff:
    """Calls to the register by account."""

    client: StackClient

    def by(
        self, subject: str, role: str = "administrator", platform: str = ""
    ) -> staff_pb2_grpc.StaffServiceAsyncStub:
        return self.client.staff(role, subject=subject, platform=platform)

    async def register(self, subject: str, identity: str = "") -> staff_pb2.StaffMember:
        return await self.by("anna").RegisterStaffMember(
            staff_pb2.RegisterStaffMemberRequest(
                request_id=uuid.uuid4().hex,
                display_name=subject.title(),
                identity_number=identity or f"ID-{subject}",
                accounts=[account(subject)],
            )
        )

    async def grant(
        self, member: staff_pb2.StaffMember, role: str, *, by: str = "anna", **terms: Any
    ) -> staff_pb2.StaffMember:
        grant = staff_pb2.NewGrant(role=enum_number(role_of(role)), **terms)
        return await self.by(by).GrantRole(
            staff_pb2.GrantRoleRequest(request_id=uuid.uuid4().hex, name=member.name, grant=grant)
        )

    async def revoke(
        self, name: str, *, by: str = "anna", role: str = "administrator", platform: str = ""
    ) -> staff_pb2.StaffMember:
        return await self.by(by, role, platform).RevokeRole(
            staff_pb2.RevokeRoleRequest(
                request_id=uuid.uuid4().hex, name=name, code=staff_pb2.OTHER_DUTIES
            )
        )

    async def invite(
        self, subject: str, *, by: str, platform: str = SWIFT, identity: str = ""
    ) -> staff_pb2.StaffMember:
        return await self.by(by, "platform_administrator", platform).InviteColleague(
            staff_pb2.InviteColleagueRequest(
                request_id=uuid.uuid4().hex,
                platform=f"platforms/{platform}",
                display_name=subject.title(),
                identity_number=identity or f"ID-{subject}",
                account=account(subject),
            )
        )


@pytest.fixture
async def staff(
    stack: Settings, databases: Databases, clock: SetClock, nats_server: NatsServer
) -> AsyncIterator[Staff]:
    """Both services, with a new database and nats-server for each test."""
    settings = with_nats(stack, nats_server, await databases.fresh("staff", "enrolment"))
    async with stack_client([STAFF, ENROLMENT], settings, clock) as client:
        await register_from(client.context("staff"), first_members("anna", "bert"))
        yield Staff(client)
