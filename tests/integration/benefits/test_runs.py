from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import date

import grpc
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import events_pb2
from oip.grading.v1 import grading_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import month_to_wire
from tests.integration.benefits.builders import (
    concluded,
    consume,
    determined,
    instructions,
    run_payments,
)
from tests.support.stack_client import StackClient, refused

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)


async def test_each_month_is_instructed_once_with_the_months_before(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(3, grading_pb2.PARTIAL))

    august = await run_payments(client, AUGUST)
    client.set_day(date(2025, 11, 15))
    november = await run_payments(client, Month(2025, 11))
    again = await run_payments(client, Month(2025, 11), "another")

    assert (august.payment_count, august.sum_fen) == (1, 7_989_740)
    assert (november.payment_count, november.sum_fen) == (6, 3 * (277_904 + 173_690))
    assert again == november
    assert len(await instructions(client)) == 7
    assert await client.broken("benefits") == []


async def test_two_runs_at_once_pay_once(client: StackClient) -> None:
    for number in range(20):
        await consume(client, determined(f"claims/k{number}"))
        await consume(client, concluded(9, claim=f"claims/k{number}"))

    runs = await asyncio.gather(*(run_payments(client, AUGUST, f"run-{n}") for n in range(4)))

    assert {run.payment_count for run in runs} == {20}
    events = await client.published("benefits", events_pb2.PaymentInstructed)
    parts = [event.part for event in events]
    assert sum(part.payment_count for part in parts) == 20
    assert sum(part.sum_fen for part in parts) == 20 * 3_126_420


async def test_a_later_month_is_refused(client: StackClient) -> None:
    problem = await refused(run_payments(client, SEPTEMBER))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "MONTH_NOT_BEGUN",
    )
    assert await instructions(client) == []


async def test_a_suspended_award_is_not_paid_until_it_is_resumed(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(1))
    name = "awards/c1-disability-allowance-worker"
    stub = client.benefits("fund_officer")
    suspended = await stub.SuspendAward(
        pb.SuspendAwardRequest(
            request_id="s", name=name, first_month=month_to_wire(Month(2025, 10)), reason="no proof"
        )
    )
    client.set_day(date(2025, 12, 1))
    await run_payments(client, Month(2025, 12))
    resumed = await stub.ResumeAward(
        pb.ResumeAwardRequest(request_id="r", name=name, first_month=month_to_wire(Month(2025, 12)))
    )
    await run_payments(client, Month(2025, 12), request_id="again")

    months = [month for award, month, _ in await instructions(client, name)]
    assert months == ["2025-09", "2025-12"]
    assert (suspended.state, resumed.state) == (pb.Award.SUSPENDED, pb.Award.IN_PAYMENT)
    assert await client.broken("benefits") == []


async def test_lists_continue_where_the_page_before_ended(client: StackClient) -> None:
    for number in range(5):
        await consume(client, determined(f"claims/k{number}"))
        await consume(client, concluded(3, claim=f"claims/k{number}"))
    await run_payments(client, AUGUST)
    stub = client.benefits("fund_officer")

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


async def test_runs_of_two_months_at_once_pay_each_month_once(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(3, grading_pb2.PARTIAL))
    client.set_day(date(2025, 12, 1))

    await asyncio.gather(
        *(run_payments(client, SEPTEMBER.plus(n), f"run-{n}") for n in (3, 1, 0, 2)),
    )

    months = [month for _, month, _ in await instructions(client)]
    assert len(months) == 1 + 4 + 4
    assert await client.broken("benefits") == []


async def test_decisions_during_a_run_lose_nothing(client: StackClient) -> None:
    for number in range(12):
        await consume(client, determined(f"claims/k{number}"))
    client.set_day(date(2025, 9, 20))

    await asyncio.gather(
        *(run_payments(client, SEPTEMBER, f"run-{n}") for n in range(3)),
        *(consume(client, concluded(4, claim=f"claims/k{n}")) for n in range(12)),
    )
    run = await run_payments(client, SEPTEMBER, "last")

    assert run.payment_count == 24
    assert run.sum_fen == 12 * (7_294_980 + 260_535)
    assert await client.broken("benefits") == []


async def test_an_earlier_month_run_late_finds_what_was_granted_since(client: StackClient) -> None:
    await consume(client, determined("claims/a"))
    await consume(client, concluded(9, claim="claims/a"))
    client.set_day(date(2025, 10, 20))
    await run_payments(client, Month(2025, 10))
    await consume(client, determined("claims/b"))
    await consume(client, concluded(4, claim="claims/b"))

    early = await run_payments(client, SEPTEMBER)
    late = await run_payments(client, Month(2025, 10), "again")

    # September's run brings the grant of August and the allowance of September, October's the rest.
    assert early.payment_count == 2
    assert late.payment_count == 2
    assert await client.broken("benefits") == []


async def test_the_totals_published_are_those_of_the_rows(client: StackClient) -> None:
    await consume(client, determined("claims/a"))
    await consume(client, determined("claims/b", pooling_area="440600"))
    for claim in ("claims/a", "claims/b"):
        await consume(client, concluded(5, claim=claim))

    run = await run_payments(client, AUGUST)
    events = await client.published("benefits", events_pb2.PaymentInstructed)

    assert [one.part for one in events] == list(run.parts)
    assert {(one.revision, one.payment_run) for one in events} == {(1, "paymentRuns/2025-08")}
    assert [(one.part.pooling_area, one.part.sum_fen) for one in events] == [
        ("440100", 6_252_840),
        ("440100", 10_421_400),
        ("440600", 6_252_840),
        ("440600", 10_421_400),
    ]


async def test_months_of_another_century_are_refused(client: StackClient) -> None:
    """A slip of the finger must not pay, stop or reduce a benefit for a hundred years."""
    await consume(client, determined())
    await consume(client, concluded(1))
    name = "awards/c1-disability-allowance-worker"
    stub = client.benefits("fund_officer")
    before = await stub.GetAward(pb.GetAwardRequest(name=name))
    calls: list[Awaitable[object]] = []
    for number, month in enumerate(map(month_to_wire, (Month(1925, 9), Month(2199, 9)))):
        id_ = f"r{number}"
        calls += [
            stub.SuspendAward(
                pb.SuspendAwardRequest(request_id=id_, name=name, first_month=month, reason="x")
            ),
            stub.TerminateAward(
                pb.TerminateAwardRequest(request_id=id_, name=name, last_month=month, reason="x")
            ),
            stub.RecordPension(
                pb.RecordPensionRequest(
                    request_id=id_, claim="claims/c1", first_month=month, pension_fen=1
                )
            ),
            stub.InstructPayments(pb.InstructPaymentsRequest(request_id=id_, month=month)),
        ]
    reasons = [(await refused(call)).reason for call in calls]

    assert reasons == ["OUT_OF_RANGE"] * len(calls)
    assert await stub.GetAward(pb.GetAwardRequest(name=name)) == before


async def test_runs_are_listed_newest_month_first_page_by_page(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(3, grading_pb2.PARTIAL))
    august = await run_payments(client, AUGUST)
    client.set_day(date(2025, 11, 15))
    november = await run_payments(client, Month(2025, 11))
    stub = client.benefits("fund_officer")

    first = await stub.ListPaymentRuns(pb.ListPaymentRunsRequest(page_size=1))
    second = await stub.ListPaymentRuns(
        pb.ListPaymentRunsRequest(page_size=1, page_token=first.next_page_token)
    )

    listed = [*first.payment_runs, *second.payment_runs]
    assert [(run.name, run.payment_count, run.sum_fen) for run in listed] == [
        (run.name, run.payment_count, run.sum_fen) for run in (november, august)
    ]
    assert [list(run.parts) for run in listed] == [[], []]
    assert listed[0].update_time == november.update_time
