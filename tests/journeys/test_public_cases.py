"""Decisions that newspapers, courts and offices published, put to a province through its RPCs.

Facts go in by UploadOrders, CreateClaim and DetermineClaim; outcome and awards are read back. Each
case names its source.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path

import pytest
from oip.benefits.v1 import benefits_pb2
from oip.claims.v1 import claims_pb2
from oip.orders.v1 import orders_pb2

from services.kernel.instruments import INSTRUMENTS
from services.runtime.base.settings import Settings
from services.runtime.rpc.wire import date_to_wire, moment_to_wire
from tests.support.databases import Databases
from tests.support.platforms import PEARL
from tests.support.published_cases import (
    FREIGHT,
    RIDES,
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
CONFIRMED = claims_pb2.Determination.CONFIRMED
REFUSED = claims_pb2.Determination.REFUSED
GRANT = benefits_pb2.DISABILITY_GRANT
DEATH, FUNERAL = benefits_pb2.DEATH_GRANT, benefits_pb2.FUNERAL_GRANT
DEATH_PAPERS = (claims_pb2.Evidence.DIAGNOSIS, claims_pb2.Evidence.DEATH_CERTIFICATE)
CERTIFICATE = (claims_pb2.Evidence.DIAGNOSIS, claims_pb2.Evidence.TRAFFIC_CERTIFICATE)


@pytest.fixture
def deploy(stack: Settings, databases: Databases, tmp_path: Path) -> Deploy:
    """A deployment of the province of a case."""
    return partial(province_stack, stack, databases, tmp_path)


GUANGZHOU_2023 = Facts(
    "legal.gmw.cn/2024-11/07/content_37662193.htm: grade 8, 84,000 yuan",
    "440100",
    shanghai("2023-03-15T10:20"),
    ((shanghai("2023-03-15T10:00"), shanghai("2023-03-15T10:40")),),
    documents=CERTIFICATE,
    grade=8,
    concluded=date(2023, 9, 20),
)
NANJING_2023 = Facts(
    "ynhanyi.com/appset/detail/62016: drowned on a delivery",
    "320100",
    shanghai("2023-07-20T10:20"),
    ((shanghai("2023-07-20T10:00"), shanghai("2023-07-20T10:40")),),
    documents=DEATH_PAPERS,
    death_date=date(2023, 7, 20),
)
BEIJING_2024 = Facts(
    "blog.zzhuanghui.com/m?id=790122: hits a lane divider, own fault, tens of thousands",
    "110105",
    shanghai("2024-05-29T03:00"),
    ((shanghai("2024-05-29T02:40"), shanghai("2024-05-29T03:10")),),
    enquiry={"traffic_mainly_own_fault": True},
    documents=CERTIFICATE,
    grade=10,
    concluded=date(2024, 9, 20),
)
SONGJIANG_2023 = Facts(
    "wanbiaoku.com/new/be9ba2e2d89c4f4bb4d5118b3987f5d8: collapse 47 minutes after the last order",
    "310117",
    shanghai("2023-08-15T22:15"),
    ((shanghai("2023-08-15T21:00"), shanghai("2023-08-15T21:28")),),
    situation=claims_pb2.SUDDEN_ILLNESS,
    enquiry={
        "first_diagnosis_time": moment_to_wire(shanghai("2023-08-15T23:00")),
        "death_time": moment_to_wire(shanghai("2023-08-16T14:00")),
        "spot_or_direct": True,
    },
    documents=DEATH_PAPERS,
    death_date=date(2023, 8, 16),
)
CHENGDU_2024 = Facts(
    "qjkhjx.com/detail--6648275.html: slips on the stairs with the meal",
    "510100",
    shanghai("2024-10-05T12:00"),
    ((shanghai("2024-10-05T11:40"), shanghai("2024-10-05T12:10")),),
    grade=10,
    concluded=date(2025, 2, 20),
)


@pytest.mark.parametrize(
    ("facts", "amounts", "provisional"),
    [
        (GUANGZHOU_2023, {GRANT: 8_399_820}, {GRANT: False}),
        (NANJING_2023, {DEATH: 98_566_000}, {DEATH: False, FUNERAL: True}),
        (BEIJING_2024, {GRANT: 4_939_620}, {GRANT: False}),
        (
            SONGJIANG_2023,
            {DEATH: 98_566_000, FUNERAL: 4_385_880},
            {DEATH: False, FUNERAL: False},
        ),
        (CHENGDU_2024, {}, {GRANT: True}),
    ],
    ids=["guangzhou-2023", "nanjing-2023", "beijing-2024", "songjiang-2023", "chengdu-2024"],
)
async def test_a_published_decision_comes_out_with_its_awards(
    deploy: Deploy,
    facts: Facts,
    amounts: dict[int, int],
    provisional: dict[int, bool],
) -> None:
    async with deploy(facts) as client:
        worker = await enrol(client, facts)
        await upload(client, facts, worker)
        claim = await decide(client, facts, worker)
        granted = await awards(client, facts, claim)

    assert claim.determination.outcome == CONFIRMED
    assert claim.determination.platform == f"platforms/{PEARL}"
    by_kind = {int(award.kind): award for award in granted}
    assert {kind: by_kind[kind].amount_fen for kind in amounts} == amounts
    assert {kind: by_kind[kind].provisional for kind in provisional} == provisional
    for finding in chain(claim.determination.findings, *(award.findings for award in granted)):
        begins = INSTRUMENTS[finding.provision.instrument].since
        assert begins <= facts.accident.date(), finding.text
        for version in finding.parameters:
            for name, instrument in INSTRUMENTS.items():
                younger = instrument.since > facts.accident.date()
                assert not (younger and name in version.source), version.name


async def test_a_grant_on_a_national_figure_says_so(deploy: Deploy) -> None:
    async with deploy(CHENGDU_2024) as client:
        worker = await enrol(client, CHENGDU_2024)
        await upload(client, CHENGDU_2024, worker)
        granted = await awards(client, CHENGDU_2024, await decide(client, CHENGDU_2024, worker))

    (grant,) = granted
    texts = " ".join(finding.text for finding in grant.findings)
    assert "a national figure, because the area's own is not published" in texts
    assert "本地区数据尚未公布" in " ".join(finding.text_zh for finding in grant.findings)


BEIJING_2025 = Facts(
    "163.com/dy/article/KFAPNI9D051492T3.html: sudden death at the wheel without an order",
    "110112",
    shanghai("2025-09-04T06:30"),
    ((shanghai("2025-09-03T16:00"), shanghai("2025-09-03T16:40")),),
    industry=RIDES,
    situation=claims_pb2.SUDDEN_ILLNESS,
    enquiry={
        "first_diagnosis_time": moment_to_wire(shanghai("2025-09-04T06:50")),
        "death_time": moment_to_wire(shanghai("2025-09-04T07:10")),
        "spot_or_direct": True,
    },
    documents=DEATH_PAPERS,
    death_date=date(2025, 9, 4),
)
HEBEI_2025 = Facts(
    "blog.zzhuanghui.com/article/6950581.shtml: runs into a truck on an order, own fault",
    "130100",
    shanghai("2025-07-06T15:00"),
    ((shanghai("2025-07-06T14:30"), shanghai("2025-07-06T15:30")),),
    industry=FREIGHT,
    enquiry={"traffic_mainly_own_fault": True},
    documents=CERTIFICATE,
)
HUANGPU_JUNE = Facts(
    "richbox.biz bjcs3.aspx: fall three minutes after completion",
    "310101",
    shanghai("2025-06-30T12:10"),
    ((shanghai("2025-06-30T11:40"), shanghai("2025-06-30T12:06:58")),),
)
HUANGPU_JULY = replace(
    HUANGPU_JUNE,
    accident=shanghai("2025-07-01T12:10"),
    orders=((shanghai("2025-07-01T11:40"), shanghai("2025-07-01T12:06:58")),),
)
WAY_HOME_2025 = Facts(
    "人社部发〔2025〕24号 第十一条第一款第(二)项: the way home, hit by a car",
    "440100",
    shanghai("2025-08-10T22:00"),
    (
        (shanghai("2025-08-10T20:00"), shanghai("2025-08-10T20:40")),
        (shanghai("2025-08-10T20:50"), shanghai("2025-08-10T21:30")),
    ),
    situation=claims_pb2.WAY_HOME,
    judgements={"way_home": True},
    documents=CERTIFICATE,
)
MISSING_2025 = Facts(
    "人社部发〔2025〕24号 第十一条第一款第(一)项: missing after an accident in an order",
    "440100",
    shanghai("2025-08-25T10:20"),
    ((shanghai("2025-08-25T10:00"), shanghai("2025-08-25T10:40")),),
    situation=claims_pb2.MISSING,
)
DRUNK_2025 = Facts(
    "人社部发〔2025〕24号 第十一条第二款: drunk, but hit by another at a red light",
    "440100",
    shanghai("2025-08-25T10:20"),
    ((shanghai("2025-08-25T10:00"), shanghai("2025-08-25T10:40")),),
    enquiry={"blood_alcohol_mg_per_100ml": 160},
    judgements={"intoxication": False},
)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (BEIJING_2025, REFUSED),
        (HEBEI_2025, CONFIRMED),
        (HUANGPU_JUNE, CONFIRMED),
        (
            replace(HUANGPU_JULY, judgements={"order_execution": False, "way_home": False}),
            REFUSED,
        ),
        (replace(HUANGPU_JULY, judgements={"order_execution": True}), CONFIRMED),
        (WAY_HOME_2025, CONFIRMED),
        (MISSING_2025, CONFIRMED),
        (DRUNK_2025, CONFIRMED),
    ],
    ids=[
        "beijing-2025",
        "hebei-2025",
        "huangpu-june",
        "huangpu-july",
        "huangpu-in-principle",
        "way-home",
        "missing",
        "drunk-not-the-cause",
    ],
)
async def test_a_published_decision_comes_out_as_published(
    deploy: Deploy, facts: Facts, outcome: int
) -> None:
    async with deploy(facts) as client:
        worker = await enrol(client, facts)
        receipt = await upload(client, facts, worker)
        claim = await decide(client, facts, worker)
        broken = await client.broken("claims")

    assert receipt.created_count == len(facts.orders)
    assert claim.determination.outcome == outcome
    assert [order.charged for order in claim.orders].count(True) == (outcome == CONFIRMED)
    assert broken == []


async def test_after_completion_execution_and_the_way_home_are_both_asked(deploy: Deploy) -> None:
    async with deploy(HUANGPU_JULY) as client:
        worker = await enrol(client, HUANGPU_JULY)
        await upload(client, HUANGPU_JULY, worker)
        problem = await refused(decide(client, HUANGPU_JULY, worker))

    assert problem.reason == "FINDINGS_OPEN"
    assert "order_execution, way_home, traffic_fault" in problem.sentence


async def test_the_last_order_bears_an_accident_on_the_way_home(deploy: Deploy) -> None:
    async with deploy(WAY_HOME_2025) as client:
        worker = await enrol(client, WAY_HOME_2025)
        await upload(client, WAY_HOME_2025, worker)
        claim = await decide(client, WAY_HOME_2025, worker)

    assert [(order.order.rpartition("/")[2], order.charged) for order in claim.orders] == [
        ("n0", False),
        ("n1", True),
    ]
    provisions = {
        f"{finding.provision.instrument} {finding.provision.article}"
        for finding in claim.determination.findings
    }
    assert "人社部发〔2025〕24号 第十一条第一款第(二)项(返回日常居所途中)" in provisions
    assert "人社部发〔2025〕24号 第十五条" in provisions


ZIBO = Facts(
    "bp.8vb.cn/i/art-149529.html: Zibo, Shandong not in the pilot",
    "370300",
    shanghai("2023-01-14T10:20"),
    ((shanghai("2023-01-14T10:00"), shanghai("2023-01-14T10:40")),),
    grade=9,
    concluded=date(2023, 6, 1),
)


@pytest.mark.parametrize(
    "facts",
    [
        ZIBO,
        replace(
            ZIBO,
            accident=shanghai("2025-06-28T10:20"),
            orders=((shanghai("2025-06-28T10:00"), shanghai("2025-06-28T10:40")),),
            uploaded=shanghai("2025-07-05T09:00"),
            concluded=date(2025, 9, 1),
        ),
        replace(
            ZIBO,
            source="big5.backchina.com/news/2025/10/09/995703.html: Tangshan 2023-10-07",
            area="130200",
            accident=shanghai("2023-10-07T10:20"),
            orders=((shanghai("2023-10-07T10:00"), shanghai("2023-10-07T10:40")),),
            concluded=date(2024, 2, 1),
        ),
    ],
    ids=["zibo-2023", "zibo-three-days-before", "tangshan-2023"],
)
async def test_an_accident_before_the_scheme_began_in_the_province_gives_nothing(
    deploy: Deploy, facts: Facts
) -> None:
    async with deploy(facts) as client:
        worker = await enrol(client, facts)
        receipt = await upload(client, facts, worker)
        claim = await decide(client, facts, worker)
        granted = await awards(client, facts, claim)

    assert (receipt.created_count, receipt.rejected_count) == (0, 1)
    (rejection,) = receipt.rejections
    assert rejection.status == orders_pb2.OrderRejection.SCHEME_NOT_IN_FORCE
    assert "not in force at the place of acceptance" in rejection.text
    assert claim.determination.outcome == REFUSED
    (finding,) = claim.determination.findings
    assert f"was not in force in {facts.area} on {facts.accident.date()}" in finding.text
    assert "it begins there on 2025-07-01" in finding.text
    assert INSTRUMENTS[finding.provision.instrument].since <= facts.accident.date()
    assert granted == []


RELAPSE_2025 = Facts(
    "人社部发〔2025〕24号 第十一条第一款第(五)项: everything but the disability grant",
    "440100",
    shanghai("2025-08-25T10:20"),
    ((shanghai("2025-08-25T10:00"), shanghai("2025-08-25T10:40")),),
    situation=claims_pb2.RELAPSE,
    judgements={"old_injury": True},
    documents=(claims_pb2.Evidence.DIAGNOSIS, claims_pb2.Evidence.VETERAN_CERTIFICATE),
    grade=4,
    concluded=date(2025, 11, 3),
)


async def test_a_relapse_of_a_former_soldier_gives_everything_but_the_disability_grant(
    deploy: Deploy,
) -> None:
    async with deploy(RELAPSE_2025) as client:
        worker = await enrol(client, RELAPSE_2025)
        await upload(client, RELAPSE_2025, worker)
        claim = await decide(client, RELAPSE_2025, worker)
        granted = await awards(client, RELAPSE_2025, claim)

    assert claim.determination.outcome == CONFIRMED
    assert {award.kind for award in granted} == {benefits_pb2.DISABILITY_ALLOWANCE}


DEZHOU = Facts(
    "blog.zzhuanghui.com/m?id=1840776: cut while carrying a fridge, about 1,000 yuan",
    "371400",
    shanghai("2025-09-01T10:20"),
    ((shanghai("2025-09-01T10:00"), shanghai("2025-09-01T10:40")),),
    industry=FREIGHT,
)


async def test_treatment_is_paid_in_full(deploy: Deploy) -> None:
    async with deploy(DEZHOU) as client:
        worker = await enrol(client, DEZHOU)
        await upload(client, DEZHOU, worker)
        claim = await decide(client, DEZHOU, worker)
        await client.delivered()
        award = await client.benefits("fund_officer").GrantExpense(
            benefits_pb2.GrantExpenseRequest(
                request_id=client.new_id(),
                claim=claim.name,
                kind=benefits_pb2.MEDICAL_BENEFIT,
                expense_date=date_to_wire(DEZHOU.accident.date()),
                allowed_cost_fen=100_000,
                institution="First Hospital",
                bill_number="H-1",
            )
        )

    assert (claim.determination.outcome, award.amount_fen) == (CONFIRMED, 100_000)
