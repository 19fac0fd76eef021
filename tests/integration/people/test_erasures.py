"""A worker is erased: who decides it, what stays, what can be read, and what is refused."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.claims.v1 import events_pb2 as claim_events
from oip.enrolment.v1 import enrolment_pb2
from oip.enrolment.v1 import events_pb2 as enrolment_events
from oip.grading.v1 import grading_pb2
from oip.operations.v1 import operations_pb2
from oip.type.v1 import type_pb2

from services.cli.verify import check_all
from services.kernel.identifiers import citizen_check
from services.kernel.periods import Month
from services.runtime.events import receiver
from services.runtime.rpc.wire import date_to_wire, enum_number, moment_to_wire, month_to_wire
from services.runtime.service import erasures, requests
from services.runtime.storage.key_sharing import Exchange
from tests.integration.claims.conftest import accept, agent, at, claim_request, enrol, send
from tests.integration.people.world import ORDER
from tests.support.appraisals import apply, register, specialist
from tests.support.command_line import Result, run_oip
from tests.support.platforms import SWIFT
from tests.support.stack_client import StackClient, refused

HOLDERS = ("claims", "grading", "benefits")
DOCUMENT = hashlib.sha256(b"the paper").digest()
ERASED = "PERSON_ERASED"
MONTH = Month(2025, 11)


@dataclass
class Person:
    """A worker with the names of all that is stored, and the words that were used."""

    worker: str
    number: int
    claim: str = ""
    filed: claims_pb2.CreateClaimRequest = field(default_factory=claims_pb2.CreateClaimRequest)
    appraisal: str = ""
    award: str = ""


@pytest.fixture(scope="module")
async def person(client: StackClient) -> Person:
    """A worker whose case has gone through every service and is paid."""
    await client.enrolment("administrator").RegisterPlatform(
        enrolment_pb2.RegisterPlatformRequest(
            request_id=client.new_id(),
            credit_code=SWIFT,
            display_name="Swift",
            industries=[enum_number(2)],
        )
    )
    await client.delivered()
    await register(client.grading("appraiser"), 5)
    return await confirmed(client, 71)


async def hurt(client: StackClient, number: int) -> Person:
    """A worker with a claim that nobody has decided."""
    worker = await enrol(client, SWIFT, number=number)
    await send(client, SWIFT, worker, (f"{ORDER}-{number}", "10:00", "10:40"))
    await client.delivered()
    request = claim_request(client, worker, at("10:20"), description=word(number, "description"))
    claim = await agent(client, worker).CreateClaim(request)
    return Person(f"workers/{worker}", number, claim.name, request)


def word(number: int, what: str) -> str:
    return f"{what} of {number}"


async def confirmed(client: StackClient, number: int) -> Person:
    person = await hurt(client, number)
    await agent(client, person.worker).AddEvidence(
        claims_pb2.AddEvidenceRequest(
            request_id=client.new_id(),
            claim=person.claim,
            kind=claims_pb2.Evidence.DIAGNOSIS,
            title=word(number, "title"),
            content_hash=bytes(32),
        )
    )
    await determine(client, person)
    return person


async def determine(client: StackClient, person: Person) -> None:
    claim = await get_claim(client, person)
    claim = await accept(client, claim)
    enquiry = claims_pb2.DetermineClaimRequest.Enquiry(
        harm_established=True, disability_expected=True
    )
    await client.claims("adjudicator").DetermineClaim(
        claims_pb2.DetermineClaimRequest(
            request_id=client.new_id(), name=claim.name, revision=claim.revision, enquiry=enquiry
        )
    )
    await client.delivered()


async def get_claim(client: StackClient, person: Person) -> claims_pb2.Claim:
    request = claims_pb2.GetClaimRequest(name=person.claim)
    return await client.claims("adjudicator").GetClaim(request)


async def appraised(client: StackClient, person: Person) -> None:
    """Grade 10 without care: one grant, paid once."""
    stub = client.grading("appraiser")
    opened = await apply(client, person.claim)
    person.appraisal = opened.name
    assert await obstacles(client, person) == "APPRAISAL_OPEN"
    await stub.ExtendAppraisal(
        grading_pb2.ExtendAppraisalRequest(
            request_id=client.new_id(), name=opened.name, reason=word(person.number, "note")
        )
    )
    drawn = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=client.new_id(), name=opened.name)
    )
    for seat in drawn.panel:
        request = grading_pb2.RecordOpinionRequest(
            request_id=client.new_id(),
            name=opened.name,
            opinion=grading_pb2.Opinion(
                specialist=seat.name, impairments=[grading_pb2.Opinion.Impairment(item="10.5")]
            ),
        )
        seen = await specialist(client, seat).RecordOpinion(request)
    await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id=client.new_id(), name=opened.name, revision=seen.revision
        )
    )
    await client.delivered()


async def paid(client: StackClient, person: Person) -> None:
    stub = client.benefits("fund_officer")
    award = await stub.GrantExpense(bill(client, person, "1"))
    person.award = award.name
    assert await obstacles(client, person) == "AWARD_IN_PAYMENT"
    await stub.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(request_id=client.new_id(), month=month_to_wire(MONTH))
    )
    await client.delivered()


def bill(client: StackClient, person: Person, part: str) -> benefits_pb2.GrantExpenseRequest:
    return benefits_pb2.GrantExpenseRequest(
        request_id=client.new_id(),
        claim=person.claim,
        kind=benefits_pb2.MEDICAL_BENEFIT,
        expense_date=date_to_wire(date(2025, 7, 20)),
        allowed_cost_fen=50_000,
        bill_number=f"{person.number}-{part}",
        institution="First Hospital",
    )


def erasing(client: StackClient, person: Person, **fields: Any) -> enrolment_pb2.EraseWorkerRequest:
    plain = {
        "request_id": client.new_id(),
        "name": person.worker,
        "code": type_pb2.RETENTION_ENDED,
        "document_number": "粤社保 2025-17",
        "document_hash": DOCUMENT,
    }
    return enrolment_pb2.EraseWorkerRequest(**{**plain, **fields})


async def erase(client: StackClient, person: Person) -> enrolment_pb2.Erasure:
    erasure = await client.enrolment("administrator").EraseWorker(erasing(client, person))
    await client.delivered()
    return erasure


async def obstacles(client: StackClient, person: Person) -> str:
    """Why the worker may not be erased now."""
    await client.delivered()
    stub = client.enrolment("administrator")
    problem = await refused(stub.EraseWorker(erasing(client, person)))
    assert problem.reason == "WORKER_HAS_OPEN_CASES", problem
    return problem.metadata["obstacles"]


async def live_keys(client: StackClient, service: str) -> int:
    return int((await client.rows(service, "select count(wrapped) from data_key"))[0][0])


async def copies(client: StackClient, service: str, producer: str) -> int:
    question = "select count(wrapped) from producer_key where producer = :producer"
    return int((await client.rows(service, question, producer=producer))[0][0])


async def events_of(client: StackClient, service: str) -> list[Any]:
    question = "select pub_seq, payload, signature, fingerprint from outbox order by id"
    return [tuple(map(bytes, row[1:])) for row in await client.rows(service, question)]


async def verified(client: StackClient) -> list[str]:
    """The invariants that do not hold, of the services and between them."""
    names = list(client.services)
    verification = await check_all(client.channels("administrator"), names)
    return [f"{name} {check.invariant}" for name, check in verification.rows if not check.holds]


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
        assert (row.name, row.maker, row.signer, row.obstacle) == (
            person.worker,
            erasure.maker_member,
            erasure.signer_member,
            "",
        )
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


@pytest.mark.usefixtures("person")
async def test_the_command_line_records_an_erasure_that_another_person_signs(
    client: StackClient, tmp_path: Path
) -> None:
    worker = f"workers/{await enrol(client, SWIFT, number=78)}"
    paper = tmp_path / "decision.pdf"
    paper.write_bytes(b"the paper")

    async def oip(subject: str, *arguments: str) -> Result:
        token = client.stack.issuer.issue(subject, ["administrator"])
        return await run_oip(client.stack.settings.state_dir, "--token", token, *arguments)

    record = ["erasures", "record", worker, "--number", "粤社保 2025-19", "--document", str(paper)]
    wrong = await oip("li", *record, "--ground", "because")
    record += ["--ground", "retention-ended", "--request-id", "erase-78"]
    waits = await oip("li", *record)
    act = re.search(r"pendingActs/\w+", waits.output)
    assert act is not None, waits.output
    digest = re.search(r"\b[0-9a-f]{64}\b", (await oip("wu", "acts", "show", act[0])).output)
    assert digest is not None
    signed = await oip("wu", "acts", "sign", act[0], "--hash", digest[0])
    done = await oip("li", *record)
    await client.delivered()
    shown = await oip("li", "erasures", "list")

    assert wrong.exit_code == 2
    assert "choose one of purpose-ended" in wrong.stderr
    assert (signed.exit_code, done.exit_code) == (0, 0), signed.output + done.output
    assert f"{worker} was erased" in done.stdout
    assert DOCUMENT.hex() in shown.stdout
    assert worker in shown.stdout


def heard(client: StackClient, person: Person) -> enrolment_events.WorkerErased:
    """What enrolment publishes of an erasure."""
    event = enrolment_events.WorkerErased(
        worker=person.worker,
        code=type_pb2.ORDERED,
        document_number="2025-18",
        document_hash=DOCUMENT,
        maker_member="staffMembers/a",
        signer_member="staffMembers/b",
    )
    event.erase_time.CopyFrom(moment_to_wire(client.clock.now()))
    return event


async def state_of(client: StackClient, service: str) -> list[Any]:
    question = (
        "select name, erase_time, obstacle, (select count(*) from data_key where wrapped is null),"
        " (select count(*) from outbox) from erasure order by position"
    )
    return [tuple(row) for row in await client.rows(service, question)]


async def test_an_erasure_that_comes_twice_counts_once(client: StackClient, person: Person) -> None:
    before = [await state_of(client, name) for name in HOLDERS]
    for name in HOLDERS:
        await client.consume(name, heard(client, person))

    assert [await state_of(client, name) for name in HOLDERS] == before


@pytest.mark.usefixtures("person")
async def test_an_event_that_comes_after_the_erasure_has_no_effect(client: StackClient) -> None:
    """Benefits has heard of the erasure before the determination that claims publishes."""
    late = await hurt(client, 73)
    await client.consume("benefits", heard(client, late))
    await determine(client, late)

    question = "select from case_facts where worker = :worker"
    assert await client.rows("benefits", question, worker=late.worker) == []
    rows = await client.rows("benefits", "select action from audit where action like '%effect'")
    assert [row.action for row in rows] == ["oip.claims.v1.ClaimDetermined without effect"]
    assert await client.broken_common("benefits") == []


@pytest.mark.usefixtures("person")
async def test_a_key_that_was_erased_before_the_event_that_names_it(client: StackClient) -> None:
    """Grading and benefits drop a key that they do not have yet, and do not ask for it."""
    late = await hurt(client, 74)
    erased = await client.rows(
        "claims", "select id from data_key order by create_time desc limit 1"
    )
    event = claim_events.DataKeyErased(key=erased[0].id)
    await client.consume("grading", event)
    await determine(client, late)

    question = "select from injury where worker = :worker"
    assert await client.rows("grading", question, worker=late.worker) == []
    assert await client.rows("benefits", "select from case_facts where claim = :c", c=late.claim)
    assert await client.broken_common("grading") == []


@pytest.mark.usefixtures("person")
async def test_an_open_case_keeps_the_key_until_it_has_ended(client: StackClient) -> None:
    """A claim that was filed while enrolment decided: the erasure waits, and is completed."""
    late = await hurt(client, 75)
    await client.consume("claims", heard(client, late))
    (row,) = [row for row in await state_of(client, "claims") if row[0] == late.worker]
    assert (row[1], row[2]) == (None, f"CLAIM_OPEN {late.claim}")
    assert await client.broken_common("claims") == []
    context, declared = client.context("claims"), client.services["claims"].erasing
    assert declared is not None
    await erasures.complete_waiting(context, declared)
    assert (await get_claim(client, late)).description == word(75, "description")

    await determine(client, late)
    await erasures.complete_waiting(context, declared)

    assert (await get_claim(client, late)).description == ERASED
    assert await client.broken_common("claims") == []


@pytest.mark.usefixtures("person")
async def test_a_service_that_dies_while_it_erases_has_erased_nothing_or_all(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrolment dies before and after its commit, claims dies before its own."""
    worker = Person(f"workers/{await enrol(client, SWIFT, number=76)}", 76)
    request = erasing(client, worker)
    deaths: list[str] = []

    async def die(place: str) -> None:
        if place not in deaths:
            deaths.append(place)
            raise SystemError(place)

    with monkeypatch.context() as patch:
        patch.setattr(requests, "failpoint", die)
        patch.setattr(receiver, "failpoint", die)
        for _ in range(4):
            try:
                erasure = await client.enrolment("administrator").EraseWorker(request)
                break
            except Exception:  # noqa: BLE001 - the client sends the request again
                continue
        await client.delivered()

    assert {"requests.before_commit", "requests.after_commit", "listener.before_commit"} <= set(
        deaths
    )
    assert erasure.worker == worker.worker
    for name in ("enrolment", *HOLDERS):
        question = "select from erasure where name = :name and erase_time is not null"
        assert len(await client.rows(name, question, name=worker.worker)) == 1, name
        assert await client.broken_common(name) == [], name


@pytest.mark.usefixtures("person")
async def test_a_copy_of_the_database_brings_no_key_back_unseen(client: StackClient) -> None:
    late = Person(f"workers/{await enrol(client, SWIFT, number=77)}", 77)
    url = client.stack.settings.database_url
    question = "select id, wrapped, wrapping_key from enrolment.data_key order by create_time desc"
    async with await psycopg.AsyncConnection.connect(url) as connection:
        copy = await (await connection.execute(f"{question} limit 1")).fetchone()
    assert copy is not None
    await erase(client, late)

    async def restore(wrapped: bytes | None, wrapping_key: str | None) -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("set session_replication_role = replica")
            await connection.execute(
                "update enrolment.data_key set wrapped = %s, wrapping_key = %s where id = %s",
                (wrapped, wrapping_key, copy[0]),
            )

    await restore(copy[1], copy[2])
    try:
        assert await client.broken_common("enrolment") == ["I12-erased"]
    finally:
        await restore(None, None)
    assert await client.broken_common("enrolment") == []
