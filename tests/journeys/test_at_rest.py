"""Nothing that is said of a person rests in the clear: not in a table, the WAL, the streams, a log.

Words through every field that a README calls encrypted, in requests as people make them; then every
column of every schema and every file of the deployment is searched for them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.message import Message
from google.type import date_pb2
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.grading.v1 import grading_pb2
from oip.operations.v1 import operations_pb2
from oip.staff.v1 import staff_pb2

from services.__main__ import all_services
from services.kernel.identifiers import citizen_check
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.wire import enum_number, moment_to_wire
from services.runtime.storage.key_file import add_key
from tests.integration.claims.conftest import A, accept, agent, at, get_claim, send
from tests.support import at_rest
from tests.support.appraisals import an_opinion, apply, register, specialist
from tests.support.limits import ROOMY
from tests.support.stack_client import StackClient, stack_client
from tests.support.staff import store_entries, usual_entries

BIRTH = date_pb2.Date(year=1931, month=3, day=17)
DETERMINE = claims_pb2.DetermineClaimRequest


@dataclass
class Case:
    """A province in which everything was said of two persons, and the words that were used."""

    client: StackClient
    folder: Path
    words: dict[str, bytes] = field(default_factory=dict)

    def word(self, name: str) -> str:
        """A text that stands nowhere else."""
        text = f"canary {name} 金丝雀"
        self.words[name] = text.encode()
        return text

    def findings(self, name: str, message: Message) -> None:
        """The texts of the findings of an answer, which say what was found of the person."""
        for number, finding in enumerate(message.findings):  # type: ignore[attr-defined]
            self.words[f"{name} finding {number}"] = finding.text.encode()
            self.words[f"{name} finding {number} zh"] = finding.text_zh.encode()


@pytest.fixture(scope="module")
async def case(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Case]:
    folder = tmp_path_factory.mktemp("at-rest")
    clock = SetClock(datetime(2025, 7, 16, 1, 0, tzinfo=UTC))
    async with stack_client(
        all_services(), Settings(state_dir=folder, limits=ROOMY), clock
    ) as client:
        running = client.stack
        await store_entries(running.settings.database_url, running.contexts, usual_entries())
        case = Case(client, folder)
        await _staff(case)
        hurt, dead = await _workers(case)
        injury = await _injury(case, hurt)
        await _death(case, dead)
        await client.delivered()
        await _appraisal(case, injury)
        await client.delivered()
        await _benefits(case, injury)
        yield case


async def _staff(case: Case) -> None:
    body = "44010619800202001"
    number = body + citizen_check(body)
    case.words["identity number of a member"] = number.encode()
    await case.client.staff("administrator").RegisterStaffMember(
        staff_pb2.RegisterStaffMemberRequest(
            request_id="member",
            display_name=case.word("name of a member"),
            identity_number=number,
            accounts=[staff_pb2.Account(issuer="https://idp.example", subject="canary")],
        )
    )


async def _workers(case: Case) -> list[int]:
    client = case.client
    await client.enrolment("administrator").RegisterPlatform(
        enrolment_pb2.RegisterPlatformRequest(
            request_id="platform",
            credit_code=A,
            display_name="a platform",
            industries=[enum_number(2)],
        )
    )
    rows = []
    for number in (31, 32):
        body = f"44010619900101{number:03d}"
        document, phone = body + citizen_check(body), f"139{number}876543"
        case.words[f"document number {number}"] = document.encode()
        case.words[f"telephone {number}"] = phone.encode()
        rows.append(
            enrolment_pb2.EnrolWorkersRequest.Row(
                worker_number=f"w{number}",
                document_number=document,
                phone=phone,
                enrol_date=date_pb2.Date(year=2025, month=7, day=1),
            )
        )
    answer = await client.enrolment("platform", platform=A).EnrolWorkers(
        enrolment_pb2.EnrolWorkersRequest(
            request_id="workers", platform=f"platforms/{A}", rows=rows
        )
    )
    await client.delivered()
    workers = [outcome.worker for outcome in answer.outcomes]
    for worker in workers:
        await send(client, A, worker, (f"n{worker}", "10:00", "10:40"))
    await client.delivered()
    return workers


async def _filed(case: Case, worker: int, name: str, moment: str = "10:20") -> claims_pb2.Claim:
    client = case.client
    return await agent(client, worker).CreateClaim(
        claims_pb2.CreateClaimRequest(
            request_id=client.new_id(),
            claimant_kind=claims_pb2.WORKER,
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(at(moment)),
            place_of_injury="440106",
            description=case.word(f"{name}: description"),
        )
    )


async def _injury(case: Case, worker: int) -> claims_pb2.Claim:
    """Reported, filed, contested, stayed, determined, withdrawn and determined again."""
    client = case.client
    adjudicator = client.claims("adjudicator")
    await agent(client, worker).ReportAccident(
        claims_pb2.ReportAccidentRequest(
            request_id=client.new_id(),
            worker=f"workers/{worker}",
            accident_time=moment_to_wire(at("10:20")),
            place_of_injury="440106",
            description=case.word("report: description"),
        )
    )
    first = await _filed(case, worker, "injury")
    second = await _filed(case, worker, "second filing", "12:20")
    # An order that is changed after the accident leaves a question to a person.
    client.clock.set(client.clock.now() + timedelta(minutes=1))
    order = f"n{worker}", "10:00", "10:15"
    await send(client, A, worker, order, revision=2)
    await agent(client, worker).AddEvidence(
        claims_pb2.AddEvidenceRequest(
            request_id=client.new_id(),
            claim=first.name,
            kind=claims_pb2.Evidence.INVOICE,
            title=case.word("evidence: title"),
            content_hash=bytes(32),
        )
    )
    await client.accidents("worker_agent", person=f"workers/{worker}").ContestFiling(
        accidents_pb2.ContestFilingRequest(
            request_id=client.new_id(), name=second.name, reason=case.word("contest: reason")
        )
    )
    await client.accidents("adjudicator").AnswerFiling(
        accidents_pb2.AnswerFilingRequest(
            request_id=client.new_id(),
            name=second.name,
            answer=accidents_pb2.DISTINCT,
            code=accidents_pb2.TWO_EVENTS,
            distinct_from=[first.name],
            reason=case.word("answer: reason"),
        )
    )
    await adjudicator.RequestEvidence(
        claims_pb2.RequestEvidenceRequest(
            request_id=client.new_id(), name=first.name, items=[case.word("requested evidence")]
        )
    )
    accepted = await accept(client, first)
    await adjudicator.StayClaim(
        claims_pb2.StayClaimRequest(
            request_id=client.new_id(), name=accepted.name, reason=case.word("stay: reason")
        )
    )
    await adjudicator.ResumeClaim(
        claims_pb2.ResumeClaimRequest(request_id=client.new_id(), name=accepted.name)
    )
    determined = await _determine(case, accepted, "first judgement: reason")
    await adjudicator.RevokeDetermination(
        claims_pb2.RevokeDeterminationRequest(
            request_id=client.new_id(),
            name=determined.name,
            reason=case.word("revocation: reason"),
        )
    )
    claim = await _determine(case, accepted, "judgement: reason")
    case.findings("determination", claim.determination)
    return claim


async def _determine(case: Case, claim: claims_pb2.Claim, name: str = "") -> claims_pb2.Claim:
    """Determine a claim, with a judgement of this name where the rules leave one to a person."""
    client = case.client
    fresh = await get_claim(client, claim)
    judgements = []
    if name:
        reason = case.word(name)
        judgements = [DETERMINE.Judgement(finding="order_execution", met=True, reason=reason)]
    return await client.claims("adjudicator").DetermineClaim(
        DETERMINE(
            request_id=client.new_id(),
            name=fresh.name,
            revision=fresh.revision,
            enquiry=DETERMINE.Enquiry(harm_established=True, disability_expected=True),
            judgements=judgements,
        )
    )


async def _death(case: Case, worker: int) -> None:
    client = case.client
    accepted = await accept(client, await _filed(case, worker, "death"))
    case.words["birth date of a survivor"] = b"1931-03-17"
    case.words["birth date of a survivor in a message"] = BIRTH.SerializeToString()
    dead = await agent(client, worker).RecordDeath(
        claims_pb2.RecordDeathRequest(
            request_id=client.new_id(),
            name=accepted.name,
            death_date=date_pb2.Date(year=2025, month=7, day=16),
            survivors=[
                claims_pb2.Survivor(
                    survivor_id="mother",
                    relation=claims_pb2.Survivor.PARENT,
                    birth_date=BIRTH,
                    totally_disabled=True,
                )
            ],
        )
    )
    await _determine(case, dead)


async def _appraisal(case: Case, claim: claims_pb2.Claim) -> None:
    client = case.client
    client.set_day(date(2025, 9, 1))
    stub = client.grading("appraiser")
    await register(stub, 5)
    await client.delivered()
    opened = await apply(client, claim.name)
    await stub.ExtendAppraisal(
        grading_pb2.ExtendAppraisalRequest(
            request_id="more", name=opened.name, reason=case.word("note: reason")
        )
    )
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name))
    case.words["opinion"] = b'"9.23"'
    case.words["opinion in a message"] = (
        grading_pb2.Opinion.Impairment(item="9.23").SerializeToString() + b"\x12\x06\x0a\x049.24"
    )
    seen = 0
    for seat in drawn.panel:
        opinion = an_opinion(f"{seat.name}/opinion", opened.name, seat.name)
        seen = (await specialist(client, seat).RecordOpinion(opinion)).revision
    concluded = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(request_id="conclude", name=opened.name, revision=seen)
    )
    case.findings("appraisal", concluded)


async def _benefits(case: Case, claim: claims_pb2.Claim) -> None:
    stub = case.client.benefits("fund_officer")
    listed = await stub.ListAwards(benefits_pb2.ListAwardsRequest(claim=claim.name))
    assert listed.awards
    for award in listed.awards:
        whole = await stub.GetAward(benefits_pb2.GetAwardRequest(name=award.name))
        case.findings(f"award {award.kind}", whole)


async def test_no_table_has_what_was_said_of_a_person(case: Case) -> None:
    url = case.client.stack.settings.database_url

    assert len(case.words) > 30
    assert await at_rest.in_tables(url, {"known": A.encode()})
    assert await at_rest.in_tables(url, case.words) == []


async def test_no_file_has_what_was_said_of_a_person(case: Case) -> None:
    await at_rest.flushed(case.client.stack.settings.database_url)
    known = {trace.place for trace in at_rest.in_files([case.folder], {"known": A.encode()})}

    assert any("pg_wal" in place for place in known)
    assert any("jetstream" in place for place in known)
    assert at_rest.in_files([case.folder], case.words) == []


async def test_the_persons_who_may_read_it_still_do(case: Case) -> None:
    client = case.client
    listed = await client.claims("adjudicator").ListClaims(claims_pb2.ListClaimsRequest())
    texts = [
        (await client.claims("adjudicator").GetClaim(claims_pb2.GetClaimRequest(name=row.name)))
        for row in listed.claims
    ]

    assert any(BIRTH in [one.birth_date for one in claim.survivors] for claim in texts)
    for service in client.services:
        assert await client.broken_common(service) == [], service
        assert await client.broken(service) == [], service


async def test_a_new_wrapping_key_changes_no_ciphertext_and_no_hash(case: Case) -> None:
    client = case.client
    questions = {
        "claims": "select string_agg(encode(description, 'hex'), '' order by claim_id) from claim",
        "grading": "select string_agg(encode(signature, 'hex'), '' order by id) from outbox",
    }
    before = {name: await client.rows(name, text) for name, text in questions.items()}
    newest = add_key(client.stack.settings.keys_path)
    for service in client.services:
        stub, remaining = client.operations(service), 1
        while remaining:
            answer = await stub.RewrapDataKeys(
                operations_pb2.RewrapDataKeysRequest(
                    request_id=client.new_id(), wrapping_key=newest, data_key_count_max=2
                )
            )
            remaining = answer.remaining_count

    for service in client.services:
        keys = await client.operations(service).GetDataKeys(operations_pb2.GetDataKeysRequest())
        assert [row.data_key_count > 0 for row in keys.wrapped] == [False, True], service
        assert await client.broken_common(service) == [], service
    assert {name: await client.rows(name, text) for name, text in questions.items()} == before
