"""A claim over gRPC, from acceptance to a published determination."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import grpc
import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.orders.v1 import orders_pb2
from oip.type.v1 import type_pb2

from services.runtime.rpc.client import problem_of
from tests.integration.claims.conftest import (
    DAY,
    A,
    accept,
    add_evidence,
    agent,
    at,
    determine,
    determine_at,
    enrol,
    file,
    get_claim,
    number_of_id,
    published_determination,
    report,
    request_evidence,
    send,
)
from tests.support.stack_client import StackClient, refused

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement
EXECUTING = Judgement(finding="order_execution", met=True, reason="The camera shows the delivery.")


async def test_an_accident_within_an_order_is_confirmed_and_published(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n1", "10:00", "10:40"), ("n2", "11:00", "11:30"))
    reported = await report(client, worker, at("10:20"))
    filed = await file(client, worker, at("10:20"), accident_report=reported.name)
    accepted = await accept(client, filed)
    claim = await determine(
        client, accepted, Enquiry(harm_established=True, disability_expected=True)
    )

    assert not reported.reported_late
    assert filed.state == claims_pb2.Claim.FILED
    assert filed.pooling_area == "440100"
    assert accepted.due_date == date_pb2.Date(year=2025, month=8, day=27)
    assert accepted.remaining_days == 30
    assert claim.state == claims_pb2.Claim.DETERMINED
    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert [order.under_way for order in claim.orders] == [True, False]
    assert [order.charged for order in claim.orders] == [True, False]
    assert claim.determination.platform == f"platforms/{A}"
    assert claim.step == claims_pb2.Claim.STEP_UNSPECIFIED
    event = await published_determination(client, claim.name)
    assert event.platform == f"platforms/{A}"
    assert event.accident_date == date_pb2.Date(year=2025, month=7, day=15)
    assert event.determine_date == date_pb2.Date(year=2025, month=7, day=16)
    assert (event.pooling_area, event.place_of_injury) == ("440100", "440106")
    assert event.industry == type_pb2.INSTANT_DELIVERY
    assert event.disability_expected
    assert event.revision == claim.revision


async def test_an_accident_between_two_orders_is_for_a_person(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n3", "10:00", "10:40"), ("n4", "12:00", "12:30"))
    accepted = await accept(client, await file(client, worker, at("11:50")))
    closed = Judgement(finding="order_execution", met=False, reason="The app was closed.")

    problem = await refused(determine(client, accepted))
    claim = await determine(client, accepted, judgements=(closed,))

    assert (problem.reason, "order_execution" in problem.sentence) == ("FINDINGS_OPEN", True)
    assert claim.determination.outcome == claims_pb2.Determination.REFUSED
    (finding,) = [one for one in claim.determination.findings if "between two orders" in one.text]
    assert finding.outcome == type_pb2.Finding.NOT_MET
    assert "两单之间" in finding.text_zh
    assert not (await published_determination(client, claim.name)).platform


async def test_evidence_that_came_in_makes_a_revision_to_read(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n10", "10:00", "10:40"))
    accepted = await accept(client, await file(client, worker, at("10:20")))
    await add_evidence(client, accepted, claims_pb2.Evidence.INVOICE)

    problem = await refused(determine(client, accepted))

    assert problem.code is grpc.StatusCode.ABORTED
    assert problem.reason == "CLAIM_CHANGED"


async def test_order_records_that_arrive_later_have_to_be_read_first(client: StackClient) -> None:
    worker = await enrol(client, A)
    accepted = await accept(client, await file(client, worker, at("10:20")))
    client.clock.set(at("12:00", DAY + timedelta(days=1)))
    await send(client, A, worker, ("n11", "10:00", "10:40"))

    problem = await refused(determine(client, accepted))
    fresh = await get_claim(client, accepted)
    claim = await determine(client, fresh)

    assert problem.reason == "CLAIM_CHANGED"
    assert not accepted.orders
    assert fresh.revision == accepted.revision + 1
    taken_in = await client.rows(
        "claims",
        "select actor, resource from audit where action = 'oip.claims.v1.TakeInOrderRecords'"
        " and resource = :claim",
        claim=claim.name,
    )
    assert [tuple(row) for row in taken_in] == [("test", claim.name)]
    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert claim.orders[0].late


@pytest.mark.parametrize(
    ("change", "names_another"),
    [
        ({}, True),
        ({"state": orders_pb2.REVERSED, "reason": "test order"}, False),
        ({"end_time_us": int(at("10:05").timestamp() * 1_000_000)}, False),
    ],
)
async def test_a_late_record_that_takes_the_moment_away_is_for_a_person(
    client: StackClient, change: dict[str, object], *, names_another: bool
) -> None:
    worker, another = await enrol(client, A), await enrol(client, A)
    order = (client.new_id(), "10:00", "10:40")
    # A platform's batches are never older than those before, whatever the clock says.
    client.clock.set(client.clock.now() + timedelta(hours=4, minutes=2 * number_of_id(order[0])))
    await send(client, A, worker, order)
    claim = await file(client, worker, at("10:20"))
    client.clock.set(client.clock.now() + timedelta(minutes=1))
    await send(client, A, another if names_another else worker, order, revision=2, **change)

    claim = await accept(client, claim)
    (found,) = claim.orders
    assert (found.revision, found.under_way, found.late) == (1, True, False)
    (late,) = found.later_revisions
    assert (late.revision, late.late, late.under_way) == (2, True, False)
    assert late.other_worker == names_another
    alerts = (await get_claim(client, claim)).alerts
    assert "order_changed_late" in [alert.inputs[0].value for alert in alerts]

    problem = await refused(determine(client, claim))
    determined = await determine(client, claim, judgements=(EXECUTING,))
    assert (problem.reason, "order_execution" in problem.sentence) == ("FINDINGS_OPEN", True)
    assert determined.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert [one.charged for one in determined.orders] == [True]


async def test_an_order_reversed_between_accident_and_filing_is_for_a_person(
    client: StackClient,
) -> None:
    worker, number = await enrol(client, A), client.new_id()
    await send(client, A, worker, (number, "10:00", "10:40"))
    gone = {"state": orders_pb2.REVERSED, "reason": "test order"}
    await send(client, A, worker, (number, "10:00", "10:40"), revision=2, **gone)

    claim = await accept(client, await file(client, worker, at("10:20")))
    (order,) = claim.orders
    (reversal,) = order.later_revisions
    assert (order.under_way, reversal.reversed, reversal.under_way) == (True, True, False)
    problem = await refused(determine(client, claim))
    assert problem.reason == "FINDINGS_OPEN"


async def test_what_the_rules_leave_to_a_person_needs_a_judgement(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n12", "10:00", "10:40"))
    filed = await file(client, worker, at("10:20"), situation=claims_pb2.VIOLENCE)
    accepted = await accept(client, filed)

    problem = await refused(determine(client, accepted))
    claim = await determine(
        client,
        accepted,
        judgements=(Judgement(finding="because_of_service", met=True, reason="Witnesses agree."),),
    )

    assert problem.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "because_of_service" in problem.sentence
    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert "Witnesses agree." in str(claim.determination)


async def test_a_rescue_outside_any_order_is_charged_to_the_nearest_one(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    orders = (client.new_id(), "10:00", "10:40"), (client.new_id(), "11:00", "11:30")
    await send(client, A, worker, *orders)
    filed = await file(client, worker, at("10:55"), situation=claims_pb2.RESCUE)

    claim = await determine(
        client,
        await accept(client, filed),
        judgements=(Judgement(finding="public_interest", met=True, reason="He pulled her out."),),
    )

    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert [order.under_way for order in claim.orders] == [False, False]
    assert [order.charged for order in claim.orders] == [False, True]
    assert "The platform is responsible on this basis: the order nearest to the accident." in [
        finding.text for finding in claim.determination.findings
    ]


async def test_two_adjudicators_at_once_make_one_determination(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n13", "10:00", "10:40"))
    accepted = await accept(client, await file(client, worker, at("10:20")))

    answers = await asyncio.gather(
        *(determine(client, accepted) for _ in range(4)), return_exceptions=True
    )
    problems = [problem_of(one) for one in answers if isinstance(one, grpc.RpcError)]
    both = await client.claims("adjudicator").ListDeterminations(
        claims_pb2.ListDeterminationsRequest(claim=accepted.name)
    )

    assert len(problems) == 3
    assert {problem.reason for problem in problems} <= {"TRANSITION_NOT_ALLOWED", "RECORD_BUSY"}
    assert len(both.determinations) == 1


async def test_remedies_run_from_the_service_of_the_conclusion(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n16", "10:00", "10:40"))
    claim = await determine_at(client, worker, at("10:20"))
    client.clock.set(at("09:00", date(2025, 7, 21)))
    request = claims_pb2.RecordServiceRequest(
        request_id=client.new_id(),
        name=claim.name,
        service_date=date_pb2.Date(year=2025, month=7, day=18),
    )
    served = (await client.claims("adjudicator").RecordService(request)).determination
    request.request_id = client.new_id()
    problem = await refused(client.claims("adjudicator").RecordService(request))

    assert served.service_due_date == date_pb2.Date(year=2025, month=8, day=5)
    assert served.review_due_date == date_pb2.Date(year=2025, month=9, day=16)
    assert served.reconsideration_due_date == date_pb2.Date(year=2025, month=9, day=16)
    assert served.litigation_due_date == date_pb2.Date(year=2026, month=1, day=19)
    assert problem.reason == "ALREADY_SERVED"


async def test_alerts_and_the_reckoning_of_the_due_date_are_shown_to_the_adjudicator(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n17", "10:00", "10:40"))
    await file(client, worker, at("10:00", DAY - timedelta(days=1)))
    claim = await file(client, worker, at("10:01"))

    shown = await get_claim(client, claim)
    hidden = await get_claim(client, claim, "platform", A)

    assert [finding.inputs[0].value for finding in shown.alerts] == [
        "other_claims",
        "order_just_accepted",
    ]
    assert not hidden.alerts
    assert shown.time_limit.parameters[0].name == "document_check_time"
    assert "2025-07-31" in shown.time_limit.text


async def test_a_supplement_stops_the_check_and_is_requested_once(client: StackClient) -> None:
    worker = await enrol(client, A)
    filed = await file(client, worker, at("10:20"))
    requested = await request_evidence(client, filed, "diagnosis")
    client.clock.set(at("09:00", DAY + timedelta(days=8)))
    await add_evidence(client, requested, claims_pb2.Evidence.DIAGNOSIS)
    replied = await get_claim(client, filed)
    problem = await refused(request_evidence(client, filed, "invoice"))

    assert filed.due_date == date_pb2.Date(year=2025, month=7, day=31)
    assert requested.step == claims_pb2.Claim.EVIDENCE_REPLY
    assert requested.due_date == date_pb2.Date(year=2025, month=8, day=6)
    assert replied.state == claims_pb2.Claim.FILED
    assert replied.due_date == date_pb2.Date(year=2025, month=8, day=7)
    assert problem.reason == "EVIDENCE_REQUESTED_ONCE"


async def test_a_stay_stops_the_time_and_a_resumption_moves_its_end(client: StackClient) -> None:
    worker = await enrol(client, A)
    accepted = await accept(client, await file(client, worker, at("10:20")))
    adjudicator = client.claims("adjudicator")
    stayed = await adjudicator.StayClaim(
        claims_pb2.StayClaimRequest(
            request_id=client.new_id(), name=accepted.name, reason="The police investigate."
        )
    )
    client.clock.set(at("09:00", date(2025, 7, 23)))
    resumed = await adjudicator.ResumeClaim(
        claims_pb2.ResumeClaimRequest(request_id=client.new_id(), name=accepted.name)
    )

    assert not stayed.HasField("due_date")
    assert stayed.remaining_days == 30
    assert resumed.due_date == date_pb2.Date(year=2025, month=9, day=3)


async def test_a_withdrawn_determination_stays_on_record(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n14", "10:00", "10:40"))
    first = await determine_at(client, worker, at("10:20"))
    adjudicator = client.claims("adjudicator")
    revoked = await adjudicator.RevokeDetermination(
        claims_pb2.RevokeDeterminationRequest(
            request_id=client.new_id(), name=first.name, reason="The harm was older."
        )
    )
    second = await determine(client, revoked, Enquiry(harm_established=False))
    both = await adjudicator.ListDeterminations(
        claims_pb2.ListDeterminationsRequest(claim=first.name)
    )

    assert revoked.state == claims_pb2.Claim.ACCEPTED
    assert revoked.determination.HasField("revoke_time")
    assert second.determination.outcome == claims_pb2.Determination.REFUSED
    assert [one.outcome for one in both.determinations] == [
        claims_pb2.Determination.CONFIRMED,
        claims_pb2.Determination.REFUSED,
    ]
    assert [one.HasField("revoke_time") for one in both.determinations] == [True, False]


async def test_all_invariants_hold_in_the_end(client: StackClient) -> None:
    assert await client.broken("claims") == []


async def test_a_death_after_the_filing_is_recorded_before_the_determination(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("n15", "10:00", "10:40"))
    accepted = await accept(client, await file(client, worker, at("10:20")))
    spouse = claims_pb2.Survivor(
        survivor_id="spouse",
        relation=claims_pb2.Survivor.SPOUSE,
        birth_date=date_pb2.Date(year=1969, month=5, day=2),
    )
    request = claims_pb2.RecordDeathRequest(
        request_id=client.new_id(),
        name=accepted.name,
        death_date=date_pb2.Date(year=2025, month=7, day=16),
        survivors=[spouse],
    )
    dead = await agent(client, worker).RecordDeath(request)
    claim = await determine(client, dead)
    seen = await get_claim(client, claim, "platform", A)
    request.request_id = client.new_id()
    problem = await refused(agent(client, worker).RecordDeath(request))

    assert dead.missing_documents == [
        claims_pb2.Evidence.DEATH_CERTIFICATE,
        claims_pb2.Evidence.KINSHIP_PROOF,
    ]
    event = await published_determination(client, claim.name)
    assert event.death_date == request.death_date
    assert list(event.survivors) == [spouse]
    assert not seen.survivors
    assert problem.reason == "TRANSITION_NOT_ALLOWED"
