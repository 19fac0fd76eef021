"""A figure that is published later makes provisional awards final; the difference is paid."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2

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
from tests.integration.benefits.provisional import (
    AFTER,
    BEFORE,
    BEIJING,
    EXPECTED,
    JULY,
    MAY,
    SHANGHAI,
    an_injury,
    of_kind,
    paid_before,
    provisional,
    true_up,
)
from tests.support.stack_client import StackClient


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
    award = await stub.GetAward(pb.GetAwardRequest(name="awards/c1-disability-allowance-worker"))
    (floor,) = [one.text for one in award.findings if "minimum wage" in one.text]
    assert "2,490.00 yuan; a national figure, because the area's own is not published" in floor
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


async def test_an_award_whose_figure_has_not_come_is_not_planned_again(
    client: StackClient,
) -> None:
    """The wage of Nanjing (320100) of 2022 is not published with that of Beijing."""
    await paid_before(client)
    await consume(client, an_injury("claims/c2", "320100"))
    await consume(client, concluded(9, claim="claims/c2", day=date(2023, 5, 15)))
    client.set_day(date(2023, 7, 3))

    changing = await provisional(client, changing_only=True)
    done = await true_up(client)
    still = await provisional(client)

    assert {row.award.claim for row in changing} == {"claims/c1"}
    assert (done.worker_count, done.remaining_count) == (1, 0)
    assert {each.claim for each in done.true_ups} == {"claims/c1"}
    assert {row.award.claim for row in still} == {"claims/c2"}
    (figure,) = still[0].award.awaited_figures
    assert figure.stand_in == "average_wage@CN@2023-01-01=65237"


async def test_nothing_of_an_erased_worker_is_planned_again(client: StackClient) -> None:
    await paid_before(client)
    async with client.database("benefits").begin() as tx:
        await tx.execute(
            sa.text(
                "insert into erasure (person, name, code, document_number, document_hash, maker,"
                " signer, create_time, erase_time, obstacle) values (sha256('1'), 'workers/1', 1,"
                " 'made for this test', sha256('2'), 'li', 'wang', now(), now(), '')"
            )
        )
    client.set_day(date(2023, 7, 3))

    done = await true_up(client)
    await run_payments(client, JULY)

    assert (done.worker_count, done.remaining_count) == (0, 0)
    assert not (await client.rows("benefits", "select from true_up"))
    assert await client.broken("benefits") == []


async def test_what_another_fact_changes_is_no_true_up(client: StackClient) -> None:
    await paid_before(client, 8)

    await consume(client, concluded(7, day=date(2023, 6, 20), level=2))

    assert (await awards_of(client))["DISABILITY_GRANT", "worker"].provisional
    assert not (await client.rows("benefits", "select from true_up"))


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
