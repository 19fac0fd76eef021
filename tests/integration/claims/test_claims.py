"""The way of a claim over gRPC, from acceptance to a determination told to the others."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import grpc
import pytest
from google.type import date_pb2
from oip.claims.v1 import claims_pb2, events_pb2
from oip.orders.v1 import orders_pb2
from oip.type.v1 import type_pb2

from services.claims.__main__ import SERVICE
from services.runtime.rpc.wire import moment_to_wire
from tests.integration.claims.conftest import DAY, A, Office, at, reason_of, told

Enquiry = claims_pb2.DetermineClaimRequest.Enquiry
Judgement = claims_pb2.DetermineClaimRequest.Judgement


async def test_an_accident_within_an_order_is_confirmed_and_told(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n1", "10:00", "10:40"), ("n2", "11:00", "11:30"))
    report = await office.claims("worker_agent").ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=office.new_id(),
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(at("10:20")),
            place_of_injury="440106",
            description="Collision.",
        )
    )
    filed = await office.file(worker, at("10:20"), accident_report=report.name)
    accepted = await office.accept(filed)
    claim = await office.determine(
        accepted, Enquiry(harm_established=True, disability_expected=True)
    )

    assert not report.reported_late
    assert filed.state == claims_pb2.Claim.FILED
    assert filed.pooling_area == "440100"
    assert accepted.due_date == date_pb2.Date(year=2025, month=8, day=27)
    assert accepted.remaining_days == 30
    assert claim.state == claims_pb2.Claim.DETERMINED
    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert [order.under_way for order in claim.orders] == [True, False]
    assert [order.charge_percent for order in claim.orders] == [100, 0]
    assert claim.step == claims_pb2.Claim.STEP_UNSPECIFIED
    event = await told(office, claim.name)
    assert event.charges == [events_pb2.ClaimDetermined.Charge(platform=A, percent=100)]
    assert event.accident_date == date_pb2.Date(year=2025, month=7, day=15)
    assert event.determine_date == date_pb2.Date(year=2025, month=7, day=16)
    assert (event.pooling_area, event.place_of_injury) == ("440100", "440106")
    assert event.industry == type_pb2.INSTANT_DELIVERY
    assert event.disability_expected
    assert event.revision == claim.revision


async def test_an_accident_between_two_orders_is_refused_with_that_finding(
    office: Office,
) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n3", "10:00", "10:40"), ("n4", "11:00", "11:30"))

    claim = await office.determine(await office.accept(await office.file(worker, at("10:50"))))

    assert claim.determination.outcome == claims_pb2.Determination.REFUSED
    (finding,) = [one for one in claim.determination.findings if "between two orders" in one.text]
    assert finding.outcome == type_pb2.Finding.NOT_MET
    assert "两单之间" in finding.text_zh
    assert not (await told(office, claim.name)).charges


async def test_evidence_that_came_in_makes_a_revision_to_read(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n10", "10:00", "10:40"))
    accepted = await office.accept(await office.file(worker, at("10:20")))
    await office.add(accepted, claims_pb2.Evidence.INVOICE)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.determine(accepted)

    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert reason_of(caught.value) == "CLAIM_CHANGED"


async def test_order_records_that_arrive_later_have_to_be_read_first(office: Office) -> None:
    worker = await office.enrol(A)
    accepted = await office.accept(await office.file(worker, at("10:20")))
    office.clock.set(at("12:00", DAY + timedelta(days=1)))
    await office.send(A, worker, ("n11", "10:00", "10:40"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.determine(accepted)
    fresh = await office.claims("adjudicator").GetClaim(
        claims_pb2.GetClaimRequest(name=accepted.name)
    )
    claim = await office.determine(fresh)

    assert reason_of(caught.value) == "CLAIM_CHANGED"
    assert not accepted.orders
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
async def test_a_claim_rests_on_the_record_from_before_the_report(
    office: Office, change: dict[str, object], *, names_another: bool
) -> None:
    worker, another = await office.enrol(A), await office.enrol(A)
    order = (office.new_id(), "10:00", "10:40")
    # A platform's batches are never older than those before, whatever the clock says.
    office.clock.set(office.clock.now() + timedelta(hours=4, minutes=2 * office.count))
    await office.send(A, worker, order)
    claim = await office.file(worker, at("10:20"))
    office.clock.set(office.clock.now() + timedelta(minutes=1))
    await office.send(A, another if names_another else worker, order, revision=2, **change)

    claim = await office.accept(claim)
    (found,) = claim.orders
    assert (found.revision, found.under_way, found.late) == (1, True, False)
    (late,) = found.late_revisions
    assert (late.revision, late.late, late.under_way) == (2, True, False)
    assert late.other_worker == names_another
    read = await office.claims("adjudicator").GetClaim(claims_pb2.GetClaimRequest(name=claim.name))
    assert "order_changed_late" in [alert.inputs[0].value for alert in read.alerts]

    determined = await office.determine(claim)
    assert determined.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert [one.charge_percent for one in determined.orders] == [100]


async def test_an_order_reversed_between_accident_and_filing_is_for_a_person(
    office: Office,
) -> None:
    worker, number = await office.enrol(A), office.new_id()
    await office.send(A, worker, (number, "10:00", "10:40"))
    gone = {"state": orders_pb2.REVERSED, "reason": "test order"}
    await office.send(A, worker, (number, "10:00", "10:40"), revision=2, **gone)

    claim = await office.accept(await office.file(worker, at("10:20")))
    assert [(one.reversed, one.under_way) for one in claim.orders] == [(True, False)]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await office.determine(claim)
    assert reason_of(refused.value) == "FINDINGS_OPEN"


async def test_what_the_rules_leave_to_a_person_needs_a_judgement(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n12", "10:00", "10:40"))
    filed = await office.file(worker, at("10:20"), situation=claims_pb2.VIOLENCE)
    accepted = await office.accept(filed)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.determine(accepted)
    claim = await office.determine(
        accepted,
        judgements=(Judgement(finding="because_of_service", met=True, reason="Witnesses agree."),),
    )

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "because_of_service" in (caught.value.details() or "")
    assert claim.determination.outcome == claims_pb2.Determination.CONFIRMED
    assert "Witnesses agree." in str(claim.determination)


async def test_two_adjudicators_at_once_make_one_determination(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n13", "10:00", "10:40"))
    accepted = await office.accept(await office.file(worker, at("10:20")))

    answers = await asyncio.gather(
        *(office.determine(accepted) for _ in range(4)), return_exceptions=True
    )
    refused = [one for one in answers if isinstance(one, grpc.aio.AioRpcError)]
    both = await office.claims("adjudicator").ListDeterminations(
        claims_pb2.ListDeterminationsRequest(claim=accepted.name)
    )

    assert len(refused) == 3
    assert {reason_of(one) for one in refused} <= {"TRANSITION_NOT_ALLOWED", "RECORD_BUSY"}
    assert len(both.determinations) == 1


async def test_remedies_run_from_the_service_of_the_conclusion(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n16", "10:00", "10:40"))
    claim = await office.determine(await office.accept(await office.file(worker, at("10:20"))))
    office.clock.set(at("09:00", date(2025, 7, 21)))
    request = claims_pb2.RecordServiceRequest(
        request_id=office.new_id(),
        name=claim.name,
        service_date=date_pb2.Date(year=2025, month=7, day=18),
    )
    served = (await office.claims("adjudicator").RecordService(request)).determination
    request.request_id = office.new_id()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("adjudicator").RecordService(request)

    assert served.service_due_date == date_pb2.Date(year=2025, month=8, day=5)
    assert served.review_due_date == date_pb2.Date(year=2025, month=9, day=16)
    assert served.reconsideration_due_date == date_pb2.Date(year=2025, month=9, day=16)
    assert served.litigation_due_date == date_pb2.Date(year=2026, month=1, day=19)
    assert reason_of(caught.value) == "ALREADY_SERVED"


async def test_alerts_and_the_reckoning_of_the_due_date_are_shown_to_the_adjudicator(
    office: Office,
) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n17", "10:00", "10:40"))
    await office.file(worker, at("10:20"))
    claim = await office.file(worker, at("10:01"))
    get = claims_pb2.GetClaimRequest(name=claim.name)

    shown = await office.claims("adjudicator").GetClaim(get)
    hidden = await office.claims("platform", A).GetClaim(get)

    assert [finding.inputs[0].value for finding in shown.alerts] == [
        "other_claims",
        "order_just_accepted",
    ]
    assert not hidden.alerts
    assert shown.time_limit.parameters[0].name == "document_check_time"
    assert "2025-07-23" in shown.time_limit.text


async def test_a_supplement_stops_the_check_and_is_asked_for_once(office: Office) -> None:
    worker = await office.enrol(A)
    filed = await office.file(worker, at("10:20"))
    desk = office.claims("adjudicator")
    asked = await desk.RequestEvidence(
        claims_pb2.RequestEvidenceRequest(
            request_id=office.new_id(), name=filed.name, items=["diagnosis"]
        )
    )
    office.clock.set(at("09:00", DAY + timedelta(days=8)))
    await office.add(asked, claims_pb2.Evidence.DIAGNOSIS)
    back = await desk.GetClaim(claims_pb2.GetClaimRequest(name=filed.name))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await desk.RequestEvidence(
            claims_pb2.RequestEvidenceRequest(
                request_id=office.new_id(), name=filed.name, items=["invoice"]
            )
        )

    assert filed.due_date == date_pb2.Date(year=2025, month=7, day=23)
    assert asked.step == claims_pb2.Claim.EVIDENCE_REPLY
    assert asked.due_date == date_pb2.Date(year=2025, month=8, day=6)
    assert back.state == claims_pb2.Claim.FILED
    assert back.due_date == date_pb2.Date(year=2025, month=7, day=30)
    assert reason_of(caught.value) == "EVIDENCE_REQUESTED_ONCE"


async def test_a_stay_stops_the_time_and_a_resumption_moves_its_end(office: Office) -> None:
    worker = await office.enrol(A)
    accepted = await office.accept(await office.file(worker, at("10:20")))
    desk = office.claims("adjudicator")
    stayed = await desk.StayClaim(
        claims_pb2.StayClaimRequest(
            request_id=office.new_id(), name=accepted.name, reason="The police investigate."
        )
    )
    office.clock.set(at("09:00", date(2025, 7, 23)))
    resumed = await desk.ResumeClaim(
        claims_pb2.ResumeClaimRequest(request_id=office.new_id(), name=accepted.name)
    )

    assert not stayed.HasField("due_date")
    assert stayed.remaining_days == 30
    assert resumed.due_date == date_pb2.Date(year=2025, month=9, day=3)


async def test_a_withdrawn_determination_stays_beside_the_new_one(office: Office) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n14", "10:00", "10:40"))
    first = await office.determine(await office.accept(await office.file(worker, at("10:20"))))
    desk = office.claims("adjudicator")
    revoked = await desk.RevokeDetermination(
        claims_pb2.RevokeDeterminationRequest(
            request_id=office.new_id(), name=first.name, reason="The harm was older."
        )
    )
    second = await office.determine(revoked, Enquiry(harm_established=False))
    both = await desk.ListDeterminations(claims_pb2.ListDeterminationsRequest(claim=first.name))

    assert revoked.state == claims_pb2.Claim.ACCEPTED
    assert revoked.determination.HasField("revoke_time")
    assert second.determination.outcome == claims_pb2.Determination.REFUSED
    assert [one.outcome for one in both.determinations] == [
        claims_pb2.Determination.CONFIRMED,
        claims_pb2.Determination.REFUSED,
    ]
    assert [one.HasField("revoke_time") for one in both.determinations] == [True, False]


async def test_all_invariants_hold_in_the_end(office: Office) -> None:
    async with office.stack.running["claims"].database.begin() as tx:
        checks = await SERVICE.verify(tx)

    assert [check for check in checks if not check.holds] == []


async def test_a_death_after_the_filing_is_recorded_before_the_determination(
    office: Office,
) -> None:
    worker = await office.enrol(A)
    await office.send(A, worker, ("n15", "10:00", "10:40"))
    accepted = await office.accept(await office.file(worker, at("10:20")))
    spouse = claims_pb2.Survivor(
        survivor_id="spouse",
        relation=claims_pb2.Survivor.SPOUSE,
        birth_date=date_pb2.Date(year=1969, month=5, day=2),
    )
    request = claims_pb2.RecordDeathRequest(
        request_id=office.new_id(),
        name=accepted.name,
        death_date=date_pb2.Date(year=2025, month=7, day=16),
        survivors=[spouse],
    )
    dead = await office.claims("worker_agent").RecordDeath(request)
    claim = await office.determine(dead)
    seen = await office.claims("platform", A).GetClaim(claims_pb2.GetClaimRequest(name=claim.name))
    request.request_id = office.new_id()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await office.claims("worker_agent").RecordDeath(request)

    assert dead.missing_documents == [
        claims_pb2.Evidence.DEATH_CERTIFICATE,
        claims_pb2.Evidence.KINSHIP_PROOF,
    ]
    event = await told(office, claim.name)
    assert event.death_date == request.death_date
    assert list(event.survivors) == [spouse]
    assert not seen.survivors
    assert reason_of(caught.value) == "TRANSITION_NOT_ALLOWED"
