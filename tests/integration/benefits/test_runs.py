from __future__ import annotations

import asyncio
from datetime import date

import grpc
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import events_pb2
from oip.grading.v1 import grading_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire
from tests.integration.benefits.conftest import Benefits, concluded, determined, refused

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)


async def test_each_month_is_instructed_once_with_what_lies_back(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3, grading_pb2.PARTIAL))

    august = await benefits.run(AUGUST)
    benefits.on(date(2025, 11, 15))
    november = await benefits.run(Month(2025, 11))
    again = await benefits.run(Month(2025, 11), request_id="another")

    assert (august.payment_count, august.sum_fen) == (1, 7_989_740)
    assert (november.payment_count, november.sum_fen) == (6, 3 * (277_904 + 173_690))
    assert again == november
    assert len(await benefits.instructions()) == 7
    assert await benefits.broken() == []


async def test_two_runs_at_once_pay_once(benefits: Benefits) -> None:
    for number in range(20):
        await benefits.hear("claims", determined(f"claims/k{number}"))
        await benefits.hear("grading", concluded(9, claim=f"claims/k{number}"))

    runs = await asyncio.gather(*(benefits.run(AUGUST, f"run-{n}") for n in range(4)))

    assert {run.payment_count for run in runs} == {20}
    told = await benefits.rows("select payload from outbox where subject like '%PaymentInstructed'")
    parts = [events_pb2.PaymentInstructed.FromString(bytes(row.payload)).part for row in told]
    assert sum(part.payment_count for part in parts) == 20
    assert sum(part.sum_fen for part in parts) == 20 * 3_126_420


async def test_a_later_month_is_refused(benefits: Benefits) -> None:
    problem = await refused(benefits.run(SEPTEMBER))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MONTH_NOT_BEGUN",
    )
    assert await benefits.instructions() == []


async def test_a_suspended_award_rests_and_goes_on(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(1))
    name = "awards/c1-disability-allowance-worker"
    stub = benefits.stub()
    suspended = await stub.SuspendAward(
        pb.SuspendAwardRequest(
            request_id="s", name=name, first_month=month_to_wire(Month(2025, 10)), reason="no proof"
        )
    )
    benefits.on(date(2025, 12, 1))
    await benefits.run(Month(2025, 12))
    resumed = await stub.ResumeAward(
        pb.ResumeAwardRequest(request_id="r", name=name, first_month=month_to_wire(Month(2025, 12)))
    )
    await benefits.run(Month(2025, 12), request_id="again")

    months = [month for award, month, _ in await benefits.instructions(name)]
    assert months == ["2025-09", "2025-12"]
    assert (suspended.state, resumed.state) == (pb.Award.SUSPENDED, pb.Award.IN_PAYMENT)
    assert await benefits.broken() == []


async def test_lists_go_on_where_the_page_before_ended(benefits: Benefits) -> None:
    for number in range(5):
        await benefits.hear("claims", determined(f"claims/k{number}"))
        await benefits.hear("grading", concluded(3, claim=f"claims/k{number}"))
    await benefits.run(AUGUST)
    stub = benefits.stub()

    awards, token = [], ""
    for _ in range(10):
        page = await stub.ListAwards(pb.ListAwardsRequest(page_size=3, page_token=token))
        awards += [award.name for award in page.awards]
        token = page.next_page_token
        if not token:
            break
    paid, token = [], ""
    for _ in range(10):
        listed = await stub.ListPaymentInstructions(
            pb.ListPaymentInstructionsRequest(
                page_size=2, page_token=token, run_month=month_to_wire(AUGUST)
            )
        )
        paid += [one.name for one in listed.payment_instructions]
        token = listed.next_page_token
        if not token:
            break

    assert len(awards) == len(set(awards)) == 10
    assert len(paid) == len(set(paid)) == 5


async def test_runs_of_two_months_at_once_pay_each_month_once(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3, grading_pb2.PARTIAL))
    benefits.on(date(2025, 12, 1))

    await asyncio.gather(
        *(benefits.run(SEPTEMBER.plus(n), f"run-{n}") for n in (3, 1, 0, 2)),
    )

    months = [month for _, month, _ in await benefits.instructions()]
    assert len(months) == 1 + 4 + 4
    assert await benefits.broken() == []


async def test_decisions_beside_a_run_lose_nothing(benefits: Benefits) -> None:
    for number in range(12):
        await benefits.hear("claims", determined(f"claims/k{number}"))
    benefits.on(date(2025, 9, 20))

    await asyncio.gather(
        *(benefits.run(SEPTEMBER, f"run-{n}") for n in range(3)),
        *(benefits.hear("grading", concluded(4, claim=f"claims/k{n}")) for n in range(12)),
    )
    run = await benefits.run(SEPTEMBER, "last")

    assert run.payment_count == 24
    assert run.sum_fen == 12 * (7_294_980 + 260_535)
    assert await benefits.broken() == []


async def test_an_earlier_month_run_late_finds_what_was_granted_since(benefits: Benefits) -> None:
    await benefits.hear("claims", determined("claims/a"))
    await benefits.hear("grading", concluded(9, claim="claims/a"))
    benefits.on(date(2025, 10, 20))
    await benefits.run(Month(2025, 10))
    await benefits.hear("claims", determined("claims/b"))
    await benefits.hear("grading", concluded(4, claim="claims/b"))

    early = await benefits.run(SEPTEMBER)
    late = await benefits.run(Month(2025, 10), "again")

    # September's run brings the grant of August and the allowance of September, October's the rest.
    assert early.payment_count == 2
    assert late.payment_count == 2
    assert await benefits.broken() == []


async def test_the_totals_told_are_those_of_the_rows(benefits: Benefits) -> None:
    await benefits.hear("claims", determined("claims/a"))
    await benefits.hear("claims", determined("claims/b", pooling_area="440600"))
    for claim in ("claims/a", "claims/b"):
        await benefits.hear("grading", concluded(5, claim=claim))

    run = await benefits.run(AUGUST)
    told = await benefits.rows("select payload from outbox where subject like '%PaymentInstructed'")

    events = [events_pb2.PaymentInstructed.FromString(bytes(row.payload)) for row in told]
    assert [one.part for one in events] == list(run.parts)
    assert {(one.revision, one.payment_run) for one in events} == {(1, "paymentRuns/2025-08")}
    assert [(one.part.pooling_area, one.part.sum_fen) for one in events] == [
        ("440100", 6_252_840),
        ("440100", 10_421_400),
        ("440600", 6_252_840),
        ("440600", 10_421_400),
    ]
