"""Events, requests and steps that tests of grading share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events
from oip.grading.v1 import events_pb2, grading_pb2

from services.runtime.rpc.wire import enum_number
from tests.support.stack_client import StackClient, refused

CLAIM = "claims/c1"
State = grading_pb2.Appraisal


def a_date(text: str) -> date_pb2.Date:
    """`2025-09-01` as a message."""
    year, month, day = text.split("-")
    return date_pb2.Date(year=int(year), month=int(month), day=int(day))


def determined(revision: int = 2, **changes: Any) -> claim_events.ClaimDetermined:
    """A confirmed injury of July 2025 with a disability expected."""
    event = claim_events.ClaimDetermined(
        claim=CLAIM,
        revision=revision,
        outcome=claims_pb2.Determination.CONFIRMED,
        worker="workers/1",
        accident_date=a_date("2025-07-10"),
        pooling_area="440100",
        place_of_injury="440100",
        disability_expected=True,
        determine_date=a_date("2025-08-20"),
    )
    event.MergeFrom(claim_events.ClaimDetermined(**changes))
    return event


def revoked(revision: int) -> claim_events.DeterminationRevoked:
    """The determination is withdrawn."""
    return claim_events.DeterminationRevoked(claim=CLAIM, revision=revision)


def merged(revision: int) -> claim_events.ClaimsMerged:
    """The claim ends in another claim of the same accident."""
    return claim_events.ClaimsMerged(
        claim="claims/surviving",
        merged_claim=CLAIM,
        accident="accidents/a1",
        reason="SAME_INJURY",
        revision=revision,
    )


def an_opinion(
    request_id: str, appraisal: str, specialist: str, items: Sequence[str] = ("9.23", "9.24")
) -> grading_pb2.RecordOpinionRequest:
    """One member's opinion: these items, and moving about is not possible alone."""
    return grading_pb2.RecordOpinionRequest(
        request_id=request_id,
        name=appraisal,
        opinion=grading_pb2.Opinion(
            specialist=specialist,
            impairments=[grading_pb2.Opinion.Impairment(item=item) for item in items],
            care_items=[grading_pb2.MOVING_ABOUT],
        ),
    )


async def apply(
    client: StackClient,
    claim: str = CLAIM,
    *,
    previous: str = "",
    level: int = State.FIRST,
    received: str = "",
    request_id: str = "",
) -> grading_pb2.Appraisal:
    """An application of the worker, which the committee enters."""
    request = grading_pb2.OpenAppraisalRequest(
        request_id=request_id or client.new_id(),
        claim="" if previous else claim,
        previous=previous,
        level=enum_number(level),
        applicant=grading_pb2.WORKER,
    )
    if received:
        request.application_date.CopyFrom(a_date(received))
    return await client.grading("appraiser").OpenAppraisal(request)


async def opened_first(client: StackClient, claim: str = CLAIM) -> grading_pb2.Appraisal:
    """A confirmed injury, for which the worker has applied."""
    await client.consume("grading", determined(claim=claim))
    return await apply(client, claim)


async def register(stub: Any, count: int, *, provincial: bool = False) -> None:
    """Fill the pool."""
    letter = "P" if provincial else "A"
    for number in range(count):
        await stub.RegisterSpecialist(
            grading_pb2.RegisterSpecialistRequest(
                request_id=f"specialist-{letter}{number}",
                specialist_number=f"{letter}{number:03d}",
                field="orthopaedics",
                provincial=provincial,
                member=f"staffMembers/{letter}{number}",
            )
        )


def specialist(client: StackClient, seat: grading_pb2.Specialist) -> Any:
    """Grading, called by the person who is a specialist."""
    return client.grading("specialist", subject=seat.member.removeprefix("staffMembers/"))


async def appraise(
    client: StackClient, name: str, items: Sequence[str] = ("9.23", "9.24")
) -> grading_pb2.Appraisal:
    """Draw a panel, have all members say the same, conclude."""
    stub, seen = client.grading("appraiser"), 0
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id=f"draw/{name}", name=name))
    for seat in drawn.panel:
        opinion = an_opinion(f"{seat.name}/{name}", name, seat.name, items)
        seen = (await specialist(client, seat).RecordOpinion(opinion)).revision
    concluded: grading_pb2.Appraisal = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id=f"conclude/{name}", name=name, revision=seen
        )
    )
    return concluded


async def concluded_first(client: StackClient, size: int = 3) -> grading_pb2.Appraisal:
    """A first appraisal of grade 8, concluded by a pool of this size."""
    await register(client.grading("appraiser"), size)
    return await appraise(client, (await opened_first(client)).name)


async def in_states(stub: Any, *states: int, claim: str = CLAIM) -> list[grading_pb2.Appraisal]:
    """The claim's appraisals by due date, once they are in these states."""
    for _ in range(200):
        answer = await stub.ListAppraisals(grading_pb2.ListAppraisalsRequest(claim=claim))
        if [appraisal.state for appraisal in answer.appraisals] == list(states):
            return list(answer.appraisals)
        await asyncio.sleep(0.05)
    raise AssertionError([State.State.Name(one.state) for one in answer.appraisals])


async def published_conclusions(client: StackClient) -> list[events_pb2.AppraisalConcluded]:
    """The conclusions published so far."""
    return await client.published("grading", events_pb2.AppraisalConcluded)


async def reason(call: Awaitable[Any]) -> str:
    """The reason with which a call is refused."""
    return (await refused(call)).reason
