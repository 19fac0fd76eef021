"""A worker is erased: who decides it, what stays, what can be read, and what is refused."""

from __future__ import annotations

from datetime import date

import pytest
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.grading.v1 import grading_pb2
from oip.operations.v1 import operations_pb2
from oip.type.v1 import type_pb2

from services.kernel.identifiers import citizen_check
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire
from services.runtime.storage.key_sharing import Exchange
from tests.integration.claims.conftest import agent, at, claim_request
from tests.integration.people.erasures import (
    DOCUMENT,
    ERASED,
    HOLDERS,
    Person,
    appraised,
    bill,
    confirmed,
    copies,
    erase,
    erasing,
    events_of,
    get_claim,
    hurt,
    live_keys,
    obstacles,
    paid,
    register_swift,
    verified,
)
from tests.support.appraisals import apply
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, refused


@pytest.fixture(scope="module")
async def person(client: StackClient) -> Person:
    """A worker whose claim is confirmed."""
    await register_swift(client)
    return await confirmed(client, 71)


async def test_a_case_of_a_worker_who_may_not_be_erased_yet(
    client: StackClient, person: Person
) -> None:
    """Claim, appraisal and payment keep the worker, each with its reason."""
    other = await hurt(client, 72)
    assert await obstacles(client, other) == "CLAIM_OPEN"
    await appraised(client, person)
    await paid(client, person)


async def test_nobody_else_may_erase_a_worker_and_one_person_is_not_enough(
    client: StackClient, person: Person
) -> None:
    request = erasing(client, person)
    for role in ("adjudicator", "appraiser", "fund_approver", "platform"):
        stub = client.enrolment(role, platform=SWIFT if role == "platform" else "")
        assert (await refused(stub.EraseWorker(request))).reason == "FORBIDDEN"
    for wrong in (
        {"code": 0},
        {"document_number": ""},
        {"document_hash": b"x"},
        {"name": "workers/1"},
        {"name": "workers/x"},
    ):
        stub = client.enrolment("administrator")
        problem = await refused(stub.EraseWorker(erasing(client, person, **wrong)))
        assert problem.reason in {"MALFORMED", "NOT_FOUND", "FIELD_MISSING"}, (wrong, problem)
    client.signs = False
    try:
        stub = client.enrolment("fund_officer")
        problem = await refused(stub.EraseWorker(erasing(client, person)))
    finally:
        client.signs = True
    assert problem.reason == "SECOND_SIGNATURE_NEEDED"
    assert not (await client.rows("enrolment", "select from erasure"))
    await client.operations("enrolment", "administrator", subject="second").WithdrawAct(
        operations_pb2.WithdrawActRequest(
            request_id=client.new_id(), name=problem.metadata["pending_act"], reason="not yet"
        )
    )


async def test_an_erased_worker_has_no_key_anywhere_and_nothing_else_changes(
    client: StackClient, person: Person
) -> None:
    keys = {name: await live_keys(client, name) for name in ("enrolment", *HOLDERS)}
    pairs = [("claims", "grading"), ("claims", "benefits"), ("grading", "benefits")]
    shared = [await copies(client, consumer, producer) for producer, consumer in pairs]
    published = {name: await events_of(client, name) for name in client.services}

    erasure = await erase(client, person)

    assert (erasure.worker, erasure.code) == (person.worker, type_pb2.RETENTION_ENDED)
    assert erasure.maker_member != erasure.signer_member != ""
    assert {name: await live_keys(client, name) for name in keys} == {
        name: count - 1 for name, count in keys.items()
    }
    assert [await copies(client, consumer, producer) for producer, consumer in pairs] == [
        count - 1 for count in shared
    ]
    for name, before in published.items():
        assert (await events_of(client, name))[: len(before)] == before, name
    for name in HOLDERS:
        (row,) = await client.rows(name, "select * from erasure")
        assert (row.name, row.code, row.document_number, bytes(row.document_hash)) == (
            person.worker,
            type_pb2.RETENTION_ENDED,
            erasure.document_number,
            DOCUMENT,
        )
        assert (row.erase_time is not None, row.obstacle) == (True, "")
    assert await verified(client) == []
    listed = await client.enrolment("fund_officer").ListErasures(
        enrolment_pb2.ListErasuresRequest()
    )
    assert [row.worker for row in listed.erasures] == [person.worker]
    again = await refused(client.enrolment("administrator").EraseWorker(erasing(client, person)))
    assert again.reason == "WORKER_ERASED_BEFORE"


async def test_every_reader_shows_that_the_worker_was_erased(
    client: StackClient, person: Person
) -> None:
    enrolment, claims = client.enrolment("adjudicator"), client.claims("adjudicator")
    grading, benefits = client.grading("appraiser"), client.benefits("fund_officer")
    platform = f"platforms/{SWIFT}"

    worker = await enrolment.GetWorker(enrolment_pb2.GetWorkerRequest(name=person.worker))
    assert (worker.erased, worker.masked_document_number) == (True, ERASED)
    listed = await enrolment.ListWorkers(enrolment_pb2.ListWorkersRequest(platform=platform))
    assert [row.name for row in listed.workers if row.erased] == [person.worker]
    claim = await get_claim(client, person)
    assert (claim.erased, claim.description) == (True, ERASED)
    assert list(claim.determination.findings) == []
    evidence = await claims.ListEvidence(claims_pb2.ListEvidenceRequest(claim=person.claim))
    assert [row.title for row in evidence.evidence] == [ERASED]
    queue = await claims.ListClaims(claims_pb2.ListClaimsRequest())
    assert {row.name: row.erased for row in queue.claims}[person.claim]
    filings = await client.accidents("adjudicator").ListFilings(
        accidents_pb2.ListFilingsRequest(claim=person.claim)
    )
    assert [row.description for row in filings.filings] == [ERASED]
    appraisal = await grading.GetAppraisal(grading_pb2.GetAppraisalRequest(name=person.appraisal))
    assert (appraisal.erased, list(appraisal.findings)) == (True, [])
    assert [note.text for note in appraisal.notes] == [ERASED]
    assert not any(opinion.impairments for opinion in appraisal.opinions)
    all_appraisals = await grading.ListAppraisals(grading_pb2.ListAppraisalsRequest())
    assert [row.erased for row in all_appraisals.appraisals] == [True]
    award = await benefits.GetAward(benefits_pb2.GetAwardRequest(name=person.award))
    assert (award.erased, list(award.findings)) == (True, [])
    assert (await benefits.ListAwards(benefits_pb2.ListAwardsRequest(claim=person.claim))).awards
    for service in client.services:
        acts = await client.operations(
            service, *("administrator", "fund_approver")
        ).ListPendingActs(operations_pb2.ListPendingActsRequest(include_ended=True))
        for act in acts.pending_acts:
            stub = client.operations(service, "administrator", "fund_approver")
            await stub.GetPendingAct(operations_pb2.GetPendingActRequest(name=act.name))


async def test_nothing_more_is_stored_of_an_erased_worker(
    client: StackClient, person: Person
) -> None:
    """Each refusal has a code and says what to do; the answers stored before are gone."""
    claims, benefits = client.claims("adjudicator"), client.benefits("fund_officer")
    reasons = [
        (await refused(call)).reason
        for call in (
            agent(client, person.worker).CreateClaim(person.filed),
            agent(client, person.worker).CreateClaim(
                claim_request(client, int(person.worker.partition("/")[2]), at("15:20"))
            ),
            claims.RevokeDetermination(
                claims_pb2.RevokeDeterminationRequest(
                    request_id=client.new_id(), name=person.claim, reason="wrong"
                )
            ),
            benefits.GrantExpense(bill(client, person, "2")),
            apply(client, previous=person.appraisal, level=grading_pb2.Appraisal.RE_APPRAISAL),
        )
    ]

    assert reasons == [
        "DATA_KEY_ERASED",
        "WORKER_UNKNOWN",
        ERASED,
        ERASED,
        ERASED,
    ]


@pytest.mark.usefixtures("person")
async def test_a_destroyed_key_is_refused_to_a_consumer(client: StackClient) -> None:
    (row,) = await client.rows("claims", "select id from data_key where wrapped is null")
    stub = client.operations("claims", "service", subject="services/grading")
    request = operations_pb2.FindDataKeysRequest(keys=[row.id], public_key=Exchange().public_key)

    problem = await refused(stub.FindDataKeys(request))

    assert (problem.reason, problem.metadata["keys"]) == ("DATA_KEY_ERASED", row.id)
    stranger = client.operations("claims", "service", subject="services/premiums")
    assert (await refused(stranger.FindDataKeys(request))).reason == "NOT_A_CONSUMER"


@pytest.mark.usefixtures("person")
async def test_others_are_paid_and_planned_as_before(client: StackClient) -> None:
    stub = client.benefits("fund_officer")
    client.set_day(date(2025, 12, 15))
    await stub.IndexAwards(benefits_pb2.IndexAwardsRequest(request_id=client.new_id()))
    run = await stub.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(
            request_id=client.new_id(), month=month_to_wire(Month(2025, 12))
        )
    )
    await client.delivered()

    assert run.payment_count == 0
    assert await verified(client) == []


async def test_the_person_who_comes_again_is_a_new_worker(
    client: StackClient, person: Person
) -> None:
    body = f"44010619900101{person.number:03d}"
    answer = await client.enrolment("platform", platform=SWIFT).EnrolWorkers(
        enrolment_pb2.EnrolWorkersRequest(
            request_id=client.new_id(),
            platform=f"platforms/{SWIFT}",
            rows=[
                enrolment_pb2.EnrolWorkersRequest.Row(
                    worker_number="again", document_number=body + citizen_check(body)
                )
            ],
        )
    )

    (outcome,) = answer.outcomes
    assert outcome.status == enrolment_pb2.EnrolWorkersResponse.CREATED
    assert f"workers/{outcome.worker}" != person.worker
