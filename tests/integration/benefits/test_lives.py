"""Later deaths, absences and returns, through the RPC that officers use."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2

from services.kernel.periods import Month
from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    consume,
    determined,
    life_event_request,
    record_life_event,
    run_payments,
    survivor,
)
from tests.support.stack_client import StackClient, refused

LifeEvent = pb.LifeEvent
MOTHER = survivor("mother", claims_pb2.Survivor.PARENT, date(1950, 1, 1))
DECEMBER = Month(2025, 12)
FUNERAL, GRANT, PENSION = 2_084_280, 108_376_000, 104_214


async def amounts(client: StackClient) -> dict[str, int]:
    """The amounts of awards with a month to pay, by kind and beneficiary."""
    return {
        f"{kind} {who}": award.amount_fen
        for (kind, who), award in (await awards_of(client)).items()
        if not award.HasField("last_month") or _month(award.last_month) >= _month(award.first_month)
    }


async def paid_net(client: StackClient, kind: pb.BenefitKind.ValueType) -> int:
    """What was paid of a kind before set-off, less what is to be given back."""
    (row,) = await client.rows(
        "benefits",
        "select (select coalesce(sum(amount_fen + withheld_fen), 0) from payment"
        "  where kind = :kind) - (select coalesce(sum(r.amount_fen), 0) from recovery r"
        "  join award a on a.id = r.award where a.kind = :kind) as net",
        kind=kind,
    )
    return int(row.net)


async def test_a_later_death_with_grade_3_pays_whatever_the_cause(client: StackClient) -> None:
    await consume(client, determined(), concluded(3, grading_pb2.PARTIAL))
    client.set_day(date(2025, 12, 20))
    await run_payments(client, DECEMBER)

    event = await record_life_event(client, survivors=[MOTHER])
    await run_payments(client, DECEMBER)

    assert await amounts(client) == {
        "DISABILITY_GRANT worker": 7_989_740,
        "DISABILITY_ALLOWANCE worker": 277_904,
        "CARE_ALLOWANCE worker": 173_690,
        "FUNERAL_GRANT kin": FUNERAL,
        "SURVIVOR_PENSION mother": PENSION,
    }
    assert "whatever the cause" in event.findings[0].text
    # September is paid in full; October to December come back.
    assert await paid_net(client, pb.DISABILITY_ALLOWANCE) == 277_904
    assert await paid_net(client, pb.CARE_ALLOWANCE) == 173_690
    answer = await client.benefits("fund_officer").ListRecoveries(
        pb.ListRecoveriesRequest(claim="claims/c1")
    )
    assert [(one.amount_fen, one.reason) for one in answer.recoveries] == [
        (3 * 173_690, "death"),
        (3 * 277_904, "death"),
    ]
    assert await paid_net(client, pb.SURVIVOR_PENSION) == 3 * PENSION
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    ("cause", "kinds"),
    [
        (LifeEvent.OTHER, {"DISABILITY_GRANT worker"}),
        (
            LifeEvent.INJURY,
            {
                "DISABILITY_GRANT worker",
                "FUNERAL_GRANT kin",
                "DEATH_GRANT kin",
                "SURVIVOR_PENSION mother",
            },
        ),
    ],
)
async def test_a_later_death_with_grade_9_depends_on_the_cause(
    client: StackClient, cause: LifeEvent.Cause.ValueType, kinds: set[str]
) -> None:
    await consume(client, determined(), concluded(9))
    client.set_day(date(2025, 9, 20))

    problem = await refused(
        client.benefits("fund_officer").RecordLifeEvent(
            life_event_request(client, survivors=[MOTHER])
        )
    )
    event = await record_life_event(client, cause=cause, survivors=[MOTHER])

    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CAUSE_NEEDED")
    assert set(await amounts(client)) == kinds
    tags = {finding.provision.tag for finding in event.findings}
    assert ("assumed" in tags) == (cause == LifeEvent.INJURY)
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    ("cause", "kinds"),
    [
        (LifeEvent.OTHER, set()),
        (LifeEvent.INJURY, {"FUNERAL_GRANT kin", "DEATH_GRANT kin", "SURVIVOR_PENSION mother"}),
    ],
)
async def test_a_death_before_any_conclusion_depends_on_the_cause(
    client: StackClient, cause: LifeEvent.Cause.ValueType, kinds: set[str]
) -> None:
    await consume(client, determined())
    client.set_day(date(2027, 9, 20))

    problem = await refused(
        client.benefits("fund_officer").RecordLifeEvent(
            life_event_request(client, survivors=[MOTHER])
        )
    )
    silent = await amounts(client)
    await record_life_event(client, cause=cause, survivors=[MOTHER])

    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CAUSE_NEEDED")
    assert silent == {}
    assert set(await amounts(client)) == kinds
    assert await client.broken("benefits") == []


async def test_a_missing_worker_brings_pensions_from_the_fourth_month_and_half_in_hardship(
    client: StackClient,
) -> None:
    await consume(client, determined())
    client.set_day(date(2025, 9, 20))
    missing = {"state": LifeEvent.MISSING, "day": None, "survivors": [MOTHER]}

    await record_life_event(client, **missing)
    without_hardship = await amounts(client)
    await record_life_event(client, **missing, hardship=True, reason="the mother has no income")
    client.set_day(date(2025, 12, 20))
    await run_payments(client, DECEMBER)

    assert without_hardship == {"SURVIVOR_PENSION mother": PENSION}
    assert await amounts(client) == {
        "SURVIVOR_PENSION mother": PENSION,
        "DEATH_GRANT kin": GRANT // 2,
    }
    pension = (await awards_of(client))["SURVIVOR_PENSION", "mother"]
    assert _month(pension.first_month) == (2025, 10)
    assert await paid_net(client, pb.SURVIVOR_PENSION) == 3 * PENSION
    assert await client.broken("benefits") == []


async def test_a_declared_death_pays_the_other_half_and_the_months_before(
    client: StackClient,
) -> None:
    await consume(client, determined())
    client.set_day(date(2025, 9, 20))
    missing = {"state": LifeEvent.MISSING, "day": None, "survivors": [MOTHER], "hardship": True}
    await record_life_event(client, **missing)
    client.set_day(date(2025, 12, 20))
    await run_payments(client, DECEMBER)

    # 民法典 art. 48: after an accident the day of death is that of the accident.
    await record_life_event(
        client, day=date(2025, 7, 1), cause=LifeEvent.INJURY, survivors=[MOTHER]
    )
    await run_payments(client, DECEMBER)

    assert await paid_net(client, pb.DEATH_GRANT) == GRANT
    assert await paid_net(client, pb.FUNERAL_GRANT) == FUNERAL
    assert await paid_net(client, pb.SURVIVOR_PENSION) == 5 * PENSION
    assert await client.broken("benefits") == []


async def test_the_return_of_a_missing_worker_undoes_all(client: StackClient) -> None:
    await consume(client, determined())
    client.set_day(date(2025, 9, 20))
    missing = {"state": LifeEvent.MISSING, "day": None, "survivors": [MOTHER], "hardship": True}
    await record_life_event(client, **missing)
    client.set_day(date(2025, 12, 20))
    await run_payments(client, DECEMBER)

    await record_life_event(
        client, state=LifeEvent.ALIVE, day=date(2025, 12, 18), reason="came home"
    )
    await run_payments(client, DECEMBER)

    assert await amounts(client) == {}
    assert await paid_net(client, pb.DEATH_GRANT) == 0
    assert await paid_net(client, pb.SURVIVOR_PENSION) == 0
    assert await client.broken("benefits") == []
    # The same claim goes on: a later conclusion grants as if nothing had happened.
    await consume(client, concluded(9, day=date(2025, 12, 19)))
    assert await amounts(client) == {"DISABILITY_GRANT worker": 3_126_420}


async def test_a_death_recorded_by_mistake_ends_equal_to_the_world_without_it(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 12, 20))
    await run_payments(client, DECEMBER)
    await record_life_event(client, survivors=[MOTHER])
    await run_payments(client, DECEMBER)

    await record_life_event(client, day=date(2025, 9, 11), survivors=[MOTHER], reason="a day later")
    await record_life_event(
        client, state=LifeEvent.ALIVE, day=date(2025, 12, 20), reason="another person"
    )
    await run_payments(client, DECEMBER)

    assert await amounts(client) == {
        "DISABILITY_GRANT worker": 7_989_740,
        "DISABILITY_ALLOWANCE worker": 277_904,
    }
    assert await paid_net(client, pb.DISABILITY_ALLOWANCE) == 4 * 277_904
    assert await paid_net(client, pb.FUNERAL_GRANT) == 0
    assert await paid_net(client, pb.SURVIVOR_PENSION) == 0
    assert await client.broken("benefits") == []


async def test_a_death_ends_the_monthly_benefits_of_every_accident_of_the_person(
    client: StackClient,
) -> None:
    await consume(
        client,
        determined("claims/c1", accident="accidents/1"),
        determined("claims/c2", accident="accidents/2"),
        concluded(3, claim="claims/c1"),
        concluded(9, claim="claims/c2"),
    )
    client.set_day(date(2025, 9, 20))

    await record_life_event(client, claim="claims/c2", cause=LifeEvent.OTHER, survivors=[MOTHER])

    of_first = await awards_of(client, "claims/c1")
    assert _month(of_first["DISABILITY_ALLOWANCE", "worker"].last_month) == (2025, 9)
    assert of_first["FUNERAL_GRANT", "kin"].amount_fen == FUNERAL
    assert ("FUNERAL_GRANT", "kin") not in await awards_of(client, "claims/c2")
    assert await client.broken("benefits") == []


async def test_two_records_at_once_leave_one_consistent_set(client: StackClient) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 12, 20))
    await run_payments(client, DECEMBER)

    await asyncio.gather(
        *(
            record_life_event(client, day=date(2025, 9, day), survivors=[MOTHER])
            for day in (10, 11)
        ),
        return_exceptions=True,
    )
    await run_payments(client, DECEMBER)

    assert await paid_net(client, pb.FUNERAL_GRANT) == FUNERAL
    assert await paid_net(client, pb.DISABILITY_ALLOWANCE) == 277_904
    assert await client.broken("benefits") == []


def _month(month: Any) -> tuple[int, int]:
    return month.year, month.month
