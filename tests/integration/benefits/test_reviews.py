"""Reviews through the events of grading: what is granted, offset, and adjusted."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.grading.v1 import grading_pb2

from tests.integration.benefits.builders import awards_of, concluded, consume, determined
from tests.support.stack_client import StackClient

REVIEW = 3
FIRST, REVIEWED = date(2025, 8, 3), date(2026, 8, 15)
GRANT, SETTLEMENT = 7_989_740, 10_421_400
HALF, WHOLE = 130_268, 260_535


@pytest.mark.parametrize(
    ("grades", "amounts", "says"),
    [
        (
            (0, 3),
            {"DISABILITY_GRANT": GRANT, "DISABILITY_ALLOWANCE": 277_904},
            "first to reach a grade, 3",
        ),
        (
            (7, 5),
            {"DISABILITY_GRANT": 4_515_940, "DISABILITY_SETTLEMENT": SETTLEMENT},
            "no further grant is due",
        ),
        (
            (5, 4),
            {
                "DISABILITY_GRANT": 6_252_840,
                "DISABILITY_SETTLEMENT": SETTLEMENT,
                "DISABILITY_ALLOWANCE": HALF,
            },
            "no further grant is due",
        ),
        (
            (4, 5),
            {
                "DISABILITY_GRANT": 7_294_980,
                "DISABILITY_ALLOWANCE": WHOLE,
                "DISABILITY_SETTLEMENT": SETTLEMENT - 12 * WHOLE,
            },
            "no further grant is due",
        ),
    ],
)
async def test_a_review_grants_by_one_rule_and_says_what_is_offset(
    client: StackClient, grades: tuple[int, int], amounts: dict[str, int], says: str
) -> None:
    first, second = grades
    client.set_day(date(2026, 8, 20))
    await consume(client, determined(), concluded(first, day=FIRST))

    await consume(client, concluded(second, day=REVIEWED, level=REVIEW))

    awards = await awards_of(client)
    assert {kind: award.amount_fen for (kind, _), award in awards.items()} == amounts
    said = []
    for award in awards.values():
        whole = await client.benefits("fund_officer").GetAward(pb.GetAwardRequest(name=award.name))
        said += [finding.text for finding in whole.findings]
    assert [text for text in said if says in text]
    assert await client.broken("benefits") == []


async def test_a_sum_paid_before_the_review_is_offset_against_half_of_each_month(
    client: StackClient,
) -> None:
    client.set_day(date(2026, 8, 20))
    await consume(client, determined(), concluded(5, day=FIRST))

    await consume(client, concluded(4, day=REVIEWED, level=REVIEW))

    allowance = await client.benefits("fund_officer").GetAward(
        pb.GetAwardRequest(name="awards/c1-disability-allowance-worker")
    )
    rates = [
        (rate.since_month.year, rate.since_month.month, rate.amount_fen) for rate in allowance.rates
    ]
    assert rates == [(2026, 9, HALF), (2033, 5, WHOLE - 40), (2033, 6, WHOLE)]
    assert "104,214.00 yuan paid before the review is offset" in allowance.findings[-1].text


async def test_an_adjustment_takes_the_grade_of_its_year_and_reaches_december(
    client: StackClient,
) -> None:
    """Beijing 2025: 210 yuan for grade 3, 255 for grade 1."""
    accident: dict[str, Any] = {
        "pooling_area": "110105",
        "accident_date": date(2024, 7, 1),
        "determine_date": date(2024, 7, 20),
    }
    client.set_day(date(2025, 11, 20))
    await consume(
        client,
        determined(**accident),
        concluded(3, day=date(2024, 12, 31)),
        concluded(1, day=date(2025, 10, 15), level=REVIEW),
        determined("claims/c2", worker="workers/8", **accident),
        concluded(3, claim="claims/c2", day=date(2025, 1, 1)),
    )

    rates = {}
    for claim in ("c1", "c2"):
        award = await client.benefits("fund_officer").GetAward(
            pb.GetAwardRequest(name=f"awards/{claim}-disability-allowance-worker")
        )
        rates[claim] = {
            (rate.since_month.year, rate.since_month.month): rate.amount_fen for rate in award.rates
        }
        added = [f for f in award.findings if f.provision.article == "第四十条"]
        assert len(added) == (2 if claim == "c1" else 0)

    reached, later = rates["c1"], rates["c2"]
    of_grade_1 = round(later[2025, 2] * 90 / 80)
    assert reached[2025, 1] == later[2025, 2] + 21_000
    assert abs(reached[2025, 11] - of_grade_1 - 21_000) <= 1
    assert await client.broken("benefits") == []


async def test_care_from_a_new_wage_names_the_wage_and_waits_for_the_areas_own(
    client: StackClient,
) -> None:
    """Sichuan 2023: half of the national wage of 2021, then of 2022, while no own is published."""
    client.set_day(date(2023, 6, 20))
    accident: dict[str, Any] = {
        "pooling_area": "510100",
        "accident_date": date(2022, 8, 10),
        "determine_date": date(2022, 9, 1),
    }
    await consume(
        client, determined(**accident), concluded(1, grading_pb2.FULL, day=date(2022, 11, 15))
    )

    award = await client.benefits("fund_officer").GetAward(
        pb.GetAwardRequest(name="awards/c1-care-allowance-worker")
    )

    rates = [
        (rate.since_month.year, rate.since_month.month, rate.amount_fen) for rate in award.rates
    ]
    assert rates == [(2022, 12, 262_017), (2023, 1, 271_821)]
    assert [
        (figure.parameter, figure.day.year, figure.stand_in) for figure in award.awaited_figures
    ] == [
        ("all_employee_wage", 2022, "average_wage@CN@2022-01-01=62884"),
        ("all_employee_wage", 2023, "average_wage@CN@2023-01-01=65237"),
    ]
    texts = [finding.text for finding in award.findings]
    assert sum("a national figure, because the area's own" in text for text in texts) == 2
