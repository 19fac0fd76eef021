"""Until when survivors are paid, who comes after nearer kin, and which year a death grant is of."""

from __future__ import annotations

from datetime import date

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2

from services.benefits.domain import law
from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    consume,
    determined,
    record_life_event,
    survivor,
)
from tests.support.laws import law_with
from tests.support.stack_client import StackClient

CHILD, GRANDCHILD = claims_pb2.Survivor.CHILD, claims_pb2.Survivor.GRANDCHILD
SIBLING, GRANDPARENT = claims_pb2.Survivor.SIBLING, claims_pb2.Survivor.GRANDPARENT
Kin = claims_pb2.Survivor.NearerKin


def last_month(award: pb.Award) -> str:
    return f"{award.last_month.year}-{award.last_month.month:02}"


@pytest.mark.parametrize(
    ("born", "last"),
    [
        # 民法典 第二百条至第二百零二条: on the same day, else on the last day of the month.
        (date(2008, 2, 29), "2026-02"),
        (date(2008, 2, 28), "2026-02"),
        (date(2008, 3, 1), "2026-03"),
        (date(2007, 9, 10), ""),  # 18 on the day of the death
        (date(2007, 9, 11), "2025-09"),  # 18 on the day after, in the month of the death
    ],
)
async def test_a_child_is_paid_until_the_month_of_the_eighteenth_birthday(
    client: StackClient, born: date, last: str
) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))

    await record_life_event(
        client, cause=pb.LifeEvent.INJURY, survivors=[survivor("child", CHILD, born)]
    )

    pension = (await awards_of(client)).get(("SURVIVOR_PENSION", "child"))
    # Pensions begin in October, the month after the death.
    paid = "" if last in {"", "2025-09"} else last
    assert ("" if pension is None else last_month(pension)) == paid
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    ("relation", "born", "nearer", "is_paid"),
    [
        (GRANDCHILD, date(2018, 5, 1), Kin.DEAD, True),
        (GRANDCHILD, date(2018, 5, 1), Kin.UNABLE, True),
        (GRANDCHILD, date(2018, 5, 1), Kin.ABLE, False),
        (SIBLING, date(2015, 5, 1), Kin.UNABLE, True),
        (SIBLING, date(2015, 5, 1), Kin.ABLE, False),
        (GRANDPARENT, date(1940, 5, 1), Kin.DEAD, True),
        (GRANDPARENT, date(1940, 5, 1), Kin.UNABLE, False),
    ],
)
async def test_kin_come_after_those_who_are_nearer(
    client: StackClient,
    relation: claims_pb2.Survivor.Relation.ValueType,
    born: date,
    nearer: claims_pb2.Survivor.NearerKin.ValueType,
    is_paid: bool,
) -> None:
    """因工死亡职工供养亲属范围规定 第二条: own parents dead or wholly unable to work."""
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))
    named = survivor("kin", relation, born)
    named.nearer_kin = nearer

    event = await record_life_event(client, cause=pb.LifeEvent.INJURY, survivors=[named])

    assert (("SURVIVOR_PENSION", "kin") in await awards_of(client)) == is_paid
    assert any(finding.provision.instrument.startswith("因工死亡") for finding in event.findings)


@pytest.mark.parametrize(("anchor", "fen"), [("injury", 20 * 5_182_100), ("death", 20 * 5_418_800)])
async def test_the_province_says_of_which_year_the_death_grant_is(
    client: StackClient, monkeypatch: pytest.MonkeyPatch, anchor: str, fen: int
) -> None:
    """Hurt in December 2024, dead of it in June 2025: income of 2023, or of 2024."""
    monkeypatch.setattr(law, "LAW", law_with(law.LAW, death_grant_anchor=anchor))
    await consume(
        client,
        determined(
            accident_date=date(2024, 12, 20),
            determine_date=date(2025, 6, 20),
            death_date=date(2025, 6, 3),
            survivors=[survivor("child", CHILD, date(2018, 5, 1))],
        ),
    )

    grant = (await awards_of(client))["DEATH_GRANT", "kin"]
    assert (grant.amount_fen, grant.provisional) == (fen, False)
