"""From an accident to a payment: reported, determined on the orders, graded, granted, paid once."""

from __future__ import annotations

from typing import Any

import pytest
from oip.benefits.v1 import benefits_pb2, benefits_pb2_grpc
from oip.claims.v1 import accidents_pb2, accidents_pb2_grpc, claims_pb2, claims_pb2_grpc

from services.demo.summary import pages, summarise
from services.kernel.periods import Month
from services.runtime.rpc.wire import moment_from_wire, month_to_wire
from tests.journeys.conftest import SimulatedMonth

JULY = Month(2025, 7)
B = 347_380

pytestmark = pytest.mark.usefixtures("figures")


@pytest.fixture(scope="module")
async def figures(simulated: SimulatedMonth) -> dict[str, Any]:
    await simulated.enrol_and_send()
    filed = await simulated.claim()
    await simulated.grade_and_pay(filed)
    await simulated.bill()
    platforms = [company.name for company in simulated.plan.companies]
    return await summarise(simulated.actors, platforms, simulated.batches, [JULY], None)


async def claims_by_case(simulated: SimulatedMonth) -> dict[str, claims_pb2.Claim]:
    claims = simulated.actors.at(claims_pb2_grpc.ClaimServiceStub, "claims", "adjudicator")
    listed = await pages(claims.ListClaims, claims_pb2.ListClaimsRequest(), "claims")
    by_accident = {
        (f"workers/{simulated.workers[accident.trip.worker]}", accident.moment): accident
        for accident in simulated.accidents()
    }
    found = {}
    for row in listed:
        claim = await claims.GetClaim(claims_pb2.GetClaimRequest(name=row.name))
        moment = moment_from_wire(claim.accident_time, "accident_time")
        found[by_accident[claim.worker, moment].title] = claim
    return found


def awards_of(figures: dict[str, Any], claim: claims_pb2.Claim) -> list[tuple[str, int, str]]:
    return [
        (award["kind"], award["amount_fen"], award["first_month"])
        for award in figures["awards"]
        if award["claim"] == claim.name
    ]


@pytest.mark.parametrize(
    ("case", "confirmed"),
    [
        ("within two orders", True),
        ("between two orders", False),
        ("before the first order", False),
        ("drunk driver", False),
        ("death", True),
        ("grade 3 with care", True),
        ("grade 5", True),
        ("grade 9", True),
        ("healed", True),
        ("first of two accidents", True),
        ("second accident within a day", True),
    ],
)
async def test_the_orders_under_way_decide(
    simulated: SimulatedMonth, case: str, confirmed: bool
) -> None:
    claim = (await claims_by_case(simulated))[case]

    expected = claims_pb2.Determination.CONFIRMED if confirmed else claims_pb2.Determination.REFUSED
    assert claim.determination.outcome == expected
    assert claim.determination.findings
    assert all(finding.text and finding.text_zh for finding in claim.determination.findings)


async def test_two_orders_under_way_are_both_evidence_and_the_first_accepted_bears_the_case(
    simulated: SimulatedMonth,
) -> None:
    claim = (await claims_by_case(simulated))["within two orders"]
    under_way = [order for order in claim.orders if order.under_way]

    assert len(under_way) == 2
    (charged,) = [order for order in claim.orders if order.charged]
    assert (
        charged.order == min(under_way, key=lambda order: order.accept_time.ToNanoseconds()).order
    )


async def test_no_order_was_under_way_between_two(simulated: SimulatedMonth) -> None:
    claim = (await claims_by_case(simulated))["between two orders"]

    assert not any(order.under_way for order in claim.orders)


async def test_an_accident_that_two_parties_report_has_one_claim_and_one_set_of_benefits(
    simulated: SimulatedMonth, figures: dict[str, Any]
) -> None:
    claim = (await claims_by_case(simulated))["grade 5"]
    stub = accidents_pb2_grpc.AccidentServiceStub
    accidents = simulated.actors.at(stub, "claims", "adjudicator")
    listed = await accidents.ListFilings(accidents_pb2.ListFilingsRequest(claim=claim.name))
    merged = {filing.name for filing in listed.filings} - {claim.name}

    assert {filing.claimant_kind for filing in listed.filings} == {
        claims_pb2.WORKER,
        claims_pb2.PLATFORM,
    }
    assert merged
    assert not merged & {award["claim"] for award in figures["awards"]}


async def test_two_accidents_of_one_worker_within_a_day_both_pay(
    simulated: SimulatedMonth, figures: dict[str, Any]
) -> None:
    claims = await claims_by_case(simulated)
    first, second = claims["first of two accidents"], claims["second accident within a day"]

    assert first.accident != second.accident
    assert awards_of(figures, first)
    assert awards_of(figures, second)


async def test_a_death_pays_funeral_death_grant_and_survivors_up_to_the_base(
    simulated: SimulatedMonth, figures: dict[str, Any]
) -> None:
    awards = awards_of(figures, (await claims_by_case(simulated))["death"])

    assert ("FUNERAL_GRANT", 2_084_280, "2025-07") in awards
    assert ("DEATH_GRANT", 108_376_000, "2025-07") in awards
    pensions = sorted(amount for kind, amount, _ in awards if kind == "SURVIVOR_PENSION")
    assert pensions == [104_214, 104_214, 138_952]
    assert sum(pensions) == B


async def test_grade_3_with_partial_care_is_worked_example_2(
    simulated: SimulatedMonth, figures: dict[str, Any]
) -> None:
    awards = awards_of(figures, (await claims_by_case(simulated))["grade 3 with care"])

    assert ("DISABILITY_GRANT", 7_989_740, "2025-07") in awards
    assert ("DISABILITY_ALLOWANCE", 277_904, "2025-08") in awards
    assert ("CARE_ALLOWANCE", 173_690, "2025-08") in awards


async def test_grade_5_is_worked_example_3(
    simulated: SimulatedMonth, figures: dict[str, Any]
) -> None:
    awards = awards_of(figures, (await claims_by_case(simulated))["grade 5"])

    assert ("DISABILITY_GRANT", 6_252_840, "2025-07") in awards
    assert ("DISABILITY_SETTLEMENT", 10_421_400, "2025-07") in awards


async def test_grade_9_is_worked_example_4(
    simulated: SimulatedMonth, figures: dict[str, Any]
) -> None:
    awards = awards_of(figures, (await claims_by_case(simulated))["grade 9"])

    assert [amount for kind, amount, _ in awards if kind == "DISABILITY_GRANT"] == [3_126_420]


async def test_running_the_payments_again_pays_nobody_again(simulated: SimulatedMonth) -> None:
    benefits = simulated.actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    before = await pages(
        benefits.ListPaymentInstructions,
        benefits_pb2.ListPaymentInstructionsRequest(),
        "payment_instructions",
    )
    await benefits.InstructPayments(
        benefits_pb2.InstructPaymentsRequest(request_id="once-more", month=month_to_wire(JULY))
    )
    after = await pages(
        benefits.ListPaymentInstructions,
        benefits_pb2.ListPaymentInstructionsRequest(),
        "payment_instructions",
    )

    assert [one.name for one in after] == [one.name for one in before]
    assert len({(one.award, one.kind, one.month.SerializeToString()) for one in after}) == len(
        after
    )


async def test_monthly_benefits_begin_with_the_month_after_and_are_paid_in_its_run(
    simulated: SimulatedMonth,
) -> None:
    benefits = simulated.actors.at(benefits_pb2_grpc.BenefitServiceStub, "benefits", "fund_officer")
    august = await benefits.GetPaymentRun(
        benefits_pb2.GetPaymentRunRequest(name="paymentRuns/2025-08")
    )

    assert august.payment_count == 5
    assert august.sum_fen == 277_904 + 173_690 + B


async def test_all_invariants_hold(simulated: SimulatedMonth) -> None:
    await simulated.verify()
