"""Every method on records of an erased worker, as every role: a coded answer, never INTERNAL."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor
from oip.grading.v1 import grading_pb2
from oip.type.v1.type_pb2 import Access

from services.runtime.rpc.access import PLATFORM_ROLES
from services.runtime.rpc.roles import role_names, role_of
from tests.integration.people.erasures import (
    Person,
    appraised,
    confirmed,
    erase,
    paid,
    register_swift,
)
from tests.integration.people.test_strangers import WALKED, Place, Walk
from tests.integration.people.world import World
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient

UNCODED = ("UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "UNAVAILABLE")
NOTHING = "0123456789abcdef"


@pytest.fixture(scope="module")
async def person(client: StackClient) -> Person:
    """A worker who was erased after the case had gone through every service."""
    await register_swift(client)
    hurt = await confirmed(client, 91)
    await appraised(client, hurt)
    await paid(client, hurt)
    await erase(client, hurt)
    return hurt


def world_of(person: Person) -> World:
    """The names of the erased records; the others do not exist."""
    return World(
        worker=person.worker,
        stranger="workers/987654321",
        claim=person.claim,
        report=f"accidentReports/{NOTHING}",
        award=person.award,
        life_event=f"lifeEvents/{NOTHING}",
        trued_up=f"awards/{NOTHING}",
        appraisal=person.appraisal,
        invited=person.claim,
        seat=grading_pb2.Specialist(name=f"specialists/{NOTHING}"),
        other_seat=grading_pb2.Specialist(name=f"specialists/{NOTHING}"),
        order=f"platforms/{SWIFT}/orders/walk-1-{person.number}",
        batch=f"platforms/{SWIFT}/orderBatches/{NOTHING}",
        bill=f"platforms/{SWIFT}/premiumBills/2025-07",
        receipt=f"platforms/{SWIFT}/premiumBills/2025-07/receipts/{NOTHING}",
        colleague=f"staffMembers/{NOTHING}",
        act=f"pendingActs/{NOTHING}",
    )


def places(person: Person) -> list[Place]:
    return [
        Place(role, "own", platform=SWIFT)
        if role_of(role) in PLATFORM_ROLES
        else Place(role, "own", "agent", person=person.worker)
        if role_of(role) == Access.WORKER_AGENT
        else Place(role, "whole")
        for role in role_names()
    ]


@pytest.mark.parametrize("method", WALKED, ids=lambda method: method.name)
async def test_a_method_answers_with_a_code_about_an_erased_worker(
    client: StackClient, person: Person, method: MethodDescriptor
) -> None:
    walk = Walk(client, world_of(person))

    answers = [await walk.call_on_record(method, place) for place in places(person)]

    assert [answer for answer in answers if answer.startswith(UNCODED)] == []
    assert not any("description of 91" in answer or "title of 91" in answer for answer in answers)


async def test_no_reading_method_of_staff_is_refused(client: StackClient, person: Person) -> None:
    """What was erased stands in their answers as erased."""
    walk, wu = Walk(client, world_of(person)), Place("adjudicator", "whole")
    shown = {
        method.name: await walk.call_on_record(method, wu)
        for method in WALKED
        if method.name in {"GetWorker", "GetClaim", "ListClaims", "ListEvidence", "ListFilings"}
    }

    assert all(answer.startswith("OK") for answer in shown.values()), shown
    assert all("erased: true" in shown[name] for name in ("GetWorker", "GetClaim", "ListClaims"))
    assert all("PERSON_ERASED" in shown[name] for name in ("ListEvidence", "ListFilings"))
