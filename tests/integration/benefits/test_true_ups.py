"""A figure that is published later makes provisional awards final, and the difference is paid.

Beijing's wage of all employees of 2022 is published on 2023-07-01 (11,297 yuan a month), that of
Shanghai on the same day (12,183); until then that of 2021 or the national one stands in.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import events_pb2
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2
from oip.operations.v1 import operations_pb2

from services.benefits.domain import law
from services.kernel.law import Tag
from services.kernel.lawbook import Law
from services.kernel.parameters import Value
from services.kernel.periods import Month
from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    consume,
    determined,
    run_payments,
    survivor,
)
from tests.support.command_line import run_oip
from tests.support.stack_client import StackClient, refused

BEIJING, SHANGHAI = "110105", "310117"
ACCIDENT = date(2023, 2, 10)
MAY, JUNE, JULY = Month(2023, 5), Month(2023, 6), Month(2023, 7)
# 60 % of 10,628 and of 11,297 yuan a month.
BEFORE, AFTER = 637_680, 677_820


def an_injury(claim: str, area: str = BEIJING, **fields: Any) -> Any:
    number = int(claim.removeprefix("claims/c"))
    return determined(
        claim,
        worker=f"workers/{number}",
        pooling_area=area,
        accident_date=ACCIDENT,
        determine_date=date(2023, 3, 1),
        **fields,
    )


async def paid_before(client: StackClient, grade: int = 3, area: str = BEIJING) -> None:
    """A case of Beijing that was concluded in May 2023 and paid in June."""
    client.set_day(date(2023, 5, 15))
    await consume(client, an_injury("claims/c1", area))
    await consume(client, concluded(grade, grading_pb2.PARTIAL, day=date(2023, 5, 15)))
    client.set_day(date(2023, 6, 20))
    await run_payments(client, JUNE)


async def true_up(client: StackClient, request_id: str = "", **fields: Any) -> Any:
    return await client.benefits("fund_officer").TrueUpAwards(
        pb.TrueUpAwardsRequest(request_id=request_id or client.new_id(), **fields)
    )


async def provisional(client: StackClient, **fields: Any) -> list[Any]:
    answer = await client.benefits("fund_officer").ListProvisionalAwards(
        pb.ListProvisionalAwardsRequest(**fields)
    )
    return list(answer.rows)


def of_kind(true_ups: Any) -> dict[str, tuple[int, int, int, bool]]:
    return {
        pb.BenefitKind.Name(each.kind): (
            each.before_fen,
            each.after_fen,
            each.difference_fen,
            each.final,
        )
        for each in true_ups
    }


EXPECTED = {
    "DISABILITY_GRANT": (23 * BEFORE, 23 * AFTER, 23 * (AFTER - BEFORE), True),
    "DISABILITY_ALLOWANCE": (510_144, 542_256, 542_256 - 510_144, True),
    "CARE_ALLOWANCE": (318_840, 338_910, 338_910 - 318_840, True),
}


async def test_the_areas_own_figure_is_paid_back_to_the_first_month(client: StackClient) -> None:
    await paid_before(client)
    early = await provisional(client)
    nothing = await true_up(client)
    client.set_day(date(2023, 7, 3))
    listed = await provisional(client, changing_only=True)
    before = await client.rows("benefits", "select * from award order by id")

    done = await true_up(client)
    run = await run_payments(client, JULY)
    again = await true_up(client)

    assert {figure.parameter for row in early for figure in row.award.awaited_figures} == {
        "all_employee_wage"
    }
    assert not any(figure.published for row in early for figure in row.award.awaited_figures)
    assert (nothing.worker_count, list(nothing.true_ups), nothing.remaining_count) == (0, [], 0)
    assert all(figure.published for row in listed for figure in row.award.awaited_figures)
    assert of_kind(row.true_up for row in listed) == EXPECTED
    assert {row.provisional for row in (await awards_of(client)).values()} == {False}
    assert of_kind(done.true_ups) == EXPECTED
    assert (done.worker_count, done.remaining_count) == (1, 0)
    assert (again.worker_count, list(again.true_ups)) == (0, [])
    (figure,) = {
        (one.name, one.jurisdiction, one.value) for each in done.true_ups for one in each.figures
    }
    assert figure == ("all_employee_wage", "110000", "11297")
    # July at the new rates, and what June and the grant lack.
    differences = sum(difference for _, _, difference, _ in EXPECTED.values())
    assert run.sum_fen == 542_256 + 338_910 + differences
    # What was granted and paid before stands as it was.
    after = await client.rows("benefits", "select * from award where adjusts = '' order by id")
    assert [(row.id, row.amount_fen) for row in after] == [
        (row.id, row.amount_fen) for row in before
    ]
    assert await client.broken("benefits") == []


async def test_a_true_up_leaves_a_record_with_the_figures_and_the_person(
    client: StackClient,
) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    done = await true_up(client)
    stub = client.benefits("fund_officer")

    recorded = await stub.ListTrueUps(pb.ListTrueUpsRequest(claim="claims/c1"))
    of_area = await stub.ListTrueUps(pb.ListTrueUpsRequest(pooling_area=BEIJING))
    elsewhere = await stub.ListTrueUps(pb.ListTrueUpsRequest(pooling_area=SHANGHAI))
    own = client.benefits("worker_agent", person="workers/1")
    other = client.benefits("worker_agent", person="workers/2")

    assert of_kind(recorded.true_ups) == of_kind(done.true_ups) == EXPECTED
    assert [each.name for each in of_area.true_ups] == [each.name for each in recorded.true_ups]
    assert not elsewhere.true_ups
    assert all(each.member and each.name and each.create_time for each in recorded.true_ups)
    assert len((await own.ListTrueUps(pb.ListTrueUpsRequest())).true_ups) == 3
    assert not (await other.ListTrueUps(pb.ListTrueUpsRequest())).true_ups
    events = await client.published("benefits", events_pb2.AwardGranted)
    final = [event.award for event in events if not event.award.provisional]
    assert {award.name for award in final} >= {each.award for each in done.true_ups}


async def test_money_that_moves_is_signed_by_another_person(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    client.signs = False

    needed = await refused(true_up(client, "t1"))
    waiting = await awards_of(client)
    shown = await client.operations("benefits", "fund_approver", subject="wang").GetPendingAct(
        operations_pb2.GetPendingActRequest(name=needed.metadata["pending_act"])
    )
    own = await refused(_sign(client, needed, "test"))
    await _sign(client, needed, "wang")
    repeated = await true_up(client, "t1")

    assert (needed.reason, own.reason) == ("SECOND_SIGNATURE_NEEDED", "SIGNER_IS_MAKER")
    assert {award.provisional for award in waiting.values()} == {True}
    assert "difference_fen" in shown.preview_json
    assert shown.sum_fen == sum(max(d, a - b) for b, a, d, _ in EXPECTED.values())
    assert of_kind(repeated.true_ups) == EXPECTED
    assert await client.broken("benefits") == []
    assert await client.broken_common("benefits") == []


async def test_a_payment_between_proposal_and_signature_voids_the_signature(
    client: StackClient,
) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    client.signs = False
    needed = await refused(true_up(client, "t1"))
    client.signs = True
    await run_payments(client, JULY)

    problem = await refused(_sign(client, needed, "wang"))

    assert problem.reason == "ACT_CHANGED"
    # The run has trued up by itself, signed as a whole.
    recorded = await client.benefits("fund_officer").ListTrueUps(pb.ListTrueUpsRequest())
    assert of_kind(recorded.true_ups) == EXPECTED
    assert await client.broken("benefits") == []


async def test_an_award_that_nobody_was_paid_yet_follows_without_a_difference(
    client: StackClient,
) -> None:
    client.set_day(date(2023, 5, 15))
    await consume(client, an_injury("claims/c1", SHANGHAI))
    await consume(client, concluded(9, day=date(2023, 5, 15)))
    client.set_day(date(2023, 7, 1))

    done = await true_up(client)

    # The national wage of private employees of 2022 stood in: 65,237 yuan a year.
    assert of_kind(done.true_ups) == {"DISABILITY_GRANT": (2_935_665, 6_578_820, 0, True)}
    assert (await run_payments(client, JULY)).sum_fen == 6_578_820


async def test_the_death_grant_waits_for_the_income_alone(client: StackClient) -> None:
    """The income of 2022 is published on 2023-01-17: 49,283 yuan; before, 47,412 stands in."""
    client.set_day(date(2023, 1, 12))
    child = survivor("child-1", claims_pb2.Survivor.CHILD, date(2018, 5, 1))
    dead = determined(
        worker="workers/1",
        pooling_area=BEIJING,
        accident_date=date(2023, 1, 9),
        death_date=date(2023, 1, 10),
        determine_date=date(2023, 1, 12),
        survivors=[child],
    )
    await consume(client, dead)
    await run_payments(client, Month(2023, 1))
    client.set_day(date(2023, 1, 17))

    in_january = await true_up(client)
    client.set_day(date(2023, 7, 1))
    in_july = await true_up(client)

    assert of_kind(in_january.true_ups) == {
        "DEATH_GRANT": (94_824_000, 98_566_000, 3_742_000, True)
    }
    assert of_kind(in_july.true_ups) == {
        "FUNERAL_GRANT": (6 * BEFORE, 6 * AFTER, 6 * (AFTER - BEFORE), True),
        "SURVIVOR_PENSION": (191_304, 203_346, 0, True),
    }
    assert await client.broken("benefits") == []


async def test_a_lower_figure_is_offset_against_half_of_each_later_payment(
    client: StackClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The area's own wage is 60,000 yuan a year, below the national 69,476."""
    monkeypatch.setattr(law, "LAW", with_own_wage("60000", published=date(2026, 1, 20)))
    client.set_day(date(2025, 8, 20))
    await consume(client, determined(), concluded(4))
    client.set_day(date(2025, 12, 20))
    await run_payments(client, Month(2025, 12))
    client.set_day(date(2026, 1, 20))

    done = await true_up(client)
    stub = client.benefits("fund_officer")
    marked = await stub.ListRecoveries(pb.ListRecoveriesRequest(claim="claims/c1"))
    await run_payments(client, Month(2026, 1))

    grant, allowance = 21 * (347_380 - 300_000), 4 * (260_535 - 225_000)
    assert of_kind(done.true_ups) == {
        "DISABILITY_GRANT": (21 * 347_380, 21 * 300_000, -grant, True),
        # The minimum wage of the area is still awaited.
        "DISABILITY_ALLOWANCE": (260_535, 249_000, -4 * (260_535 - 249_000), False),
    }
    assert allowance > 0
    assert sum(one.amount_fen for one in marked.recoveries) == grant + 4 * (260_535 - 249_000)
    paid = await client.rows(
        "benefits", "select amount_fen, withheld_fen from payment where run_month = 2026 * 12"
    )
    assert [tuple(row) for row in paid] == [(124_500, 124_500)]
    assert await client.broken("benefits") == []


async def test_the_national_figure_of_the_year_trues_up_and_leaves_it_provisional(
    client: StackClient,
) -> None:
    client.set_day(date(2023, 3, 10))
    await consume(client, an_injury("claims/c1", SHANGHAI))
    await consume(client, concluded(9, day=date(2023, 3, 10)))
    await run_payments(client, Month(2023, 3))
    client.set_day(date(2023, 5, 9))

    in_may = await true_up(client)
    still = await provisional(client)
    client.set_day(date(2023, 7, 1))
    in_july = await true_up(client)

    # 62,884 of 2021, then 65,237 of 2022, then the area's own.
    first, second, own = 9 * 314_420, 2_935_665, 6_578_820
    assert of_kind(in_may.true_ups) == {"DISABILITY_GRANT": (first, second, second - first, False)}
    assert [row.award.provisional for row in still] == [True]
    assert of_kind(in_july.true_ups) == {"DISABILITY_GRANT": (second, own, own - second, True)}
    await run_payments(client, JULY)
    paid = await client.rows("benefits", "select sum(amount_fen) as fen from payment")
    assert paid[0].fen == own
    assert await client.broken("benefits") == []


async def test_parts_of_it_end_as_the_whole_does(client: StackClient) -> None:
    """Seven workers of two areas, two at a time; nobody is trued up twice."""
    client.set_day(date(2023, 5, 15))
    for number in range(1, 8):
        claim, area = f"claims/c{number}", BEIJING if number % 2 else SHANGHAI
        await consume(client, an_injury(claim, area))
        await consume(client, concluded(9, claim=claim, day=date(2023, 5, 15)))
    await run_payments(client, MAY)
    client.set_day(date(2023, 7, 1))

    of_shanghai = await true_up(client, pooling_area=SHANGHAI)
    left = [await true_up(client, worker_count=2) for _ in range(2)]
    at_once = await asyncio.gather(
        *(true_up(client, worker_count=2) for _ in range(4)), return_exceptions=True
    )
    while (await true_up(client, worker_count=2)).remaining_count:
        pass

    assert (of_shanghai.worker_count, of_shanghai.remaining_count) == (3, 0)
    assert [(each.worker_count, each.remaining_count) for each in left] == [(2, 2), (2, 0)]
    assert not [each for each in at_once if isinstance(each, AssertionError)]
    rows = await client.rows(
        "benefits", "select award, count(*) as n from true_up group by award order by award"
    )
    assert [row.n for row in rows] == [1] * 7
    await run_payments(client, JULY)
    paid = await client.rows(
        "benefits",
        "select a.worker, sum(p.amount_fen) as fen from payment p join award a"
        " on a.number = p.number group by 1 order by 1",
    )
    assert [row.fen for row in paid] == [
        9 * AFTER if number % 2 else 6_578_820 for number in range(1, 8)
    ]
    assert await client.broken("benefits") == []


async def test_what_another_fact_changes_is_no_true_up(client: StackClient) -> None:
    await paid_before(client, 8)

    await consume(client, concluded(7, day=date(2023, 6, 20), level=2))

    assert (await awards_of(client))["DISABILITY_GRANT", "worker"].provisional
    assert not (await client.rows("benefits", "select from true_up"))


async def test_verify_names_an_award_that_was_forgotten(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    assert await client.broken("benefits") == []  # no run has known the figure yet
    await run_payments(client, JULY)
    assert await client.broken("benefits") == []

    async with client.database("benefits").begin() as tx:
        await tx.execute(
            sa.text("update award set awaits = '{all_employee_wage/110105/2023-02-10}'")
        )

    assert "I3-benefits-trued-up" in await client.broken("benefits")


async def test_who_may_true_up(client: StackClient) -> None:
    await paid_before(client)
    request = pb.TrueUpAwardsRequest(request_id="x")
    callers = [
        client.benefits("adjudicator"),
        client.benefits("worker_agent", person="workers/1"),
        client.benefits("fund_officer", subject="guangzhou"),
    ]
    reasons = {(await refused(stub.TrueUpAwards(request))).reason for stub in callers}
    wrong = await refused(true_up(client, pooling_area="Beijing"))
    of_other_area = client.benefits("fund_officer", subject="guangzhou")

    assert reasons == {"FORBIDDEN"}
    assert wrong.reason == "MALFORMED"
    answer = await of_other_area.ListProvisionalAwards(pb.ListProvisionalAwardsRequest())
    assert not answer.rows


async def test_indexation_of_provisional_awards_is_signed_too(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    client.signs = False

    problem = await refused(
        client.benefits("fund_officer").IndexAwards(pb.IndexAwardsRequest(request_id="i"))
    )

    assert problem.reason == "SECOND_SIGNATURE_NEEDED"
    assert {award.provisional for award in (await awards_of(client)).values()} == {True}


async def test_the_command_line_lists_tries_and_trues_up(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    state_dir = client.stack.settings.state_dir
    token = client.stack.issuer.issue("li", ["fund_officer"])

    async def run(*arguments: str) -> Any:
        return await run_oip(state_dir, "awards", *arguments, environment={"OIP_TOKEN": token})

    listed = await run("provisional", "--in", BEIJING)
    tried = await run("true-up", "--dry-run")
    still = {award.provisional for award in (await awards_of(client)).values()}
    waiting = await run("true-up")
    await client.sign_waiting("benefits")
    done = await run("true-up")
    shown = await run("trued-up", "--claim", "claims/c1")

    assert "all_employee_wage of 110105 for 2023-02-10, published" in listed.stdout
    assert "3 awards would change; nothing has been changed." in tried.stdout
    assert "9,232.20" in tried.stdout
    assert still == {True}
    assert (waiting.exit_code, "oip acts show" in waiting.stdout) == (0, True)
    assert (done.exit_code, "0 workers planned, 0 left." in done.stdout) == (0, True)
    assert "all_employee_wage 11297 of 110000" in shown.stdout


def with_own_wage(value: str, *, published: date) -> Law:
    """The law with an own wage of private-sector employees of Guangzhou for 2025."""
    wages = law.LAW.parameters["average_wage"]
    own = Value(
        since=date(2025, 1, 1),
        jurisdiction="440100",
        published=published,
        value=value,
        source="made for this test",
        tag=Tag.ASSUMED,
        parameter="average_wage",
    )
    added = replace(wages, values=(*wages.values, own))
    return Law({**law.LAW.parameters, "average_wage": added})


async def _sign(client: StackClient, needed: Any, subject: str) -> Any:
    digest = bytes.fromhex(needed.metadata["hash"])
    return await client.sign("benefits", needed.metadata["pending_act"], digest, subject)
