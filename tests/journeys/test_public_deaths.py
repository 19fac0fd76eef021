"""Published cases with a death or an absence, put to a province through its RPCs.

A worker drowns on a delivery, one is missing after an accident, and one dies of the injury long
after the conclusion.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2

from services.kernel.periods import Month
from services.runtime.base.settings import Settings
from services.runtime.rpc.wire import date_to_wire, month_to_wire
from tests.support.databases import Databases
from tests.support.published_cases import (
    CONFIRMED,
    Facts,
    awards,
    decide,
    enrol,
    province_stack,
    shanghai,
    upload,
)
from tests.support.stack_client import StackClient, refused

Deploy = Callable[[Facts], AbstractAsyncContextManager[StackClient]]
LifeEvent = pb.LifeEvent


@pytest.fixture
def deploy(stack: Settings, databases: Databases, tmp_path: Path) -> Deploy:
    """A deployment of the province of a case."""
    return partial(province_stack, stack, databases, tmp_path)


def kin(
    survivor_id: str, relation: claims_pb2.Survivor.Relation.ValueType, born: date, **more: Any
) -> claims_pb2.Survivor:
    """A person whom the worker supported, with a document that shows it."""
    return claims_pb2.Survivor(
        survivor_id=survivor_id,
        relation=relation,
        birth_date=date_to_wire(born),
        supported=True,
        support_document_hash=bytes(32),
        **more,
    )


def set_day(client: StackClient, day: date) -> None:
    client.clock.set(datetime(day.year, day.month, day.day, 1, tzinfo=UTC))


async def live(client: StackClient, facts: Facts) -> claims_pb2.Claim:
    """The case up to its determination."""
    worker = await enrol(client, facts)
    await upload(client, facts, worker)
    return await decide(client, facts, worker)


async def record(client: StackClient, claim: str, **fields: Any) -> pb.LifeEvent:
    """A life event, which another person signs."""
    day = fields.pop("day", None)
    request = pb.RecordLifeEventRequest(
        request_id=client.new_id(),
        claim=claim,
        document_hash=bytes(32),
        reason="certificate 17 of the district police",
        **fields,
    )
    if day is not None:
        request.day.CopyFrom(date_to_wire(day))
    event: pb.LifeEvent = await client.benefits("fund_officer").RecordLifeEvent(request)
    return event


async def run_payments(client: StackClient, month: Month) -> pb.PaymentRun:
    run: pb.PaymentRun = await client.benefits("fund_officer").InstructPayments(
        pb.InstructPaymentsRequest(request_id=client.new_id(), month=month_to_wire(month))
    )
    return run


async def in_payment(client: StackClient, claim: str) -> dict[tuple[str, str], pb.Award]:
    """The awards that still pay something, by kind and beneficiary."""
    listed = await client.benefits("fund_officer").ListAwards(pb.ListAwardsRequest(claim=claim))
    return {
        (pb.BenefitKind.Name(award.kind), award.beneficiary): award
        for award in listed.awards
        if not award.adjusts and award.state != pb.Award.TERMINATED
    }


def months(award: pb.Award) -> tuple[str, str]:
    first, last = award.first_month, award.last_month
    end = f"{last.year}-{last.month:02}" if last.year else "open"
    return f"{first.year}-{first.month:02}", end


NANJING_2023 = Facts(
    "ynhanyi.com/appset/detail/62016: drowned on a delivery; an insurer paid 600,000 besides",
    "320100",
    shanghai("2023-07-20T10:20"),
    ((shanghai("2023-07-20T10:00"), shanghai("2023-07-20T10:40")),),
    documents=(claims_pb2.Evidence.DIAGNOSIS, claims_pb2.Evidence.DEATH_CERTIFICATE),
    death_date=date(2023, 7, 20),
    survivors=(
        kin("father", claims_pb2.Survivor.PARENT, date(1961, 2, 14), male=True),
        kin("mother", claims_pb2.Survivor.PARENT, date(1965, 3, 2)),
    ),
)


async def test_the_parents_of_a_drowned_rider_get_their_shares_and_the_whole_grant(
    deploy: Deploy,
) -> None:
    async with deploy(NANJING_2023) as client:
        claim = await live(client, NANJING_2023)
        granted = await awards(client, NANJING_2023, claim)
        broken = await client.broken("benefits")

    by_kind = {(pb.BenefitKind.Name(one.kind), one.beneficiary): one for one in granted}
    funeral = by_kind["FUNERAL_GRANT", "kin"]
    pensions = [by_kind["SURVIVOR_PENSION", who] for who in ("father", "mother")]
    assert claim.determination.outcome == CONFIRMED
    # 49,283 x 20, and nothing is taken off for what an insurer paid.
    assert by_kind["DEATH_GRANT", "kin"].amount_fen == 98_566_000
    assert not by_kind["DEATH_GRANT", "kin"].provisional
    # Six months of the base, and 30 % of it to each: the area's wage is not published.
    (share,) = {one.amount_fen for one in pensions}
    assert abs(20 * share - funeral.amount_fen) <= 20
    assert {one.provisional for one in (funeral, *pensions)} == {True}
    assert {figure.parameter for figure in funeral.awaited_figures} == {"all_employee_wage"}
    assert {months(one) for one in pensions} == {("2023-08", "open")}
    assert broken == []


MISSING_2025 = Facts(
    "人社部发〔2025〕24号 第十一条第一款第(一)项: missing after an accident",
    "440100",
    shanghai("2025-08-25T10:20"),
    ((shanghai("2025-08-25T10:00"), shanghai("2025-08-25T10:40")),),
    situation=claims_pb2.MISSING,
)
CHILD_2018 = kin("child", claims_pb2.Survivor.CHILD, date(2018, 5, 3))


async def test_the_family_of_a_missing_worker_is_paid_from_the_fourth_month(
    deploy: Deploy,
) -> None:
    async with deploy(MISSING_2025) as client:
        claim = await live(client, MISSING_2025)
        await client.delivered()
        before = await in_payment(client, claim.name)
        set_day(client, date(2025, 9, 20))
        await record(
            client, claim.name, state=LifeEvent.MISSING, survivors=[CHILD_2018], hardship=True
        )
        missing = await in_payment(client, claim.name)
        september = await run_payments(client, Month(2025, 9))
        set_day(client, date(2025, 11, 20))
        november = await run_payments(client, Month(2025, 11))
        # A court declares the death: the day is that of the accident.
        set_day(client, date(2027, 9, 10))
        await record(
            client,
            claim.name,
            state=LifeEvent.DEAD,
            day=date(2025, 8, 25),
            cause=LifeEvent.INJURY,
            survivors=[CHILD_2018],
        )
        declared = await in_payment(client, claim.name)
        await run_payments(client, Month(2027, 9))
        paid = await client.rows(
            "benefits",
            "select a.kind, sum(p.amount_fen) as fen from payment p"
            " join award a on a.number = p.number group by 1 order by 1",
        )
        broken = await client.broken("benefits")

    assert before == {}
    # 30 % of 3,473.80, and half of 54,188 x 20.
    assert missing["SURVIVOR_PENSION", "child"].amount_fen == 104_214
    assert months(missing["SURVIVOR_PENSION", "child"]) == ("2025-11", "2036-05")
    assert missing["DEATH_GRANT", "kin"].amount_fen == 54_188_000
    assert (september.sum_fen, november.sum_fen) == (54_188_000, 104_214)
    assert {kind for kind, _ in declared} == {"DEATH_GRANT", "FUNERAL_GRANT", "SURVIVOR_PENSION"}
    sums = {pb.BenefitKind.Name(row.kind): row.fen for row in paid}
    assert sums["DEATH_GRANT"] == 2 * 54_188_000
    assert sums["FUNERAL_GRANT"] == 2_084_280
    # September 2025, the month after the death, to September 2027.
    assert sums["SURVIVOR_PENSION"] == 25 * 104_214
    assert broken == []


GRADE_3_2024 = Facts(
    "工伤保险条例 第三十九条第三款: a recipient of grade 3 dies of the injury fifteen months later",
    "510100",
    shanghai("2024-03-11T10:20"),
    ((shanghai("2024-03-11T10:00"), shanghai("2024-03-11T10:40")),),
    grade=3,
    cannot=(grading_pb2.EATING, grading_pb2.TOILET),
    concluded=date(2024, 7, 20),
)
CHILD_2015 = kin("child", claims_pb2.Survivor.CHILD, date(2015, 4, 10))


async def test_a_later_death_of_the_injury_needs_no_new_determination(deploy: Deploy) -> None:
    async with deploy(GRADE_3_2024) as client:
        claim = await live(client, GRADE_3_2024)
        await awards(client, GRADE_3_2024, claim)
        set_day(client, date(2025, 9, 20))
        await run_payments(client, Month(2025, 9))
        living = await in_payment(client, claim.name)
        set_day(client, date(2025, 10, 12))
        unsaid = await refused(
            record(client, claim.name, state=LifeEvent.DEAD, day=date(2026, 1, 1))
        )
        await record(
            client,
            claim.name,
            state=LifeEvent.DEAD,
            day=date(2025, 10, 5),
            cause=LifeEvent.INJURY,
            survivors=[CHILD_2015],
        )
        dead = await in_payment(client, claim.name)
        marked = await client.benefits("fund_officer").ListRecoveries(
            pb.ListRecoveriesRequest(claim=claim.name)
        )
        still = await client.claims("adjudicator").GetClaim(
            claims_pb2.GetClaimRequest(name=claim.name)
        )
        broken = await client.broken("benefits")

    assert {kind for kind, _ in living} == {
        "DISABILITY_GRANT",
        "DISABILITY_ALLOWANCE",
        "CARE_ALLOWANCE",
    }
    assert unsaid.reason in {"MALFORMED", "OUT_OF_RANGE"}
    assert ("DEATH_GRANT", "kin") not in dead
    assert dead["FUNERAL_GRANT", "kin"].amount_fen == 2_084_280
    assert dead["SURVIVOR_PENSION", "child"].amount_fen == 104_214
    assert months(dead["SURVIVOR_PENSION", "child"]) == ("2025-11", "2033-04")
    assert {award.provisional for key, award in dead.items() if key[1] != "worker"} == {True}
    for kind in ("DISABILITY_ALLOWANCE", "CARE_ALLOWANCE"):
        assert months(dead[kind, "worker"])[1] == "2025-10"
    assert not marked.recoveries
    assert still.determination.outcome == CONFIRMED
    assert broken == []
