from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import permutations

import pytest
from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import grading_pb2

from services.benefits.domain import law
from services.kernel.law import Tag
from services.kernel.lawbook import Law
from services.kernel.parameters import Value
from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire
from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    conclusion_revoked,
    consume,
    determined,
    instructions,
    run_payments,
)
from tests.support.stack_client import StackClient

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)


async def test_a_repeated_event_and_an_older_one_change_nothing(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(9))
    before = await client.rows("benefits", "select id, revision from award")

    await consume(client, determined())
    await consume(client, determined(revision=2, pooling_area="440600"))
    await consume(client, concluded(9))

    assert await client.rows("benefits", "select id, revision from award") == before


async def test_a_re_appraisal_pays_the_difference(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(8))
    await run_payments(client, AUGUST)
    client.set_day(date(2025, 9, 10))

    await consume(client, concluded(7, day=date(2025, 9, 9), level=2))
    run = await run_payments(client, SEPTEMBER)

    assert (run.payment_count, run.sum_fen) == (1, 694_760)
    listed = await client.benefits("fund_officer").ListAwards(
        pb.ListAwardsRequest(claim="claims/c1")
    )
    (difference,) = [award for award in listed.awards if award.adjusts]
    assert difference.adjusts == "awards/c1-disability-grant-worker"
    assert difference.name == "awards/c1-disability-grant-worker-a1"


async def test_a_corrected_conclusion_ends_as_if_it_had_been_right(client: StackClient) -> None:
    """Two workers: one graded 3 at once; one graded 4 without care, paid, then corrected."""
    await consume(client, determined(), determined("claims/c2", worker="workers/8"))
    await consume(client, concluded(3, grading_pb2.PARTIAL))
    await consume(client, concluded(4, claim="claims/c2"))
    for month in (AUGUST, SEPTEMBER):
        client.set_day(date(month.year, month.month, 20))
        await run_payments(client, month)
    client.set_day(date(2025, 11, 3))

    await consume(client, concluded(3, grading_pb2.PARTIAL, claim="claims/c2", revision=7))
    await consume(client, concluded(4, claim="claims/c2"))
    client.set_day(date(2025, 11, 20))
    await run_payments(client, Month(2025, 11))

    right, corrected = await _paid_by_kind(client)
    assert corrected == right
    assert await client.broken("benefits") == []


async def test_a_corrected_conclusion_that_was_too_high_is_recovered_to_the_fen(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(7))
    await run_payments(client, AUGUST)
    client.set_day(date(2025, 11, 3))

    await consume(client, concluded(9, revision=7))

    answer = await client.benefits("fund_officer").ListRecoveries(pb.ListRecoveriesRequest())
    # Grade 7 gives 13 months of B, grade 9 gives 9.
    assert [one.amount_fen for one in answer.recoveries] == [4 * 347_380]
    assert await client.broken("benefits") == []


@pytest.mark.parametrize("late", [False, True], ids=["after it", "before it"])
async def test_a_revoked_conclusion_counts_as_if_it_had_never_been(
    client: StackClient, late: bool
) -> None:
    await consume(client, determined())
    events = [concluded(8), conclusion_revoked()]
    await consume(client, *(reversed(events) if late else events))
    assert not await awards_of(client) or {
        award.state for award in (await awards_of(client)).values()
    } == {pb.Award.TERMINATED}

    assert (await run_payments(client, AUGUST)).sum_fen == 0
    # The injury is appraised again on application.
    await consume(client, concluded(9, level=2, day=date(2025, 8, 4)))
    client.set_day(date(2025, 9, 20))
    assert (await run_payments(client, SEPTEMBER)).sum_fen == 9 * 347_380
    assert await client.broken("benefits") == []


async def test_what_was_paid_on_a_revoked_conclusion_is_recovered(client: StackClient) -> None:
    await consume(client, determined(), concluded(8))
    await run_payments(client, AUGUST)

    await consume(client, conclusion_revoked(), conclusion_revoked(), concluded(8))

    answer = await client.benefits("fund_officer").ListRecoveries(pb.ListRecoveriesRequest())
    assert [one.amount_fen for one in answer.recoveries] == [11 * 347_380]
    assert await client.broken("benefits") == []


async def _paid_by_kind(client: StackClient) -> list[list[tuple[int, int]]]:
    """What was paid to each worker, by kind: one list for each."""
    rows = await client.rows(
        "benefits",
        "select a.worker, p.kind, sum(p.amount_fen) as fen from payment p"
        " join award a on a.number = p.number group by 1, 2 order by 1, 2",
    )
    workers = sorted({row.worker for row in rows})
    return [[(row.kind, row.fen) for row in rows if row.worker == each] for each in workers]


async def test_a_review_from_four_to_five_ends_the_allowance(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(4))
    client.set_day(date(2026, 8, 20))
    await run_payments(client, AUGUST.plus(12))
    await consume(client, concluded(5, day=date(2026, 8, 15), level=3))

    awards = await awards_of(client)

    allowance = awards["DISABILITY_ALLOWANCE", "worker"]
    assert (allowance.last_month.year, allowance.last_month.month) == (2026, 8)
    settled = awards["DISABILITY_SETTLEMENT", "worker"].amount_fen
    assert settled == 10_421_400 - 12 * 260_535
    assert awards["DISABILITY_GRANT", "worker"].amount_fen == 7_294_980


async def test_a_withdrawn_determination_ends_and_recovers(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(3, grading_pb2.PARTIAL))
    await run_payments(client, AUGUST)

    await consume(client, claims_events.DeterminationRevoked(claim="claims/c1", revision=4))
    client.set_day(date(2025, 10, 1))
    run = await run_payments(client, Month(2025, 10))

    assert run.payment_count == 0
    assert {award.state for award in (await awards_of(client)).values()} == {pb.Award.TERMINATED}
    answer = await client.benefits("fund_officer").ListRecoveries(
        pb.ListRecoveriesRequest(claim="claims/c1")
    )
    assert [one.amount_fen for one in answer.recoveries] == [7_989_740]
    assert await client.broken("benefits") == []


async def test_money_to_recover_is_set_off_against_half_of_each_payment(
    client: StackClient,
) -> None:
    await consume(client, determined())
    await consume(client, concluded(3, grading_pb2.PARTIAL))
    client.set_day(date(2025, 9, 20))
    await run_payments(client, SEPTEMBER)
    # The re-appraisal finds a lighter grade: a month of B was paid too much, and some allowance.
    await consume(client, concluded(4, grading_pb2.PARTIAL, day=date(2025, 9, 18), level=2))
    client.set_day(date(2025, 10, 20))
    await run_payments(client, Month(2025, 10))

    paid = await client.rows(
        "benefits",
        "select amount_fen, withheld_fen from payment"
        " where run_month = 2025 * 12 + 9 order by kind",
    )

    assert [tuple(row) for row in paid] == [
        (86_845, 86_845),  # care allowance 1,736.90, half of it withheld
        (260_535 - 130_267, 130_267),  # allowance of grade 4, cut to whole fen
    ]
    assert await client.broken("benefits") == []


async def test_a_wage_published_later_brings_back_pay(client: StackClient) -> None:
    client.set_day(date(2025, 3, 10))
    early = determined(accident_date=date(2025, 1, 10), determine_date=date(2025, 2, 1))
    await consume(client, early)
    await consume(client, concluded(9, day=date(2025, 3, 3)))
    provisional = (await awards_of(client))["DISABILITY_GRANT", "worker"]
    first = await run_payments(client, Month(2025, 3))
    client.set_day(date(2025, 6, 1))
    second = await run_payments(client, Month(2025, 6))

    # 68,340 / 12 x 60 % x 9, then the difference to 31,264.20.
    assert provisional.provisional
    assert (provisional.amount_fen, first.sum_fen) == (3_075_300, 3_075_300)
    assert second.sum_fen == 3_126_420 - 3_075_300
    # The national figure stands in until the area's own is published.
    assert (await awards_of(client))["DISABILITY_GRANT", "worker"].provisional


async def test_an_adjustment_raises_what_is_in_payment_and_pays_the_months_back(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await consume(client, determined())
    await consume(client, concluded(3))
    client.set_day(date(2026, 2, 20))
    await run_payments(client, Month(2026, 2))
    stub = client.benefits("fund_officer")
    before = await stub.IndexAwards(pb.IndexAwardsRequest(request_id="early"))
    client.set_day(date(2026, 4, 20))
    monkeypatch.setattr(law, "LAW", with_an_adjustment())

    done = await stub.IndexAwards(pb.IndexAwardsRequest(request_id="april"))
    run = await run_payments(client, Month(2026, 4))

    assert (before.award_count, done.claim_count, done.remaining_count) == (0, 1, 0)
    # March and April at the new rate, and 210.00 for each of January and February.
    assert run.sum_fen == 2 * (277_904 + 21_000) + 2 * 21_000
    assert await client.broken("benefits") == []


def with_an_adjustment() -> Law:
    """The law with 210.00 yuan more for grade 3 from January 2026, published in April."""
    parameters = law.LAW.parameters
    raised = Value(
        since=date(2026, 1, 1),
        jurisdiction="440000",
        published=date(2026, 4, 1),
        value={"add_grade_3": "210"},
        source="made for this test",
        tag=Tag.ASSUMED,
        parameter="indexation",
    )
    indexation = parameters["indexation"]
    added = replace(indexation, values=(*indexation.values, raised))
    return Law({**parameters, "indexation": added})


async def test_a_late_termination_recovers_the_months_paid_beyond(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(1))
    client.set_day(date(2025, 12, 20))
    await run_payments(client, Month(2025, 12))

    await client.benefits("fund_officer").TerminateAward(
        pb.TerminateAwardRequest(
            request_id="t",
            name="awards/c1-disability-allowance-worker",
            last_month=month_to_wire(Month(2025, 10)),
            reason="moved abroad and asked for the end",
        )
    )

    answer = await client.benefits("fund_officer").ListRecoveries(pb.ListRecoveriesRequest())
    assert [one.amount_fen for one in answer.recoveries] == [2 * 312_642]
    assert await client.broken("benefits") == []


async def test_a_case_decided_again_for_another_area_charges_that_area_from_then_on(
    client: StackClient,
) -> None:
    await consume(client, determined())
    await consume(client, concluded(4))
    client.set_day(date(2025, 9, 20))
    await run_payments(client, SEPTEMBER)
    revoked = claims_events.DeterminationRevoked(claim="claims/c1", revision=4)
    await consume(client, revoked)
    await consume(client, determined(revision=5, pooling_area="440600"))
    client.set_day(date(2025, 10, 20))
    run = await run_payments(client, Month(2025, 10))

    # What was marked for recovery when the determination was withdrawn is released.
    parts = {(part.pooling_area, pb.BenefitKind.Name(part.kind)) for part in run.parts}
    assert {area for area, _ in parts} == {"440600"}
    months = [month for _, month, _ in await instructions(client)]
    assert months == ["2025-08", "2025-09", "2025-10"]
    marked = await client.rows("benefits", "select sum(amount_fen) from recovery")
    assert marked[0][0] == 0
    assert await client.broken("benefits") == []


async def test_events_in_any_order_end_in_the_same_awards(client: StackClient) -> None:
    def events(claim: str) -> list[Message]:
        return [
            determined(claim),
            concluded(4, claim=claim),
            concluded(3, claim=claim, day=date(2025, 9, 1), level=2),
            concluded(5, claim=claim, day=date(2026, 9, 1), level=3),
        ]

    client.set_day(date(2026, 9, 20))
    for number, order in enumerate(permutations(range(4))):
        ordered = events(f"claims/p{number}")
        for index in (*order, order[0]):
            await consume(client, ordered[index])

    rows = await client.rows(
        "benefits",
        "select claim, string_agg(kind || ' ' || first_month || ' ' || coalesce(last_month, 0)"
        " || ' ' || (select string_agg(r.since_month || ':' || r.amount_fen, ',' order by"
        " r.since_month) from award_rate r where r.number = a.number"
        " and (r.until_month is null or r.until_month > r.since_month)), '; ' order by kind) as all"
        " from award a where last_month is null or last_month >= first_month group by claim",
    )

    assert len(rows) == 24
    assert len({row.all for row in rows}) == 1
