from __future__ import annotations

import asyncio
from datetime import date

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2
from oip.type.v1 import type_pb2

from services.kernel.periods import Month
from services.runtime.rpc.wire import date_to_wire, month_to_wire
from tests.integration.benefits.builders import awards_of, concluded, consume, determined, survivor
from tests.support.stack_client import StackClient, refused

JULY, AUGUST, SEPTEMBER = Month(2025, 7), Month(2025, 8), Month(2025, 9)


async def test_events_on_the_bus_become_awards_in_any_order(client: StackClient) -> None:
    await client.publish(concluded(3, grading_pb2.PARTIAL))
    await client.publish(determined())

    awards = await awards_of(client)
    for _ in range(100):
        if len(awards) == 3:
            break
        await asyncio.sleep(0.2)
        awards = await awards_of(client)

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
    client: StackClient, grade: int, amounts: dict[str, int]
) -> None:
    await consume(client, determined())
    await consume(client, concluded(grade))

    awards = await awards_of(client)

    assert {kind: award.amount_fen for (kind, _), award in awards.items()} == amounts


async def test_a_death_brings_grants_and_shared_pensions(client: StackClient) -> None:
    people = [
        survivor("spouse", claims_pb2.Survivor.SPOUSE, date(1965, 3, 1)),
        survivor("child-1", claims_pb2.Survivor.CHILD, date(2012, 2, 29)),
        survivor("parent", claims_pb2.Survivor.PARENT, date(1950, 1, 1)),
        survivor("child-2", claims_pb2.Survivor.CHILD, date(2012, 2, 29)),
    ]
    await consume(client, determined(death_date=date(2025, 7, 2), survivors=people))

    awards = await awards_of(client)

    assert awards["FUNERAL_GRANT", "kin"].amount_fen == 2_084_280
    assert awards["DEATH_GRANT", "kin"].amount_fen == 108_376_000
    shares = {who: award.amount_fen for (kind, who), award in awards.items() if "PENSION" in kind}
    assert shares == {"spouse": 106_886, "child-1": 80_165, "parent": 80_165, "child-2": 80_164}
    last = awards["SURVIVOR_PENSION", "child-1"].last_month
    assert (last.year, last.month) == (2030, 2)


async def test_survivors_are_recomputed_when_one_leaves(client: StackClient) -> None:
    people = [
        survivor("spouse", claims_pb2.Survivor.SPOUSE, date(1965, 3, 1)),
        survivor("child-1", claims_pb2.Survivor.CHILD, date(2015, 5, 5)),
        survivor("child-2", claims_pb2.Survivor.CHILD, date(2016, 5, 5)),
        survivor("child-3", claims_pb2.Survivor.CHILD, date(2017, 5, 5)),
    ]
    await consume(client, determined(death_date=date(2025, 7, 2), survivors=people))

    ended = await client.benefits("fund_officer").TerminateAward(
        pb.TerminateAwardRequest(
            request_id="t",
            name="awards/c1-survivor-pension-spouse",
            last_month=month_to_wire(Month(2025, 10)),
            reason="married again",
        )
    )
    child = await client.benefits("fund_officer").GetAward(
        pb.GetAwardRequest(name="awards/c1-survivor-pension-child-1")
    )

    assert ended.state == pb.Award.TERMINATED
    assert [(rate.since_month.month, rate.amount_fen) for rate in child.rates[:2]] == [
        (8, 80_165),
        (11, 104_214),
    ]


async def test_a_bill_is_reimbursed_less_what_a_third_party_paid(client: StackClient) -> None:
    await consume(client, determined())
    request = pb.GrantExpenseRequest(
        request_id="bill-1",
        claim="claims/c1",
        kind=pb.MEDICAL_BENEFIT,
        expense_date=date_to_wire(date(2025, 7, 5)),
        allowed_cost_fen=1_234_567,
        paid_by_third_party_fen=234_567,
        institution="First Hospital",
        bill_number="H-1",
    )

    award = await client.benefits("fund_officer").GrantExpense(request)
    again = await client.benefits("fund_officer").GrantExpense(request)

    assert award.amount_fen == 1_000_000
    assert again == award
    assert [one.provision.article for one in award.findings] == ["第三十条", "第八条第三款"]


async def test_a_bill_waits_for_the_determination(client: StackClient) -> None:
    problem = await refused(
        client.benefits("fund_officer").GrantExpense(
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


async def test_a_pension_leaves_the_difference_of_the_allowance(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(3))

    award = await client.benefits("fund_officer").RecordPension(
        pb.RecordPensionRequest(
            request_id="p",
            claim="claims/c1",
            first_month=month_to_wire(Month(2026, 1)),
            pension_fen=250_000,
        )
    )

    assert [rate.amount_fen for rate in award.rates] == [277_904, 27_904]


async def test_findings_explain_each_fen_in_two_languages(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(3))

    award = await client.benefits("fund_officer").GetAward(
        pb.GetAwardRequest(name="awards/c1-disability-grant-worker")
    )

    base, grant = award.findings
    assert base.arithmetic == ("6947600 fen / 12 = 578967 fen; 578967 fen x 0.60 = 347380 fen")
    assert grant.arithmetic == "347380 fen x 23 = 7989740 fen"
    assert grant.provision.article == "第三十八条第(二)项"
    assert grant.parameters[0].name == "disability_grant_months"
    assert "79,897.40" in grant.text
    assert "79,897.40" in grant.text_zh


async def test_what_is_paid_once_cannot_be_suspended(client: StackClient) -> None:
    await consume(client, determined())
    await consume(client, concluded(9))

    problem = await refused(
        client.benefits("fund_officer").SuspendAward(
            pb.SuspendAwardRequest(
                request_id="s",
                name="awards/c1-disability-grant-worker",
                first_month=month_to_wire(SEPTEMBER),
                reason="no proof of life",
            )
        )
    )

    assert problem.reason == "NOT_PERIODIC"


async def test_a_bill_is_granted_once_by_its_number(client: StackClient) -> None:
    await consume(client, determined())
    request = pb.GrantExpenseRequest(
        request_id="first",
        claim="claims/c1",
        kind=pb.MEDICAL_BENEFIT,
        expense_date=date_to_wire(date(2025, 7, 5)),
        allowed_cost_fen=50_000,
        institution="First Hospital",
        bill_number="2025-0007",
    )
    await client.benefits("fund_officer").GrantExpense(request)
    request.request_id = "second"

    problem = await refused(client.benefits("fund_officer").GrantExpense(request))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "BILL_ALREADY_GRANTED",
    )
