"""How the acts of grading are made, and what disturbs them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from oip.grading.v1 import grading_pb2

from services.runtime.base.clock import today
from services.runtime.rpc.wire import date_to_wire
from tests.integration.people.made import MAKER, Call, Made
from tests.support.appraisals import apply, appraise, determined, register
from tests.support.stack_client import StackClient
from tests.support.staff import staff_entry, staff_grant, store_entries

# The pool


def specialist(client: StackClient, subject: str, number: int, field: str) -> Call:
    request = grading_pb2.RegisterSpecialistRequest(
        request_id=client.new_id(),
        specialist_number=f"A{number:05}",
        field=field,
        member=f"staffMembers/s{number}",
    )
    return lambda: client.grading("appraiser", subject=subject).RegisterSpecialist(request)


async def register_specialist(client: StackClient, number: int) -> Made:
    return Made(
        "grading",
        specialist(client, MAKER, number, "orthopaedics"),
        specialist(client, "test", number, "neurology"),
    )


async def renew_specialist(client: StackClient, number: int) -> Made:
    registered = await specialist(client, "test", number, "orthopaedics")()

    def renewal(subject: str) -> Call:
        request = grading_pb2.RenewSpecialistRequest(
            request_id=client.new_id(), name=registered.name
        )
        return lambda: client.grading("appraiser", subject=subject).RenewSpecialist(request)

    return Made("grading", renewal(MAKER), renewal("test"))


# Appraisals


async def opened(client: StackClient, number: int) -> grading_pb2.Appraisal:
    """A confirmed injury, for which the worker has applied."""
    claim = f"claims/g{number}"
    await client.consume("grading", determined(claim=claim, worker=f"workers/{800_000 + number}"))
    return await apply(client, claim)


async def exclude(client: StackClient, number: int) -> Made:
    first = await specialist(client, "test", number, "orthopaedics")()
    second = await specialist(client, "test", number + 50_000, "orthopaedics")()
    appraisal = await opened(client, number)

    def exclusion(subject: str, excluded: str) -> Call:
        request = grading_pb2.ExcludeSpecialistRequest(
            request_id=client.new_id(),
            name=appraisal.name,
            specialist=excluded,
            code=grading_pb2.INTEREST,
        )
        return lambda: client.grading("appraiser", subject=subject).ExcludeSpecialist(request)

    return Made("grading", exclusion(MAKER, first.name), exclusion("test", second.name))


async def resume(client: StackClient, number: int) -> Made:
    """An appraisal that an absence ended; somebody applies for another one."""
    name, stub = (await opened(client, number)).name, client.grading("appraiser", subject=MAKER)
    await client.grading("appraiser").RecordAbsence(
        grading_pb2.RecordAbsenceRequest(
            request_id=client.new_id(),
            name=name,
            examination_date=date_to_wire(today(client.clock)),
        )
    )
    request = grading_pb2.ResumeAppraisalRequest(
        request_id=client.new_id(), name=name, reason="in hospital that day"
    )
    return Made(
        "grading",
        lambda: stub.ResumeAppraisal(request),
        lambda: apply(client, f"claims/g{number}"),
    )


# Conclusions


async def concluded(client: StackClient, number: int) -> grading_pb2.Appraisal:
    """A conclusion; everybody in the pool has come into the staff register."""
    stub = client.grading("appraiser")
    await register(stub, 3)
    pool = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest(page_size=1000))
    members = [one.member.removeprefix("staffMembers/") for one in pool.specialists]
    entries = [staff_entry(member, [staff_grant("specialist")]) for member in members]
    await store_entries(client.stack.settings.database_url, ["grading"], entries)
    client.context("grading").forget_staff()
    return await appraise(client, (await opened(client, number)).name)


def service(client: StackClient, subject: str, name: str) -> Call:
    """A service on the worker, today."""
    request = grading_pb2.ServeConclusionRequest(
        request_id=client.new_id(),
        name=name,
        recipient=grading_pb2.RECIPIENT_WORKER,
        means=grading_pb2.POST,
        serve_date=date_to_wire(today(client.clock)),
    )
    return lambda: client.grading("appraiser", subject=subject).ServeConclusion(request)


def revocation(client: StackClient, subject: str, seen: grading_pb2.Appraisal) -> Call:
    request = grading_pb2.RevokeConclusionRequest(
        request_id=client.new_id(),
        name=seen.name,
        revision=seen.revision,
        reason="somebody else was examined",
    )
    return lambda: client.grading("appraiser", subject=subject).RevokeConclusion(request)


async def correct_service(client: StackClient, number: int) -> Made:
    """The service is of the day after the one first recorded."""
    name = (await concluded(client, number)).name
    served = await service(client, "test", name)()
    client.set_day(today(client.clock) + timedelta(days=1))
    return Made("grading", service(client, MAKER, name), revocation(client, "test", served))


async def correct(client: StackClient, number: int) -> Made:
    seen = await concluded(client, number)
    request = grading_pb2.CorrectConclusionRequest(
        request_id=client.new_id(),
        name=seen.name,
        revision=seen.revision,
        code=grading_pb2.WRONG_ITEM,
        reason="the picture was another person's",
        impairments=[grading_pb2.Opinion.Impairment(item="7.47")],
    )
    stub: Any = client.grading("appraiser", subject=MAKER)
    return Made(
        "grading", lambda: stub.CorrectConclusion(request), service(client, "test", seen.name)
    )


async def revoke(client: StackClient, number: int) -> Made:
    seen = await concluded(client, number)
    return Made("grading", revocation(client, MAKER, seen), service(client, "test", seen.name))
