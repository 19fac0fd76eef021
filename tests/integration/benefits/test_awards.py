from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import events_pb2
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import grading_pb2
from oip.type.v1 import type_pb2

from services.benefits import commands
from services.benefits.domain.law import Law, load_law
from services.kernel.law import Tag
from services.kernel.parameters import Value
from services.kernel.periods import Month
from services.runtime.channels import RemoteProblem, problem_of
from services.runtime.wire import date_to_wire, month_to_wire
from tests.integration.benefits.conftest import Benefits, concluded, determined, survivor

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return problem_of(caught.value)


async def test_events_on_the_bus_become_awards_in_whatever_order(benefits: Benefits) -> None:
    await benefits.publish("grading", concluded(3, grading_pb2.PARTIAL))
    await benefits.publish("claims", determined())

    awards = await benefits.awards()
    for _ in range(100):
        if len(awards) == 3:
            break
        await asyncio.sleep(0.2)
        awards = await benefits.awards()

    amounts = {kind: award.amount_fen for (kind, _), award in awards.items()}
    assert amounts == {
        "DISABILITY_GRANT": 7_989_740,
        "DISABILITY_ALLOWANCE": 277_904,
        "CARE_ALLOWANCE": 173_690,
    }
    assert awards["DISABILITY_ALLOWANCE", "worker"].name == "awards/c1-disability-allowance-worker"
    assert awards["CARE_ALLOWANCE", "worker"].first_month == type_pb2.Month(year=2025, month=9)


@pytest.mark.parametrize(
    ("grade", "amounts"),
    [
        (5, {"DISABILITY_GRANT": 6_252_840, "DISABILITY_SETTLEMENT": 10_421_400}),
        (6, {"DISABILITY_GRANT": 5_558_080, "DISABILITY_SETTLEMENT": 8_684_500}),
        (9, {"DISABILITY_GRANT": 3_126_420}),
        (0, {}),
    ],
)
async def test_a_grade_brings_its_one_off_sums(
    benefits: Benefits, grade: int, amounts: dict[str, int]
) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(grade))

    awards = await benefits.awards()

    assert {kind: award.amount_fen for (kind, _), award in awards.items()} == amounts


async def test_a_death_brings_grants_and_shared_pensions(benefits: Benefits) -> None:
    people = [
        survivor("spouse", claims_pb2.Survivor.SPOUSE, date(1965, 3, 1)),
        survivor("child-1", claims_pb2.Survivor.CHILD, date(2012, 2, 29)),
        survivor("parent", claims_pb2.Survivor.PARENT, date(1950, 1, 1)),
        survivor("child-2", claims_pb2.Survivor.CHILD, date(2012, 2, 29)),
    ]
    await benefits.hear("claims", determined(death_date=date(2025, 7, 2), survivors=people))

    awards = await benefits.awards()

    assert awards["FUNERAL_GRANT", "kin"].amount_fen == 2_084_280
    assert awards["DEATH_GRANT", "kin"].amount_fen == 108_376_000
    shares = {who: award.amount_fen for (kind, who), award in awards.items() if "PENSION" in kind}
    assert shares == {"spouse": 106_886, "child-1": 80_165, "parent": 80_165, "child-2": 80_164}
    last = awards["SURVIVOR_PENSION", "child-1"].last_month
    assert (last.year, last.month) == (2030, 3)


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


async def test_a_repeated_event_and_an_older_one_change_nothing(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(9))
    before = await benefits.rows("select award, revision from award")

    await benefits.hear("claims", determined())
    await benefits.hear("claims", determined(revision=2, pooling_area="440600"))
    await benefits.hear("grading", concluded(9))

    assert await benefits.rows("select award, revision from award") == before


async def test_a_re_appraisal_pays_the_difference(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(8))
    await benefits.run(AUGUST)
    benefits.on(date(2025, 9, 10))

    await benefits.hear("grading", concluded(7, day=date(2025, 9, 9), level=2))
    run = await benefits.run(SEPTEMBER)

    assert (run.payment_count, run.sum_fen) == (1, 694_760)
    listed = await benefits.stub().ListAwards(pb.ListAwardsRequest(claim="claims/c1"))
    (difference,) = [award for award in listed.awards if award.adjusts]
    assert difference.adjusts == "awards/c1-disability-grant-worker"
    assert difference.name == "awards/c1-disability-grant-worker-a1"


async def test_a_review_from_four_to_five_ends_the_allowance(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(4))
    benefits.on(date(2026, 8, 20))
    await benefits.run(AUGUST.plus(12))
    await benefits.hear("grading", concluded(5, day=date(2026, 8, 15), level=3))

    awards = await benefits.awards()

    allowance = awards["DISABILITY_ALLOWANCE", "worker"]
    assert (allowance.last_month.year, allowance.last_month.month) == (2026, 8)
    settled = awards["DISABILITY_SETTLEMENT", "worker"].amount_fen
    assert settled == 10_421_400 - 12 * 260_535
    assert awards["DISABILITY_GRANT", "worker"].amount_fen == 7_294_980


async def test_a_withdrawn_determination_ends_and_recovers(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3, grading_pb2.PARTIAL))
    await benefits.run(AUGUST)

    await benefits.hear("claims", claims_events.DeterminationRevoked(claim="claims/c1", revision=4))
    benefits.on(date(2025, 10, 1))
    run = await benefits.run(Month(2025, 10))

    assert run.payment_count == 0
    assert {award.state for award in (await benefits.awards()).values()} == {pb.Award.TERMINATED}
    answer = await benefits.stub().ListRecoveries(pb.ListRecoveriesRequest(claim="claims/c1"))
    assert [one.amount_fen for one in answer.recoveries] == [7_989_740]
    assert await benefits.broken() == []


async def test_money_to_recover_is_set_off_against_half_of_each_payment(
    benefits: Benefits,
) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3, grading_pb2.PARTIAL))
    benefits.on(date(2025, 9, 20))
    await benefits.run(SEPTEMBER)
    # The re-appraisal finds a lighter grade: a month of B was paid too much, and some allowance.
    await benefits.hear(
        "grading", concluded(4, grading_pb2.PARTIAL, day=date(2025, 9, 18), level=2)
    )
    benefits.on(date(2025, 10, 20))
    await benefits.run(Month(2025, 10))

    paid = await benefits.rows(
        "select amount_fen, withheld_fen from payment where run_month = 2025 * 12 + 9 order by kind"
    )

    assert [tuple(row) for row in paid] == [
        (86_845, 86_845),  # care allowance 1,736.90, half of it withheld
        (260_535 - 130_267, 130_267),  # allowance of grade 4, cut to whole fen
    ]
    assert await benefits.broken() == []


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


async def test_survivors_are_recomputed_when_one_leaves(benefits: Benefits) -> None:
    people = [
        survivor("spouse", claims_pb2.Survivor.SPOUSE, date(1965, 3, 1)),
        survivor("child-1", claims_pb2.Survivor.CHILD, date(2015, 5, 5)),
        survivor("child-2", claims_pb2.Survivor.CHILD, date(2016, 5, 5)),
        survivor("child-3", claims_pb2.Survivor.CHILD, date(2017, 5, 5)),
    ]
    await benefits.hear("claims", determined(death_date=date(2025, 7, 2), survivors=people))

    ended = await benefits.stub().TerminateAward(
        pb.TerminateAwardRequest(
            request_id="t",
            name="awards/c1-survivor-pension-spouse",
            last_month=month_to_wire(Month(2025, 10)),
            reason="married again",
        )
    )
    child = await benefits.stub().GetAward(
        pb.GetAwardRequest(name="awards/c1-survivor-pension-child-1")
    )

    assert ended.state == pb.Award.TERMINATED
    assert [(rate.since_month.month, rate.amount_fen) for rate in child.rates[:2]] == [
        (8, 80_165),
        (11, 104_214),
    ]


async def test_a_wage_published_later_brings_back_pay(benefits: Benefits) -> None:
    benefits.on(date(2025, 3, 10))
    early = determined(accident_date=date(2025, 1, 10), determine_date=date(2025, 2, 1))
    await benefits.hear("claims", early)
    await benefits.hear("grading", concluded(9, day=date(2025, 3, 3)))
    provisional = (await benefits.awards())["DISABILITY_GRANT", "worker"]
    first = await benefits.run(Month(2025, 3))
    benefits.on(date(2025, 6, 1))
    second = await benefits.run(Month(2025, 6))

    # 68,340 / 12 x 60 % x 9, then the difference to 31,264.20.
    assert provisional.provisional
    assert (provisional.amount_fen, first.sum_fen) == (3_075_300, 3_075_300)
    assert second.sum_fen == 3_126_420 - 3_075_300
    assert not (await benefits.awards())["DISABILITY_GRANT", "worker"].provisional


async def test_a_bill_is_reimbursed_less_what_a_third_party_paid(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    request = pb.GrantExpenseRequest(
        request_id="bill-1",
        claim="claims/c1",
        kind=pb.MEDICAL_BENEFIT,
        expense_date=date_to_wire(date(2025, 7, 5)),
        allowed_cost_fen=1_234_567,
        paid_by_third_party_fen=234_567,
    )

    award = await benefits.stub().GrantExpense(request)
    again = await benefits.stub().GrantExpense(request)

    assert award.amount_fen == 1_000_000
    assert again == award
    assert [one.provision.article for one in award.findings] == ["第三十条", "第四十二条"]


async def test_a_bill_waits_for_the_determination(benefits: Benefits) -> None:
    problem = await refused(
        benefits.stub().GrantExpense(
            pb.GrantExpenseRequest(
                request_id="bill-1",
                claim="claims/unknown",
                kind=pb.MEDICAL_BENEFIT,
                expense_date=date_to_wire(date(2025, 7, 5)),
                allowed_cost_fen=1,
            )
        )
    )

    assert problem.reason == "CASE_NOT_CONFIRMED"


async def test_a_pension_leaves_the_difference_of_the_allowance(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3))

    award = await benefits.stub().RecordPension(
        pb.RecordPensionRequest(
            request_id="p",
            claim="claims/c1",
            first_month=month_to_wire(Month(2026, 1)),
            pension_fen=250_000,
        )
    )

    assert [rate.amount_fen for rate in award.rates] == [277_904, 27_904]


async def test_findings_explain_each_fen_in_two_languages(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3))

    award = await benefits.stub().GetAward(
        pb.GetAwardRequest(name="awards/c1-disability-grant-worker")
    )

    base, grant = award.findings
    assert base.arithmetic == ("6947600 fen / 12 = 578967 fen; 578967 fen x 0.60 = 347380 fen")
    assert grant.arithmetic == "347380 fen x 23 = 7989740 fen"
    assert grant.provision.article == "第三十八条第(二)项"
    assert grant.parameters[0].name == "disability_grant_months"
    assert "79,897.40" in grant.text
    assert "79,897.40" in grant.text_zh


async def test_an_adjustment_raises_what_is_in_payment_and_pays_the_months_back(
    benefits: Benefits, monkeypatch: pytest.MonkeyPatch
) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(3))
    benefits.on(date(2026, 2, 20))
    await benefits.run(Month(2026, 2))
    stub = benefits.stub()
    before = await stub.IndexAwards(pb.IndexAwardsRequest(request_id="early"))
    benefits.on(date(2026, 4, 20))
    monkeypatch.setattr(commands, "load_law", with_an_adjustment)

    done = await stub.IndexAwards(pb.IndexAwardsRequest(request_id="april"))
    run = await benefits.run(Month(2026, 4))

    assert (before.award_count, done.claim_count, done.remaining_count) == (0, 1, 0)
    # March and April at the new rate, and 210.00 for each of January and February.
    assert run.sum_fen == 2 * (277_904 + 21_000) + 2 * 21_000
    assert await benefits.broken() == []


@cache
def with_an_adjustment() -> Law:
    """The law with 210.00 more for grade 3 from January 2026, published in April."""
    held = load_law()
    raised = Value(
        since=date(2026, 1, 1),
        jurisdiction="440000",
        published=date(2026, 4, 1),
        value={"add_grade_3": "210"},
        source="made for this test",
        tag=Tag.ASSUMED,
        parameter="indexation",
    )
    indexation = held.parameters["indexation"]
    added = replace(indexation, values=(*indexation.values, raised))
    return Law({**held.parameters, "indexation": added})


async def test_a_late_termination_recovers_the_months_paid_beyond(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(1))
    benefits.on(date(2025, 12, 20))
    await benefits.run(Month(2025, 12))

    await benefits.stub().TerminateAward(
        pb.TerminateAwardRequest(
            request_id="t",
            name="awards/c1-disability-allowance-worker",
            last_month=month_to_wire(Month(2025, 10)),
            reason="moved abroad and asked for the end",
        )
    )

    answer = await benefits.stub().ListRecoveries(pb.ListRecoveriesRequest())
    assert [one.amount_fen for one in answer.recoveries] == [2 * 312_642]
    assert await benefits.broken() == []


async def test_what_is_paid_once_cannot_be_suspended(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(9))

    problem = await refused(
        benefits.stub().SuspendAward(
            pb.SuspendAwardRequest(
                request_id="s",
                name="awards/c1-disability-grant-worker",
                first_month=month_to_wire(SEPTEMBER),
                reason="no proof of life",
            )
        )
    )

    assert problem.reason == "NOT_PERIODIC"


async def test_a_bill_is_granted_once_by_its_number(benefits: Benefits) -> None:
    await benefits.hear("claims", determined())
    request = pb.GrantExpenseRequest(
        request_id="first",
        claim="claims/c1",
        kind=pb.MEDICAL_BENEFIT,
        expense_date=date_to_wire(date(2025, 7, 5)),
        allowed_cost_fen=50_000,
        bill_number="2025-0007",
    )
    await benefits.stub().GrantExpense(request)
    request.request_id = "second"

    problem = await refused(benefits.stub().GrantExpense(request))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "BILL_ALREADY_GRANTED",
    )


async def test_a_case_decided_again_for_another_area_charges_that_area_from_then_on(
    benefits: Benefits,
) -> None:
    await benefits.hear("claims", determined())
    await benefits.hear("grading", concluded(4))
    benefits.on(date(2025, 9, 20))
    await benefits.run(SEPTEMBER)
    revoked = claims_events.DeterminationRevoked(claim="claims/c1", revision=4)
    await benefits.hear("claims", revoked)
    await benefits.hear("claims", determined(revision=5, pooling_area="440600"))
    benefits.on(date(2025, 10, 20))
    run = await benefits.run(Month(2025, 10))

    # What was marked for recovery when the determination was withdrawn is released.
    parts = {(part.pooling_area, pb.BenefitKind.Name(part.kind)) for part in run.parts}
    assert {area for area, _ in parts} == {"440600"}
    months = [month for _, month, _ in await benefits.instructions()]
    assert months == ["2025-08", "2025-09", "2025-10"]
    marked = await benefits.rows("select sum(amount_fen) from recovery")
    assert marked[0][0] == 0
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
