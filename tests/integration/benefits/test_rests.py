"""What the end of an appraisal does to benefits in payment."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.grading.v1 import grading_pb2

from services.kernel.periods import Month
from tests.integration.benefits.builders import (
    appraisal_ended,
    appraisal_resumed,
    concluded,
    consume,
    determined,
    instructions,
    run_payments,
)
from tests.support.stack_client import StackClient

ALLOWANCE = "awards/c1-disability-allowance-worker"


async def months_paid(client: StackClient) -> list[str]:
    return [month for _, month, _ in await instructions(client, ALLOWANCE)]


async def test_monthly_benefits_rest_from_a_refusal_to_the_next_conclusion(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3, grading_pb2.PARTIAL))
    await consume(client, appraisal_ended(), appraisal_ended())
    client.set_day(date(2026, 1, 20))
    await run_payments(client, Month(2026, 1))
    resting = await months_paid(client)
    await consume(client, concluded(3, grading_pb2.PARTIAL, day=date(2026, 2, 9), level=3))
    client.set_day(date(2026, 4, 20))
    await run_payments(client, Month(2026, 4))
    award = await client.benefits("fund_officer").GetAward(pb.GetAwardRequest(name=ALLOWANCE))

    assert resting == ["2025-09", "2025-10"]
    assert await months_paid(client) == ["2025-09", "2025-10", "2026-03", "2026-04"]
    cited = [f for f in award.findings if f.provision.article == "第四十二条"]
    assert [finding.text for finding in cited] == [
        (
            "worker: refuses the appraisal on 2025-10-20; the benefit rests until the event is "
            "over; 2025-10 is the last month paid."
        ),
        "An appraisal was concluded on 2026-02-09; the benefit is paid again from 2026-03.",
    ]
    assert award.state == pb.Award.IN_PAYMENT
    assert await client.broken("benefits") == []


async def test_a_refusal_that_becomes_known_late_recovers_the_months_paid(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(4))
    client.set_day(date(2025, 12, 20))
    await run_payments(client, Month(2025, 12))

    await consume(client, appraisal_ended())

    stub = client.benefits("fund_officer")
    marked = await stub.ListRecoveries(pb.ListRecoveriesRequest(claim="claims/c1"))
    assert [one.amount_fen for one in marked.recoveries] == [2 * 260_535]
    assert await client.broken("benefits") == []

    await consume(client, appraisal_resumed())
    client.set_day(date(2026, 1, 20))
    run = await run_payments(client, Month(2026, 1))

    released = await stub.ListRecoveries(pb.ListRecoveriesRequest(claim="claims/c1"))
    assert sum(one.amount_fen for one in released.recoveries) == 0
    assert run.sum_fen == 260_535
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    "ended",
    [
        appraisal_ended(grading_pb2.Appraisal.WORKER_ABSENT, grading_pb2.WORKER),
        appraisal_ended(grading_pb2.Appraisal.WORKER_REFUSED, grading_pb2.NEXT_OF_KIN),
        appraisal_ended(grading_pb2.Appraisal.APPLICATION_WITHDRAWN, grading_pb2.AGENCY),
        appraisal_ended(grading_pb2.Appraisal.APPLICATION_ABANDONED, grading_pb2.PLATFORM),
        appraisal_ended(grading_pb2.Appraisal.DECEIT, grading_pb2.AGENCY),
        appraisal_ended(grading_pb2.Appraisal.CLAIMS_MERGED, grading_pb2.PLATFORM),
        appraisal_ended(grading_pb2.Appraisal.CONCLUSION_REVOKED, grading_pb2.AGENCY),
        appraisal_ended(grading_pb2.Appraisal.DETERMINATION_WITHDRAWN, grading_pb2.AGENCY),
    ],
    ids=lambda event: grading_pb2.Appraisal.EndCause.Name(event.cause),
)
async def test_any_other_end_changes_nothing(client: StackClient, ended: object) -> None:
    await consume(client, determined(), concluded(4))
    before = await client.rows("benefits", "select id, revision from award order by id")

    await consume(client, ended)

    assert await client.rows("benefits", "select id, revision from award order by id") == before


async def test_events_in_any_order_rest_the_same_months(client: StackClient) -> None:
    client.set_day(date(2027, 9, 20))
    for number, order in enumerate(permutations(range(4))):
        claim = f"claims/p{number}"
        events = [
            determined(claim, worker=f"workers/{number + 1}"),
            concluded(4, claim=claim),
            appraisal_ended(claim=claim),
            concluded(3, claim=claim, day=date(2026, 9, 1), level=3, revision=9),
        ]
        for index in (*order, order[0]):
            await consume(client, events[index])

    rows = await client.rows(
        "benefits",
        "select a.id, string_agg(r.since_month || ':' || r.amount_fen, ',' order by r.since_month)"
        " as rates from award a join award_rate r on r.number = a.number"
        " where a.kind = 9 and a.adjusts = ''"
        " and (r.until_month is null or r.until_month > r.since_month) group by a.id",
    )
    assert len(rows) == 24
    assert len({row.rates for row in rows}) == 1


async def test_an_end_that_is_taken_back_counts_in_no_order(client: StackClient) -> None:
    await consume(client, determined(), concluded(4))
    before = await client.rows("benefits", "select since_month, amount_fen from award_rate")

    await consume(client, appraisal_resumed(), appraisal_ended())
    taken_back = await client.rows("benefits", "select since_month, amount_fen from award_rate")
    await consume(client, appraisal_ended(revision=6, day=date(2025, 12, 5)))
    client.set_day(date(2026, 2, 20))
    await run_payments(client, Month(2026, 2))

    assert taken_back == before
    assert await months_paid(client) == ["2025-09", "2025-10", "2025-11", "2025-12"]
