"""The queue of claims in both orders, by pooling area, with its count, page by page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
from oip.claims.v1 import claims_pb2

from tests.integration.claims.conftest import A, accept, at, enrol, file, send
from tests.support.stack_client import StackClient, refused


async def listed(client: StackClient, **fields: Any) -> tuple[list[str], list[int]]:
    """The names, read in pages of two, and the counts of the pages."""
    names: list[str] = []
    counts: list[int] = []
    request = claims_pb2.ListClaimsRequest(page_size=2, **fields)
    while True:
        page = await client.claims("adjudicator").ListClaims(request)
        names += [claim.name for claim in page.claims]
        counts.append(page.total_count)
        request.page_token = page.next_page_token
        if not request.page_token:
            return names, counts


async def test_claims_come_newest_first_or_by_due_date_and_are_counted(
    client: StackClient,
) -> None:
    worker = await enrol(client, A)
    filed = []
    for hour in (8, 11, 14):
        client.clock.set(client.clock.now() + timedelta(minutes=1))
        filed.append((await file(client, worker, at(f"{hour}:20"))).name)
    of_worker = {
        "worker": f"workers/{worker}",
        "states": [claims_pb2.Claim.FILED, claims_pb2.Claim.PENDING],
    }

    newest, counts = await listed(client, **of_worker, newest_first=True, count_all=True)
    by_due_date, uncounted = await listed(client, **of_worker)

    assert newest == filed[::-1]
    assert sorted(by_due_date) == sorted(filed)
    assert counts == [3] * len(counts)
    assert uncounted == [0] * len(uncounted)


async def test_a_token_of_one_order_is_refused_in_the_other(client: StackClient) -> None:
    worker = await enrol(client, A)
    for hour in (8, 11, 14):
        await file(client, worker, at(f"{hour}:20"))
    stub = client.claims("adjudicator")
    request = claims_pb2.ListClaimsRequest(worker=f"workers/{worker}", page_size=1)
    request.page_token = (await stub.ListClaims(request)).next_page_token
    request.newest_first = True

    problem = await refused(stub.ListClaims(request))

    assert problem.code is grpc.StatusCode.INVALID_ARGUMENT
    assert problem.reason == "PAGE_TOKEN_INVALID"


async def test_the_queue_of_one_pooling_area(client: StackClient) -> None:
    worker = await enrol(client, A)
    await send(client, A, worker, (client.new_id(), "10:00", "10:40"))
    claim = await accept(client, await file(client, worker, at("10:20")))
    of_worker = {"worker": f"workers/{worker}"}

    here, _ = await listed(client, **of_worker, pooling_area=claim.pooling_area)
    elsewhere, counts = await listed(client, **of_worker, pooling_area="440300", count_all=True)

    assert here == [claim.name]
    assert (elsewhere, counts) == ([], [0])
