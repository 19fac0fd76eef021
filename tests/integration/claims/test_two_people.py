"""Nobody decides what they filed, and what weighs heavily is decided by two persons."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from oip.claims.v1 import accidents_pb2, claims_pb2
from oip.operations.v1 import operations_pb2

from services.runtime.rpc.client import RemoteProblem
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER
from services.runtime.rpc.wire import date_to_wire
from tests.integration.claims.conftest import (
    DAY,
    A,
    accept,
    at,
    claim_request,
    determine_at,
    enrol,
    file,
    get_claim,
)
from tests.support.stack_client import StackClient, refused
from tests.support.staff import all_grants, staff_entry, store_entries


@pytest.fixture(autouse=True)
async def signing(client: StackClient) -> AsyncIterator[None]:
    """The client is shared with other tests, whose calls are signed."""
    yield
    client.signs = True


async def signature(
    client: StackClient, act: RemoteProblem, subject: str = "second"
) -> operations_pb2.PendingAct:
    digest = bytes.fromhex(act.metadata["hash"])
    return await client.sign("claims", act.metadata["pending_act"], digest, subject, "adjudicator")


async def test_nobody_accepts_or_decides_what_they_filed(client: StackClient) -> None:
    worker = await enrol(client, A)
    platform = client.claims("platform", subject="sun", platform=A)
    filing = claim_request(client, worker, at("10:00"), claimant_kind=claims_pb2.PLATFORM)
    claim = await platform.CreateClaim(filing)
    adjudicator = client.claims("adjudicator", subject="sun")

    own = await refused(
        adjudicator.AcceptClaim(claims_pb2.AcceptClaimRequest(request_id="a", name=claim.name))
    )
    accepted = await accept(client, claim)
    decided = await refused(
        adjudicator.DetermineClaim(
            claims_pb2.DetermineClaimRequest(
                request_id="d",
                name=claim.name,
                revision=accepted.revision,
                enquiry=claims_pb2.DetermineClaimRequest.Enquiry(harm_established=True),
            )
        )
    )

    assert own.reason == decided.reason == "OWN_FILING"
    (row,) = await client.rows("claims", "select filer, officials from claim")
    assert (row.filer, row.officials) == ("staffMembers/sun", ["staffMembers/test"])


async def test_who_files_as_an_agent_decides_and_signs_nothing_as_an_official(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    person = f"workers/{worker}"
    sun_for_the_worker = client.claims("worker_agent", subject="sun", person=person)
    claim = await sun_for_the_worker.CreateClaim(claim_request(client, worker, at("10:00")))
    accepting = claims_pb2.AcceptClaimRequest(request_id="agent-a", name=claim.name)

    own = await refused(client.claims("adjudicator", subject="sun").AcceptClaim(accepting))
    accepted = await accept(client, claim)
    client.signs = False
    refusal = claims_pb2.DetermineClaimRequest(
        request_id="agent-d",
        name=claim.name,
        revision=accepted.revision,
        enquiry=claims_pb2.DetermineClaimRequest.Enquiry(harm_established=False),
    )
    needed = await refused(client.claims("adjudicator").DetermineClaim(refusal))
    signed = await refused(signature(client, needed, "sun"))

    assert needed.reason == "SECOND_SIGNATURE_NEEDED"
    assert own.reason == signed.reason == "OWN_FILING"
    (row,) = await client.rows(
        "claims", "select filer from claim where 'claims/' || claim_id = :name", name=claim.name
    )
    assert row.filer == "staffMembers/sun"


async def test_an_account_that_is_linked_after_the_filing_is_the_filer_s_too(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    clerk = client.claims("worker_agent", subject="clerk", person=f"workers/{worker}")
    claim = await clerk.CreateClaim(claim_request(client, worker, at("10:00")))
    entry = staff_entry("zhao", all_grants(), revision=2)
    entry.accounts.add(issuer=DEVELOPMENT_ISSUER, subject="clerk")
    await store_entries(client.stack.settings.database_url, ["claims"], [entry])

    accepting = claims_pb2.AcceptClaimRequest(request_id="linked-a", name=claim.name)
    own = await refused(client.claims("adjudicator", subject="zhao").AcceptClaim(accepting))

    assert own.reason == "OWN_FILING"
    assert (await accept(client, claim)).revision > claim.revision


async def test_who_reports_a_death_as_an_agent_does_not_sign_it_as_an_official(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    claim = await file(client, worker, at("10:00"))
    client.signs = False
    kin = client.claims("worker_agent", subject="sun", person=f"workers/{worker}")
    late = client.claims("worker_agent", subject="kin", person=f"workers/{worker}")

    def death(number: int) -> claims_pb2.RecordDeathRequest:
        return claims_pb2.RecordDeathRequest(
            request_id=f"kin-{number}", name=claim.name, death_date=date_to_wire(DAY)
        )

    first = await refused(kin.RecordDeath(death(1)))
    own = await refused(signature(client, first, "sun"))
    second = await refused(late.RecordDeath(death(2)))
    entry = staff_entry("wu", all_grants(), revision=2)
    entry.accounts.add(issuer=DEVELOPMENT_ISSUER, subject="kin")
    await store_entries(client.stack.settings.database_url, ["claims"], [entry])
    linked = await refused(signature(client, second, "wu"))
    signed = await signature(client, second)

    assert own.reason == linked.reason == "SIGNER_IS_MAKER"
    assert signed.state == operations_pb2.PendingAct.SIGNED
    assert await client.broken_common("claims") == []


async def test_nobody_changes_the_course_of_what_they_filed(client: StackClient) -> None:
    worker = await enrol(client, "91350100M000100Y43")
    sun = client.claims("adjudicator", subject="sun")
    mine = await sun.CreateClaim(claim_request(client, worker, at("10:00")))
    other = await file(client, worker, at("20:00"))
    accidents = client.accidents("adjudicator", subject="sun")

    refusals = [
        await refused(call)
        for call in (
            sun.RecordDeath(
                claims_pb2.RecordDeathRequest(
                    request_id="1", name=mine.name, death_date=date_to_wire(DAY)
                )
            ),
            sun.RequestEvidence(
                claims_pb2.RequestEvidenceRequest(
                    request_id="2", name=mine.name, items=["medical record"]
                )
            ),
            sun.StayClaim(
                claims_pb2.StayClaimRequest(request_id="3", name=mine.name, reason="a court")
            ),
            accidents.AnswerFiling(
                accidents_pb2.AnswerFilingRequest(
                    request_id="4",
                    name=mine.name,
                    answer=accidents_pb2.SAME,
                    claim=other.name,
                    code=accidents_pb2.SAME_INJURY,
                    reason="one fall",
                )
            ),
            accidents.MergeClaims(
                accidents_pb2.MergeClaimsRequest(
                    request_id="5",
                    claim=other.name,
                    merged_claim=mine.name,
                    code=accidents_pb2.SAME_INJURY,
                    reason="one fall",
                )
            ),
        )
    ]

    assert [problem.reason for problem in refusals] == ["OWN_FILING"] * 5


async def test_a_death_waits_for_its_signature_and_falls_with_a_change_of_the_claim(
    client: StackClient,
) -> None:
    worker = await enrol(client, "91350100M000100Y43")
    claim = await file(client, worker, at("10:00"))
    client.signs = False
    request = claims_pb2.RecordDeathRequest(
        request_id="death", name=claim.name, death_date=date_to_wire(DAY)
    )
    adjudicator = client.claims("adjudicator")

    needed = await refused(adjudicator.RecordDeath(request))
    await accept(client, claim)
    changed = await refused(signature(client, needed))
    request.request_id = "death-2"
    anew = await refused(adjudicator.RecordDeath(request))
    signed = await signature(client, anew)

    assert needed.reason == anew.reason == "SECOND_SIGNATURE_NEEDED"
    assert changed.reason == "ACT_CHANGED"
    assert signed.state == operations_pb2.PendingAct.SIGNED
    assert (await get_claim(client, claim)).HasField("death_date")
    assert await client.broken_common("claims") == []


async def test_a_withdrawal_of_a_determination_takes_two_adjudicators(client: StackClient) -> None:
    worker = await enrol(client, "91350100M000100Y43")
    claim = await determine_at(client, worker, at("10:00"))
    client.signs = False
    revoke = claims_pb2.RevokeDeterminationRequest(request_id="r", name=claim.name, reason="error")

    needed = await refused(client.claims("adjudicator").RevokeDetermination(revoke))
    own = await refused(signature(client, needed, "test"))
    await signature(client, needed)
    revoked = await client.claims("adjudicator").RevokeDetermination(revoke)

    assert (needed.reason, own.reason) == ("SECOND_SIGNATURE_NEEDED", "SIGNER_IS_MAKER")
    assert revoked.revision > claim.revision
    assert await client.broken_common("claims") == []
