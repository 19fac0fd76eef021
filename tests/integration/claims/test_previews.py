"""What a determination would find, before anybody decides; and the reports of accidents."""

from __future__ import annotations

from datetime import timedelta

import grpc
from oip.claims.v1 import accidents_pb2, claims_pb2

from tests.integration.claims.conftest import (
    A,
    accept,
    at,
    determine,
    enrol,
    file,
    get_claim,
    report,
    send,
)
from tests.support.stack_client import StackClient, refused

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement


async def preview(
    client: StackClient, claim: str, enquiry: Enquiry, *judgements: Judgement
) -> claims_pb2.DeterminationPreview:
    return await client.claims("adjudicator").PreviewDetermination(
        claims_pb2.PreviewDeterminationRequest(name=claim, enquiry=enquiry, judgements=judgements)
    )


async def test_a_preview_finds_what_the_determination_then_finds(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    claim = await accept(client, await file(client, worker, at("10:20")))
    enquiry = Enquiry(harm_established=True)

    seen = await preview(client, claim.name, enquiry)

    assert (await get_claim(client, claim)).state == claims_pb2.Claim.ACCEPTED
    assert (seen.claim, seen.revision) == (claim.name, claim.revision)
    assert list(seen.open_questions) == []
    determined = await determine(client, claim, enquiry)
    assert seen.outcome == determined.determination.outcome
    assert seen.platform == determined.determination.platform
    assert list(seen.findings) == list(determined.determination.findings)


async def test_a_preview_names_the_questions_that_a_person_has_to_answer(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    await send(client, A, worker, (client.new_id(), "12:00", "12:30"))
    claim = await accept(client, await file(client, worker, at("11:50")))

    seen = await preview(client, claim.name, Enquiry(harm_established=True))
    answered = [
        Judgement(finding=question, met=False, reason="The app was closed.")
        for question in seen.open_questions
    ]
    decided = await preview(client, claim.name, Enquiry(harm_established=True), *answered)

    problem = await refused(determine(client, claim))
    assert problem.metadata["findings"] == ", ".join(seen.open_questions) != ""
    assert seen.outcome == claims_pb2.Determination.OUTCOME_UNSPECIFIED
    assert decided.outcome == claims_pb2.Determination.REFUSED
    assert list(decided.open_questions) == []


async def test_only_an_accepted_claim_is_previewed(client: StackClient) -> None:
    claim = await file(client, await enrol(client, A), at("10:20"))

    problem = await refused(preview(client, claim.name, Enquiry()))

    assert problem.reason == "TRANSITION_NOT_ALLOWED"


async def test_reports_are_listed_newest_first_and_those_without_a_claim(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    first = await report(client, worker, at("10:20"))
    client.clock.set(client.clock.now() + timedelta(minutes=1))
    second = await report(client, worker, at("11:20"))
    await file(client, worker, at("10:20"), accident_report=first.name)
    stub = client.accidents("adjudicator")

    async def listed(**filters: object) -> list[str]:
        names: list[str] = []
        request = accidents_pb2.ListAccidentReportsRequest(
            worker=f"workers/{worker}",
            page_size=1,
            **filters,  # type: ignore[arg-type]
        )
        while True:
            page = await stub.ListAccidentReports(request)
            names += [row.name for row in page.accident_reports]
            request.page_token = page.next_page_token
            if not request.page_token:
                return names

    assert await listed() == [second.name, first.name]
    assert await listed(unclaimed_only=True) == [second.name]


async def test_a_report_shows_what_happened_to_those_who_need_it(client: StackClient) -> None:
    worker = await enrol(client, A)
    reported = await report(client, worker, at("10:20"))
    request = accidents_pb2.GetAccidentReportRequest(name=reported.name)
    unknown = accidents_pb2.GetAccidentReportRequest(name="accidentReports/0123456789abcdef")

    adjudicator = await client.accidents("adjudicator").GetAccidentReport(request)
    own = await client.accidents("worker_agent", person=f"workers/{worker}").GetAccidentReport(
        request
    )
    stranger = client.accidents("worker_agent", person="workers/987654321")
    refusals = [
        await refused(stranger.GetAccidentReport(request)),
        await refused(client.accidents("adjudicator").GetAccidentReport(unknown)),
    ]

    assert adjudicator.description == own.description == "Collision."
    assert [problem.code for problem in refusals] == [grpc.StatusCode.NOT_FOUND] * 2
