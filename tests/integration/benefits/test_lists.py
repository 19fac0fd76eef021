"""Awards by kind, state and worker, newest first, with their count."""

from __future__ import annotations

from typing import Any

from oip.benefits.v1 import benefits_pb2 as pb
from oip.grading.v1 import grading_pb2

from tests.integration.benefits.builders import concluded, consume, determined
from tests.support.stack_client import StackClient


async def listed(client: StackClient, **fields: Any) -> tuple[list[pb.Award], int]:
    awards: list[pb.Award] = []
    count = 0
    request = pb.ListAwardsRequest(page_size=1, count_all=True, **fields)
    while True:
        page = await client.benefits("fund_officer").ListAwards(request)
        awards += page.awards
        count = page.total_count
        request.page_token = page.next_page_token
        if not request.page_token:
            return awards, count


async def test_awards_are_listed_by_kind_state_and_worker_newest_first(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3, grading_pb2.PARTIAL))
    everything, count = await listed(client)
    kinds = {award.kind for award in everything}

    newest, _ = await listed(client, newest_first=True)
    allowance, of_kind = await listed(client, kinds=[pb.DISABILITY_ALLOWANCE])
    suspended, none = await listed(client, states=[pb.Award.SUSPENDED])
    own, of_worker = await listed(client, worker=everything[0].worker)
    other, _ = await listed(client, worker="workers/987654321")

    assert count == len(everything) == len(newest) == len(kinds) > 2
    times = [award.create_time.ToDatetime() for award in newest]
    assert times == sorted(times, reverse=True)
    assert [award.kind for award in allowance] == [pb.DISABILITY_ALLOWANCE]
    assert (of_kind, none, of_worker) == (1, 0, count)
    assert (suspended, len(own), other) == ([], count, [])
