"""From a confirmed claim to a told conclusion, over gRPC and the bus."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events
from oip.grading.v1 import events_pb2, grading_pb2
from sqlalchemy import text

from services.runtime.channels import problem_of

State = grading_pb2.Appraisal


async def test_a_confirmed_injury_is_appraised_and_told(grading: Any) -> None:
    stub = grading.stub("appraiser")
    await _register(stub, 5)
    await grading.hear(_determined())
    opened = await _only_appraisal(stub, State.OPENED)

    drawn = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name, panel_size=3)
    )
    again = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name, panel_size=3)
    )
    for index, member in enumerate(drawn.panel):
        await stub.RecordOpinion(_opinion(f"opinion-{index}", opened.name, member.name))
    ready = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=opened.name))
    concluded = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id="conclude", name=opened.name, revision=ready.revision
        )
    )

    assert again == drawn
    assert len({member.name for member in drawn.panel}) == 3
    assert concluded.state == State.CONCLUDED
    assert (concluded.grade, concluded.care_dependence) == (8, grading_pb2.PARTIAL)
    assert {finding.provision.article for finding in concluded.findings} >= {
        "5.9.2(23)",
        "5.9.2(24)",
        "4.2",
        "4.1.5",
    }
    assert all(finding.text and finding.text_zh for finding in concluded.findings)
    (told,) = await _told(grading)
    assert (told.claim, told.grade, told.revision) == ("claims/c1", 8, concluded.revision)
    assert told.conclude_date == date_pb2.Date(year=2025, month=9, day=1)


async def test_what_cannot_be_done_is_refused_with_its_reason(grading: Any) -> None:
    stub = grading.stub("appraiser")
    await _register(stub, 2)
    await grading.hear(_determined())
    opened = await _only_appraisal(stub, State.OPENED)

    draw = grading_pb2.DrawPanelRequest(request_id="d1", name=opened.name)
    assert await _reason(stub.DrawPanel(draw)) == "POOL_TOO_SMALL"
    wrong = grading_pb2.DrawPanelRequest(request_id="d2", name=opened.name, panel_size=4)
    assert await _reason(stub.DrawPanel(wrong)) == "PANEL_SIZE_WRONG"
    conclude = grading_pb2.ConcludeAppraisalRequest(request_id="c", name=opened.name, revision=1)
    assert await _reason(stub.ConcludeAppraisal(conclude)) == "TRANSITION_NOT_ALLOWED"
    unknown = grading_pb2.GetAppraisalRequest(name="appraisals/none")
    assert await _reason(stub.GetAppraisal(unknown)) == "NOT_FOUND"
    agent = grading.stub("worker_agent")
    assert await _reason(agent.DrawPanel(draw)) == "FORBIDDEN"


async def test_a_withdrawn_determination_ends_the_appraisal_and_a_new_one_takes_it_up(
    grading: Any,
) -> None:
    stub = grading.stub("appraiser")
    await grading.hear(_determined(revision=4))
    opened = await _only_appraisal(stub, State.OPENED)
    await grading.hear(claim_events.DeterminationRevoked(claim="claims/c1", revision=5))
    ended = await _only_appraisal(stub, State.ENDED)
    await grading.hear(_determined(revision=4))
    await grading.hear(_determined(revision=6))
    reopened = await _only_appraisal(stub, State.OPENED)

    assert opened.name == ended.name == reopened.name


async def test_opinions_are_not_readable_in_the_database(grading: Any) -> None:
    stub = grading.stub("appraiser")
    await _register(stub, 3)
    await grading.hear(_determined())
    opened = await _only_appraisal(stub, State.OPENED)
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name))
    await stub.RecordOpinion(_opinion("o", opened.name, drawn.panel[0].name))

    async with grading.running.database.begin() as tx:
        stored = (await tx.execute(text("select opinion from opinion"))).scalar_one()

    assert b"LA0901" not in bytes(stored)


def _determined(revision: int = 2) -> claim_events.ClaimDetermined:
    return claim_events.ClaimDetermined(
        claim="claims/c1",
        revision=revision,
        outcome=claims_pb2.Determination.CONFIRMED,
        worker="workers/1",
        accident_date=date_pb2.Date(year=2025, month=7, day=10),
        pooling_area="440100",
        place_of_injury="440100",
        disability_expected=True,
        determine_date=date_pb2.Date(year=2025, month=8, day=20),
    )


def _opinion(request_id: str, appraisal: str, specialist: str) -> grading_pb2.RecordOpinionRequest:
    return grading_pb2.RecordOpinionRequest(
        request_id=request_id,
        name=appraisal,
        opinion=grading_pb2.Opinion(
            specialist=specialist,
            impairments=[
                grading_pb2.Opinion.Impairment(item="LA0901"),
                grading_pb2.Opinion.Impairment(item="LA0904"),
            ],
            care_items=[grading_pb2.MOVING_ABOUT],
        ),
    )


async def _register(stub: Any, count: int) -> None:
    for number in range(count):
        await stub.RegisterSpecialist(
            grading_pb2.RegisterSpecialistRequest(
                request_id=f"specialist-{number}",
                specialist_number=f"A{number:03d}",
                field="orthopaedics",
            )
        )


async def _only_appraisal(stub: Any, state: int) -> grading_pb2.Appraisal:
    for _ in range(200):
        listed = await stub.ListAppraisals(grading_pb2.ListAppraisalsRequest(claim="claims/c1"))
        if [one.state for one in listed.appraisals] == [state]:
            return listed.appraisals[0]
        await asyncio.sleep(0.05)
    raise AssertionError([State.State.Name(one.state) for one in listed.appraisals])


async def _told(grading: Any) -> list[events_pb2.AppraisalConcluded]:
    async with grading.running.database.begin() as tx:
        rows = await tx.execute(
            text("select payload from outbox where subject = :subject order by id"),
            {"subject": events_pb2.AppraisalConcluded.DESCRIPTOR.full_name},
        )
        return [events_pb2.AppraisalConcluded.FromString(bytes(row.payload)) for row in rows]


async def _reason(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return problem_of(caught.value).reason
