"""Appraisals open on application: by whom, for what, with which documents, by when."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claim_events
from oip.grading.v1 import events_pb2, grading_pb2

from services.runtime.rpc.wire import enum_number
from tests.support.appraisals import (
    CLAIM,
    State,
    a_date,
    apply,
    appraise,
    determined,
    in_states,
    opened_first,
    reason,
    register,
    revoked,
)
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import StackClient


def application(applicant: int, **fields: Any) -> grading_pb2.OpenAppraisalRequest:
    """An application for a first appraisal, unless `fields` say otherwise."""
    values = {"claim": CLAIM, "level": State.FIRST, "request_id": f"apply-{applicant}"}
    return grading_pb2.OpenAppraisalRequest(
        applicant=enum_number(applicant), **{**values, **fields}
    )


def charged(platform: str, **fields: Any) -> claim_events.ClaimDetermined:
    """A confirmed injury that a platform bears."""
    return determined(platform=f"platforms/{platform}", **fields)


async def invited(stub: Any) -> list[str]:
    answer = await stub.ListInvitations(grading_pb2.ListInvitationsRequest())
    return [invitation.claim for invitation in answer.invitations]


async def test_a_determination_invites_and_opens_nothing(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await client.publish(determined())
    await client.publish(determined(claim="claims/healed"))
    healed = determined(3, claim="claims/healed")
    healed.disability_expected = False
    await client.publish(healed)
    while await invited(stub) != [CLAIM]:  # noqa: ASYNC110 - events take effect in their time
        await asyncio.sleep(0.05)

    assert await in_states(stub) == []
    opened = await apply(client)
    assert await invited(stub) == []
    assert (opened.state, opened.applicant) == (State.OPENED, grading_pb2.WORKER)
    assert opened.application_date == a_date("2025-09-01")
    # What was not expected can be applied for.
    assert (await apply(client, "claims/healed")).state == State.OPENED


async def test_invitations_and_appraisals_are_shown_to_those_concerned(client: StackClient) -> None:
    await client.consume("grading", charged(SWIFT))
    await client.consume("grading", charged(PEARL, claim="claims/c2", worker="workers/2"))
    stubs = [
        client.grading("worker_agent", person="workers/1"),
        client.grading("platform", platform=SWIFT),
        client.grading("platform", platform=PEARL),
        client.grading("appraiser", subject="guangzhou"),
        client.grading("appraiser", subject="shenzhen"),
    ]

    assert [await invited(stub) for stub in stubs] == [
        [CLAIM],
        [CLAIM],
        ["claims/c2"],
        [CLAIM, "claims/c2"],
        [],
    ]


async def test_everybody_applies_in_the_own_name(client: StackClient) -> None:
    await client.consume("grading", charged(SWIFT))
    agent = client.grading("worker_agent", person="workers/1")
    platform = client.grading("platform", platform=SWIFT)
    officer = client.grading("fund_officer")

    for stub, applicant in (
        (agent, grading_pb2.PLATFORM),
        (agent, grading_pb2.AGENCY),
        (platform, grading_pb2.WORKER),
        (platform, grading_pb2.AGENCY),
        (officer, grading_pb2.WORKER),
    ):
        assert await reason(stub.OpenAppraisal(application(applicant))) == "APPLICANT_NOT_CALLER"
    agency = application(grading_pb2.AGENCY)
    assert await reason(officer.OpenAppraisal(agency)) == "AGENCY_REVIEWS_ONLY"
    kin = application(grading_pb2.NEXT_OF_KIN, request_id="kin")
    assert await reason(agent.OpenAppraisal(kin)) == "INABILITY_MISSING"
    kin.inability = "unconscious since the accident"
    opened = await agent.OpenAppraisal(kin)
    own = application(grading_pb2.PLATFORM)
    assert await reason(platform.OpenAppraisal(own)) == "APPRAISAL_OPEN"

    assert opened.applicant == grading_pb2.NEXT_OF_KIN
    assert [note.text for note in opened.notes] == ["unconscious since the accident"]
    (row,) = await client.rows("grading", "select note from note")
    assert b"unconscious" not in bytes(row.note)


async def test_strangers_apply_for_nothing(client: StackClient) -> None:
    await client.consume("grading", charged(SWIFT))
    others = [
        (client.grading("worker_agent", person="workers/2"), grading_pb2.WORKER),
        (client.grading("platform", platform=PEARL), grading_pb2.PLATFORM),
        (client.grading("appraiser", subject="shenzhen"), grading_pb2.WORKER),
    ]

    for stub, applicant in others:
        assert await reason(stub.OpenAppraisal(application(applicant))) == "NOT_FOUND"
    unknown = application(grading_pb2.WORKER, claim="claims/none")
    assert await reason(client.grading("appraiser").OpenAppraisal(unknown)) == "NOT_FOUND"
    adjudicator = client.grading("adjudicator")
    assert await reason(adjudicator.OpenAppraisal(application(1))) == "FORBIDDEN"


async def test_a_platform_sees_the_conclusion_and_nothing_of_the_body(client: StackClient) -> None:
    await register(client.grading("appraiser"), 3)
    await client.consume("grading", charged(SWIFT))
    platform = client.grading("platform", platform=SWIFT)
    opened = await platform.OpenAppraisal(application(grading_pb2.PLATFORM))
    await appraise(client, opened.name)

    seen = await platform.GetAppraisal(grading_pb2.GetAppraisalRequest(name=opened.name))
    (listed,) = (await platform.ListAppraisals(grading_pb2.ListAppraisalsRequest())).appraisals

    assert (seen.grade, listed.grade) == (8, 8)
    hidden = (seen.opinions, seen.findings, seen.notes, seen.panel, seen.exclusions)
    assert not any(hidden)
    other = client.grading("platform", platform=PEARL)
    get = grading_pb2.GetAppraisalRequest(name=opened.name)
    assert await reason(other.GetAppraisal(get)) == "NOT_FOUND"


async def test_only_the_committee_enters_an_earlier_day(client: StackClient) -> None:
    await client.consume("grading", determined())
    agent = client.grading("worker_agent", person="workers/1")
    earlier = application(grading_pb2.WORKER, application_date=a_date("2025-08-25"))
    tomorrow = application(grading_pb2.WORKER, application_date=a_date("2025-09-02"))
    before = application(grading_pb2.WORKER, application_date=a_date("2025-07-09"))
    stub = client.grading("appraiser")

    assert await reason(agent.OpenAppraisal(earlier)) == "MALFORMED"
    assert await reason(stub.OpenAppraisal(tomorrow)) == "MALFORMED"
    assert await reason(stub.OpenAppraisal(before)) == "MALFORMED"
    opened = await stub.OpenAppraisal(earlier)

    assert opened.due_date == a_date("2025-10-24")


async def test_applications_that_contradict_themselves_are_refused(client: StackClient) -> None:
    await client.consume("grading", determined())
    stub = client.grading("appraiser")
    wrong = [
        application(grading_pb2.WORKER, claim=""),
        application(grading_pb2.WORKER, claim="workers/1"),
        application(grading_pb2.WORKER, previous="appraisals/a1"),
        application(grading_pb2.WORKER, level=State.REVIEW),
        application(grading_pb2.WORKER, level=State.REVIEW, previous="appraisals/a1"),
        application(grading_pb2.WORKER, inability="none"),
    ]
    bounds = {
        "FIELD_MISSING": [application(0), application(grading_pb2.WORKER, level=0)],
        "UNKNOWN_CHOICE": [application(9)],
        "TOO_LONG": [application(grading_pb2.NEXT_OF_KIN, inability="x" * 2001)],
    }

    assert [await reason(stub.OpenAppraisal(request)) for request in wrong] == (
        ["MALFORMED"] * len(wrong)
    )
    for expected, requests in bounds.items():
        for request in requests:
            assert await reason(stub.OpenAppraisal(request)) == expected
    assert await client.rows("grading", "select id from appraisal") == []


async def test_twenty_applications_at_once_open_one_appraisal(client: StackClient) -> None:
    await client.consume("grading", determined())
    stub = client.grading("appraiser")
    requests = [
        application(grading_pb2.WORKER, request_id=f"apply-{number}") for number in range(20)
    ]

    answers = await asyncio.gather(
        *(stub.OpenAppraisal(request) for request in requests), return_exceptions=True
    )

    opened = [answer for answer in answers if isinstance(answer, grading_pb2.Appraisal)]
    assert len(opened) == 1
    assert len(await in_states(stub, State.OPENED)) == 1


async def test_nothing_is_opened_for_a_claim_that_is_not_confirmed(client: StackClient) -> None:
    await client.consume("grading", determined(outcome=claims_pb2.Determination.REFUSED))
    await client.consume(
        "grading", determined(claim="claims/dead", death_date=a_date("2025-08-01"))
    )
    await client.consume("grading", determined(claim="claims/gone"))
    gone = revoked(3)
    gone.claim = "claims/gone"
    await client.consume("grading", gone)
    stub = client.grading("appraiser")

    for claim in (CLAIM, "claims/dead", "claims/gone"):
        request = application(grading_pb2.WORKER, claim=claim)
        assert await reason(stub.OpenAppraisal(request)) == "NOTHING_TO_APPRAISE"
    assert await invited(stub) == []


def missing(name: str, request_id: str, until: str) -> grading_pb2.RequestDocumentsRequest:
    return grading_pb2.RequestDocumentsRequest(
        request_id=request_id,
        name=name,
        documents="the discharge summary",
        documents_date=a_date(until),
    )


async def test_documents_are_asked_for_once_and_the_limit_runs_on(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    client.set_day(date(2025, 9, 8))

    asked = await stub.RequestDocuments(missing(opened.name, "ask", "2025-09-22"))
    draw = grading_pb2.DrawPanelRequest(request_id="early", name=opened.name)
    assert await reason(stub.DrawPanel(draw)) == "TRANSITION_NOT_ALLOWED"
    came = await stub.RecordDocuments(
        grading_pb2.RecordDocumentsRequest(request_id="came", name=opened.name)
    )
    again = missing(opened.name, "again", "2025-09-30")
    assert await reason(stub.RequestDocuments(again)) == "DOCUMENTS_REQUESTED_BEFORE"

    assert (asked.state, came.state) == (State.DOCUMENTS_REQUESTED, State.OPENED)
    assert asked.documents_date == a_date("2025-09-22")
    assert came.due_date == opened.due_date == a_date("2025-10-31")
    assert [note.text for note in came.notes] == ["the discharge summary"]
    assert (await stub.DrawPanel(draw)).state == State.PANEL_DRAWN


async def test_after_five_working_days_the_application_counts_as_complete(
    client: StackClient,
) -> None:
    opened = await opened_first(client)
    client.set_day(date(2025, 9, 9))
    late = missing(opened.name, "late", "2025-09-22")

    assert await reason(client.grading("appraiser").RequestDocuments(late)) == (
        "DOCUMENTS_REQUESTED_LATE"
    )


async def test_an_application_without_its_documents_is_abandoned_and_can_be_made_again(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    opened = await opened_first(client)
    await stub.RequestDocuments(missing(opened.name, "ask", "2025-09-22"))
    abandon = grading_pb2.AbandonAppraisalRequest(request_id="abandon", name=opened.name)
    client.set_day(date(2025, 9, 22))
    assert await reason(stub.AbandonAppraisal(abandon)) == "DOCUMENTS_NOT_OVERDUE"
    client.set_day(date(2025, 9, 23))

    ended = await stub.AbandonAppraisal(abandon)
    again = await apply(client)
    (event,) = await client.published("grading", events_pb2.AppraisalEnded)

    assert ended.state == State.ENDED
    assert event.cause == grading_pb2.Appraisal.APPLICATION_ABANDONED
    assert (again.state, again.application_date) == (State.OPENED, a_date("2025-09-23"))
    assert await client.broken("grading") == []


async def test_a_withdrawn_determination_ends_an_application_that_waits_for_documents(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    opened = await opened_first(client)
    await stub.RequestDocuments(missing(opened.name, "ask", "2025-09-22"))

    await client.consume("grading", revoked(3))

    (ended,) = await in_states(stub, State.ENDED)
    assert ended.name == opened.name
