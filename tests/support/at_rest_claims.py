"""Everything that is said of two workers and of staff, up to the determination."""

from __future__ import annotations

from datetime import timedelta

from google.type import date_pb2
from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.enrolment.v1 import enrolment_pb2
from oip.staff.v1 import staff_pb2

from services.kernel.identifiers import citizen_check
from services.runtime.rpc.wire import enum_number, moment_to_wire
from tests.integration.claims.conftest import A, accept, agent, at, get_claim, send
from tests.support.at_rest_case import APPRAISER, BIRTH, DETERMINE, Case


async def staff(case: Case) -> None:
    """Registered, invited, and the role of one revoked."""
    stub = case.client.staff("administrator")
    member = await stub.RegisterStaffMember(
        staff_pb2.RegisterStaffMemberRequest(
            request_id="member",
            display_name=case.word("name of a member"),
            identity_number=_identity("44010619800202001"),
            accounts=[staff_pb2.Account(issuer="https://idp.example", subject="canary")],
        )
    )
    granted = await stub.GrantRole(
        staff_pb2.GrantRoleRequest(
            request_id="role", name=member.name, grant=staff_pb2.NewGrant(role=APPRAISER)
        )
    )
    await stub.RevokeRole(
        staff_pb2.RevokeRoleRequest(
            request_id="revoke",
            name=granted.grants[0].name,
            code=staff_pb2.LEFT,
            note=case.word("note of a revocation"),
        )
    )
    await case.client.staff("platform_administrator", platform=A).InviteColleague(
        staff_pb2.InviteColleagueRequest(
            request_id="invite",
            platform=f"platforms/{A}",
            display_name=case.word("name of a colleague"),
            identity_number=_identity("44010619810303002"),
            account=staff_pb2.Account(issuer="https://idp.example", subject="colleague"),
        )
    )


def _identity(body: str) -> str:
    return body + citizen_check(body)


async def workers(case: Case) -> list[int]:
    client = case.client
    await client.enrolment("administrator").RegisterPlatform(
        enrolment_pb2.RegisterPlatformRequest(
            request_id="platform",
            credit_code=A,
            display_name="a platform",
            industries=[enum_number(2)],
        )
    )
    rows = [
        enrolment_pb2.EnrolWorkersRequest.Row(
            worker_number=f"w{number}",
            document_number=_identity(f"44010619900101{number:03d}"),
            phone=f"139{number}876543",
            enrol_date=date_pb2.Date(year=2025, month=7, day=1),
        )
        for number in (31, 32)
    ]
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


async def injury(case: Case, worker: int) -> claims_pb2.Claim:
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
    await _two_filings(case, first, second)
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


async def _two_filings(case: Case, first: claims_pb2.Claim, second: claims_pb2.Claim) -> None:
    """Contested, found distinct, and merged after all."""
    client = case.client
    await client.accidents("worker_agent", person=first.worker).ContestFiling(
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
    await client.accidents("adjudicator").MergeClaims(
        accidents_pb2.MergeClaimsRequest(
            request_id=client.new_id(),
            claim=first.name,
            merged_claim=second.name,
            code=accidents_pb2.SAME_INJURY,
            reason=case.word("merger: reason"),
        )
    )


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


async def death(case: Case, worker: int) -> claims_pb2.Claim:
    client = case.client
    accepted = await accept(client, await _filed(case, worker, "death"))
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
                    supported=True,
                    support_document_hash=bytes(32),
                )
            ],
        )
    )
    return await _determine(case, dead)
