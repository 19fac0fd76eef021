"""Pairs of filings about one accident, sent at the same moment by different parties."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import grpc
from google.type import date_pb2
from oip.claims.v1 import claims_pb2
from oip.enrolment.v1 import enrolment_pb2

from services.kernel.identifiers import citizen_check
from services.runtime.rpc.wire import moment_to_wire
from tests.support.stack_client import StackClient

PAIRS_IN_FLIGHT = 8
ROWS_PER_REQUEST = 2_000
RETRIES = 20
SEND_AGAIN = {
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
}
# Two moments of one accident: the same second, another one, other minutes, over midnight.
APART = (0, 1, 60, 600, 1_800)


@dataclass(frozen=True)
class Outcome:
    """What became of the pairs: how many have one claim, and how many filings had each outcome."""

    one_claim: int
    outcomes: Counter[int]


async def enrol_many(client: StackClient, count: int, platforms: Iterable[str]) -> list[int]:
    """New workers, each enrolled with all these platforms; their ids."""
    first = 1 + int(client.new_id().rpartition("-")[2]) * 20_000
    bodies = [
        f"4401{serial // 1_000_000 % 100:02d}19{60 + serial // 1000 % 40:02d}"
        f"{1 + serial // 40_000 % 12:02d}15{serial % 1000:03d}"
        for serial in range(first, first + count)
    ]
    workers: list[int] = []
    for platform in platforms:
        workers = []
        for start in range(0, count, ROWS_PER_REQUEST):
            part = bodies[start : start + ROWS_PER_REQUEST]
            answer = await client.enrolment("platform", platform=platform).EnrolWorkers(
                enrolment_pb2.EnrolWorkersRequest(
                    request_id=client.new_id(),
                    platform=f"platforms/{platform}",
                    rows=[
                        enrolment_pb2.EnrolWorkersRequest.Row(
                            worker_number=f"race-{body}",
                            document_number=body + citizen_check(body),
                            enrol_date=date_pb2.Date(year=2025, month=7, day=1),
                        )
                        for body in part
                    ],
                )
            )
            workers += [outcome.worker for outcome in answer.outcomes]
    await client.delivered()
    assert len(set(workers)) == count
    return workers


async def race_pairs(
    client: StackClient, count: int, moment: datetime, platforms: tuple[str, str], seed: int = 1
) -> Outcome:
    """Race `count` pairs, each about one accident of a new worker."""
    chance = random.Random(seed)
    workers = await enrol_many(client, count, platforms)
    slots = asyncio.Semaphore(PAIRS_IN_FLIGHT)

    async def pair(worker: int) -> tuple[claims_pb2.Claim, claims_pb2.Claim]:
        later = moment + timedelta(seconds=chance.choice(APART))
        async with slots:
            by_worker, by_platform = await asyncio.gather(
                file_until_answered(client, worker, moment),
                file_until_answered(client, worker, later, platforms[1]),
            )
        return by_worker, by_platform

    pairs = await asyncio.gather(*(pair(worker) for worker in workers))
    return Outcome(
        one_claim=sum(first.name == second.name for first, second in pairs),
        outcomes=Counter(filed.filing_outcome for filings in pairs for filed in filings),
    )


async def file_until_answered(
    client: StackClient, worker: int, moment: datetime, platform: str = ""
) -> claims_pb2.Claim:
    """File, and send the same request again while the service is busy or slow."""
    request = claims_pb2.CreateClaimRequest(
        request_id=client.new_id(),
        claimant_kind=claims_pb2.PLATFORM if platform else claims_pb2.WORKER,
        worker=f"workers/{worker}",
        accident_time=moment_to_wire(moment),
        place_of_injury="440106",
        description="Hurt at a crossing.",
    )
    person = "" if platform else f"workers/{worker}"
    role = "platform" if platform else "worker_agent"
    stub = client.claims(role, platform=platform, person=person)
    for _ in range(RETRIES):
        try:
            return await stub.CreateClaim(request)
        except grpc.aio.AioRpcError as error:
            if error.code() not in SEND_AGAIN:
                raise
            await asyncio.sleep(0.1)
    raise AssertionError(f"no answer in {RETRIES} attempts")
