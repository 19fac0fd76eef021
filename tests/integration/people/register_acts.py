"""How acts of staff, of enrolment and of operations are made, and what disturbs them."""

from __future__ import annotations

from hashlib import sha256

from google.type import date_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.operations.v1 import operations_pb2
from oip.staff.v1 import staff_pb2
from oip.type.v1 import type_pb2

from services.runtime.rpc.roles import role_of
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER
from services.runtime.rpc.wire import enum_number
from tests.integration.claims.conftest import enrol
from tests.integration.people.made import MAKER, Call, Made
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient

# Staff


async def a_member(client: StackClient, number: int) -> staff_pb2.StaffMember:
    return await client.staff("administrator").RegisterStaffMember(
        staff_pb2.RegisterStaffMemberRequest(
            request_id=client.new_id(),
            display_name=f"Person {number}",
            identity_number=f"ID-{number}",
            accounts=[account(f"person-{number}")],
        )
    )


def account(subject: str) -> staff_pb2.Account:
    return staff_pb2.Account(issuer=DEVELOPMENT_ISSUER, subject=subject)


def granting(
    client: StackClient, subject: str, name: str, role: str = "appraiser", platform: str = ""
) -> Call:
    request = staff_pb2.GrantRoleRequest(
        request_id=client.new_id(),
        name=name,
        grant=staff_pb2.NewGrant(role=enum_number(role_of(role)), platform=platform),
    )
    return lambda: client.staff("administrator", subject=subject).GrantRole(request)


def absent(client: StackClient, name: str) -> Call:
    day = date_pb2.Date(year=2025, month=12, day=24)
    request = staff_pb2.RecordStaffAbsenceRequest(
        request_id=client.new_id(),
        name=name,
        absence=staff_pb2.Absence(from_date=day, until_date=day),
    )
    return lambda: client.staff("administrator").RecordStaffAbsence(request)


async def grant_role(client: StackClient, number: int) -> Made:
    member = await a_member(client, number)
    return Made("staff", granting(client, MAKER, member.name), absent(client, member.name))


async def revoke_role(client: StackClient, number: int) -> Made:
    member = await a_member(client, number)
    granted = await granting(client, "test", member.name)()
    request = staff_pb2.RevokeRoleRequest(
        request_id=client.new_id(), name=granted.grants[0].name, code=staff_pb2.LEFT
    )
    stub = client.staff("administrator", subject=MAKER)
    return Made("staff", lambda: stub.RevokeRole(request), absent(client, member.name))


async def link_account(client: StackClient, number: int) -> Made:
    member = await a_member(client, number)
    request = staff_pb2.LinkAccountRequest(
        request_id=client.new_id(), name=member.name, account=account(f"second-{number}")
    )
    stub = client.staff("administrator", subject=MAKER)
    return Made("staff", lambda: stub.LinkAccount(request), absent(client, member.name))


# Enrolment


async def erase_worker(client: StackClient, number: int) -> Made:
    """Another platform that enrols the person in between voids the signature."""
    rows = await client.rows("enrolment", "select credit_code from platform")
    for platform in {SWIFT, PEARL} - {row.credit_code for row in rows}:
        await client.enrolment("administrator").RegisterPlatform(
            enrolment_pb2.RegisterPlatformRequest(
                request_id=client.new_id(),
                credit_code=platform,
                display_name=f"Company {platform[:4]}",
                industries=[enum_number(2)],
            )
        )
    worker = await enrol(client, SWIFT, number=500 + number)
    request = enrolment_pb2.EraseWorkerRequest(
        request_id=client.new_id(),
        name=f"workers/{worker}",
        code=type_pb2.UNLAWFUL_PROCESSING,
        document_number=f"2025-{number}",
        document_hash=sha256(b"paper").digest(),
    )
    stub = client.enrolment("administrator", subject=MAKER)
    return Made(
        "enrolment",
        lambda: stub.EraseWorker(request),
        lambda: enrol(client, PEARL, number=500 + number),
    )


# Operations, of which every service has the same


async def dismiss(client: StackClient, number: int) -> Made:
    insert = (
        "insert into dead_letter (producer, epoch, pub_seq, subject, payload, error, create_time)"
        " values ('orders', 'e', :number, 'oip.orders.v1.X', '', 'broken', now()) returning 1"
    )
    await client.rows("enrolment", insert, number=number)

    def dismissal(subject: str) -> Call:
        request = operations_pb2.DismissDeadLetterRequest(
            request_id=client.new_id(),
            name=f"deadLetters/orders-e-{number}",
            code=operations_pb2.NOTHING_TO_DO,
            reason="seen",
        )
        stub = client.operations("enrolment", subject=subject)
        return lambda: stub.DismissDeadLetter(request)

    return Made("enrolment", dismissal(MAKER), dismissal("test"))


async def resolve_alarm(client: StackClient, number: int) -> Made:
    received = sha256(f"{number}".encode())
    insert = (
        "insert into event_alarm (producer, epoch, pub_seq, subject, stored_hash, received_hash,"
        " create_time) values ('orders', 'e', :number, 'oip.orders.v1.X', '', :hash, now())"
        " returning 1"
    )
    await client.rows("enrolment", insert, number=number, hash=received.digest())
    listed = await client.operations("enrolment").ListEventAlarms(
        operations_pb2.ListEventAlarmsRequest(page_size=1000)
    )
    (name,) = (one.name for one in listed.event_alarms if f"-{number}-" in one.name)

    def resolution(subject: str) -> Call:
        request = operations_pb2.ResolveEventAlarmRequest(
            request_id=client.new_id(), name=name, resolution="seen"
        )
        stub = client.operations("enrolment", subject=subject)
        return lambda: stub.ResolveEventAlarm(request)

    return Made("enrolment", resolution(MAKER), resolution("test"))


async def resolve_lost(client: StackClient, number: int) -> Made:
    insert = (
        "insert into lost_event (epoch, pub_seq, content_hash, subject, fingerprint, key_id,"
        " signature, summary, blocks, scope_field, scope, create_time)"
        " select epoch, 1000000 + :number, :hash, 'oip.orders.v1.X', '', '', '', 'a batch', false,"
        " '', '', now() from outbox_counter returning 1"
    )
    digest = sha256(f"{number}".encode()).digest()
    await client.rows("enrolment", insert, number=number, hash=digest)
    listed = await client.operations("enrolment").ListLostEvents(
        operations_pb2.ListLostEventsRequest(page_size=1000)
    )
    (name,) = (one.name for one in listed.lost_events if f"-{1_000_000 + number}-" in one.name)

    def resolution(subject: str) -> Call:
        request = operations_pb2.ResolveLostEventsRequest(
            request_id=client.new_id(),
            names=[name],
            resolution=operations_pb2.LostEvent.KEPT,
            reason="seen",
        )
        stub = client.operations("enrolment", subject=subject)
        return lambda: stub.ResolveLostEvents(request)

    return Made("enrolment", resolution(MAKER), resolution("test"))
