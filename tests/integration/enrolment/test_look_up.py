"""An office that has a document in hand finds the worker; nobody else does, and nothing leaks."""

from __future__ import annotations

import grpc
import pytest
import sqlalchemy as sa
from oip.enrolment.v1 import enrolment_pb2 as pb

from tests.integration.enrolment.test_enrolment import ADA, BO, PEARL, SWIFT, enrol, register
from tests.support.stack_client import StackClient, refused


async def find(client: StackClient, number: str, role: str = "adjudicator") -> pb.Worker:
    return await client.enrolment(role).FindWorker(pb.FindWorkerRequest(document_number=number))


async def test_a_document_finds_its_worker_with_all_platforms(client: StackClient) -> None:
    await register(client, SWIFT)
    await register(client, PEARL, name="Pearl")
    worker = (await enrol(client, SWIFT, ("W1", ADA))).outcomes[0].worker
    await enrol(client, PEARL, ("A-7", ADA), request_id="second")

    found = await find(client, f" {ADA.lower()} ")

    assert found.name == f"workers/{worker}"
    assert found.masked_document_number.endswith(ADA[-4:])
    assert {one.platform for one in found.enrolments} == {
        f"platforms/{SWIFT}",
        f"platforms/{PEARL}",
    }


async def test_an_unknown_document_is_refused_without_repeating_it(client: StackClient) -> None:
    problem = await refused(find(client, BO))

    assert problem.code is grpc.StatusCode.NOT_FOUND
    assert BO not in problem.sentence
    assert BO not in problem.sentence_zh


@pytest.mark.parametrize("role", ["platform", "worker_agent", "appraiser"])
async def test_only_offices_look_a_document_up(client: StackClient, role: str) -> None:
    claims = {"platform": SWIFT} if role == "platform" else {"person": "workers/1"}
    stub = client.enrolment(role, **claims if role != "appraiser" else {})

    problem = await refused(stub.FindWorker(pb.FindWorkerRequest(document_number=ADA)))

    assert problem.code is grpc.StatusCode.PERMISSION_DENIED


async def test_the_audit_of_a_look_up_does_not_give_the_number_away(client: StackClient) -> None:
    """A plain hash could be compared with those of all citizen numbers."""
    await register(client, SWIFT)
    await enrol(client, SWIFT, ("W1", ADA))
    request = pb.FindWorkerRequest(document_number=ADA)
    await client.enrolment("adjudicator").FindWorker(request)

    async with client.database("enrolment").begin() as tx:
        rows = await tx.execute(
            sa.text(
                "select count(*) from audit where action = 'oip.enrolment.v1.FindWorkerRequest'"
                " and request_hash <> sha256(convert_to(cast(:name as text), 'UTF8')"
                " || decode('00', 'hex') || cast(:content as bytea))"
            ),
            {
                "name": request.DESCRIPTOR.full_name,
                "content": request.SerializeToString(deterministic=True),
            },
        )
    assert rows.scalar_one() == 1
