"""Events, requests and steps that tests of grading share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events
from oip.grading.v1 import events_pb2, grading_pb2

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


def an_opinion(
    request_id: str, appraisal: str, specialist: str, items: Sequence[str] = ("LA0901", "LA0904")
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
            )
        )


async def appraise(
    stub: Any, name: str, items: Sequence[str] = ("LA0901", "LA0904")
) -> grading_pb2.Appraisal:
    """Draw a panel, have all members say the same, conclude."""
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id=f"draw/{name}", name=name))
    seen = drawn
    for member in drawn.panel:
        seen = await stub.RecordOpinion(
            an_opinion(f"{member.name}/{name}", name, member.name, items)
        )
    concluded: grading_pb2.Appraisal = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id=f"conclude/{name}", name=name, revision=seen.revision
        )
    )
    return concluded


async def in_states(stub: Any, *states: int) -> list[grading_pb2.Appraisal]:
    """The claim's appraisals by due date, once they are in these states."""
    for _ in range(200):
        answer = await stub.ListAppraisals(grading_pb2.ListAppraisalsRequest(claim=CLAIM))
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
