"""Who sees what of a claim: the own person, the own area, the own orders."""

from __future__ import annotations

import grpc
import sqlalchemy as sa
from oip.claims.v1 import claims_pb2
from oip.orders.v1 import orders_pb2

from services.kernel.scope import Scope
from tests.integration.claims.conftest import (
    A,
    B,
    agent,
    at,
    claim_request,
    determine_at,
    enrol,
    file,
    get_claim,
    send,
)
from tests.support.stack_client import StackClient, refused
from tests.support.staff import AREA_OF


async def test_an_agent_reads_and_files_for_its_own_person_alone(client: StackClient) -> None:
    worker, stranger = await enrol(client, A), await enrol(client, A)
    claim = await file(client, worker, at("10:20"))
    get = claims_pb2.GetClaimRequest(name=claim.name)
    listed = claims_pb2.ListEvidenceRequest(claim=claim.name)
    other = agent(client, stranger)

    assert (await agent(client, worker).GetClaim(get)).description
    for call in (other.GetClaim(get), other.ListEvidence(listed)):
        assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND
    filed = await refused(other.CreateClaim(claim_request(client, worker, at("10:20"))))
    assert filed.reason == "WORKER_UNKNOWN"


async def test_an_agent_reads_no_strangers_day(client: StackClient) -> None:
    worker, stranger = await enrol(client, A), await enrol(client, A)
    await send(client, A, worker, ("s1", "10:00", "10:40"))
    request = orders_pb2.ListWorkerOrdersRequest(
        worker=f"workers/{worker}", accept_date={"year": 2025, "month": 7, "day": 15}
    )
    own = client.orders("worker_agent", person=f"workers/{worker}")
    other = client.orders("worker_agent", person=f"workers/{stranger}")

    assert len((await own.ListWorkerOrders(request)).records) == 1
    assert not (await other.ListWorkerOrders(request)).records


async def test_staff_of_another_area_find_no_claim(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, ("s2", "10:00", "10:40"))
    claim = await file(client, worker, at("10:20"))
    get = claims_pb2.GetClaimRequest(name=claim.name)
    assert claim.pooling_area == AREA_OF["guangzhou"]
    near = client.claims("adjudicator", subject="guangzhou")
    far = client.claims("adjudicator", subject="shenzhen")

    assert (await near.GetClaim(get)).name == claim.name
    assert (await refused(far.GetClaim(get))).code is grpc.StatusCode.NOT_FOUND
    listed = await far.ListClaims(claims_pb2.ListClaimsRequest(worker=claim.worker))
    assert not listed.claims


async def test_a_platform_that_only_enrolled_a_person_sees_no_claim_of_theirs(
    client: StackClient,
) -> None:
    worker = await enrol(client, A, B)
    await send(client, A, worker, ("s3", "10:00", "10:40"))
    claim = await determine_at(client, worker, at("10:20"))
    seen = await get_claim(client, claim, "platform", A)

    assert (await refused(get_claim(client, claim, "platform", B))).reason == "NOT_FOUND"
    assert B not in str(seen)
    assert not seen.missing_documents
    assert {finding.text[:9] for finding in seen.determination.findings} <= {
        "The platf",
        "The cost ",
    }


async def test_a_platform_claim_of_a_star_sees_nothing(client: StackClient) -> None:
    worker = await enrol(client, A)
    claim = await file(client, worker, at("10:20"))

    assert (await refused(get_claim(client, claim, "platform", "*"))).reason == "UNAUTHENTICATED"
    for scope in (Scope(), Scope(platform="*"), Scope(person="workers/1")):
        async with client.database("claims").begin(scope) as tx:
            for table in ("claim", "accident", "claim_order", "evidence", "command"):
                count = await tx.execute(sa.text(f"select count(*) from {table}"))
                assert count.scalar_one() == 0, (scope, table)


async def test_request_ids_of_one_account_block_no_other(client: StackClient) -> None:
    worker, stranger = await enrol(client, A), await enrol(client, A)
    first = claim_request(client, worker, at("10:20"), request_id="mine")
    second = claim_request(client, stranger, at("10:20"), request_id="mine")

    one = await agent(client, worker).CreateClaim(first)
    two = await agent(client, stranger).CreateClaim(second)

    assert one.name != two.name
    assert two.worker == f"workers/{stranger}"
