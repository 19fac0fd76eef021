"""One accident is paid once: several claims, several accidents, one person."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import psycopg
import pytest
from google.protobuf.message import Message
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2
from oip.claims.v1 import events_pb2 as claims_events
from oip.grading.v1 import grading_pb2

from services.benefits.store.invariants import list_confirmed
from services.kernel.periods import Month
from services.runtime.rpc.wire import moment_to_wire
from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    consume,
    determined,
    run_payments,
    survivor,
)
from tests.support.stack_client import StackClient

AUGUST = Month(2025, 8)
DEATH = date(2025, 7, 2)
DEATH_GRANT = 108_376_000
# That of the claim that ended; its determination came with 3.
MERGED_REVISION = 4
MERGE = datetime(2025, 9, 3, tzinfo=UTC)


def merged(
    claim: str = "claims/c1", merged_claim: str = "claims/c2", accident: str = "accidents/1"
) -> claims_events.ClaimsMerged:
    return claims_events.ClaimsMerged(
        claim=claim,
        merged_claim=merged_claim,
        accident=accident,
        merge_time=moment_to_wire(MERGE),
        reason="SAME_ACCIDENT",
        revision=MERGED_REVISION,
    )


async def paid_net(client: StackClient) -> dict[str, int]:
    """What was paid of each kind before set-off, less what is marked for recovery."""
    rows = await client.rows(
        "benefits",
        "select a.kind, coalesce(sum(p.paid), 0) - coalesce(sum(r.marked), 0) as net from award a"
        " left join (select number, sum(amount_fen + withheld_fen) as paid from payment"
        "  group by number) p using (number)"
        " left join (select award, sum(amount_fen) as marked from recovery group by award) r"
        "  on r.award = a.id group by a.kind",
    )
    return {pb.BenefitKind.Name(row.kind): int(row.net) for row in rows if row.net}


async def run_until(client: StackClient, month: Month) -> None:
    client.set_day(month.first_day + timedelta(days=19))
    await run_payments(client, month)


async def test_an_accident_confirmed_twice_is_paid_once(client: StackClient) -> None:
    """The attack: the accident told as 12:05 and as 12:15, both confirmed, a death."""
    for claim in ("claims/c1", "claims/c2"):
        await consume(client, determined(claim, accident="accidents/1", death_date=DEATH))
    await run_until(client, AUGUST)

    assert (await paid_net(client))["DEATH_GRANT"] == DEATH_GRANT
    assert await awards_of(client, "claims/c2") == await awards_of(client, "claims/c1")
    assert await client.broken("benefits") == []


async def test_an_accident_confirmed_twice_brings_one_allowance_a_month(
    client: StackClient,
) -> None:
    for claim in ("claims/c1", "claims/c2"):
        await consume(client, determined(claim, accident="accidents/1"))
        await consume(client, concluded(3, grading_pb2.PARTIAL, claim=claim))
    await run_until(client, AUGUST.plus(1))

    assert await paid_net(client) == {
        "DISABILITY_GRANT": 7_989_740,
        "DISABILITY_ALLOWANCE": 277_904,
        "CARE_ALLOWANCE": 173_690,
    }


async def test_determinations_of_one_accident_at_once_make_one_set(client: StackClient) -> None:
    await asyncio.gather(
        *(
            consume(client, determined(f"claims/c{n}", accident="accidents/1", death_date=DEATH))
            for n in range(10)
        )
    )

    rows = await client.rows("benefits", "select kind from award order by kind")
    assert [row.kind for row in rows] == [pb.FUNERAL_GRANT, pb.DEATH_GRANT]
    assert await client.broken("benefits") == []


async def test_the_claim_confirmed_first_decides_whichever_comes_first(
    client: StackClient,
) -> None:
    first = determined("claims/c2", accident="accidents/1", determine_date=date(2025, 7, 10))
    second = determined("claims/c1", accident="accidents/1", pooling_area="440600")
    for event in (second, first, concluded(9)):
        await consume(client, event)
    await consume(client, claims_events.DeterminationRevoked(claim="claims/c2", revision=9))

    award = (await awards_of(client, "claims/c2"))["DISABILITY_GRANT", "worker"]
    assert (award.state, award.pooling_area) == (pb.Award.IN_PAYMENT, "440600")
    assert await client.broken("benefits") == []


async def test_a_person_with_two_accidents_dies_once(client: StackClient) -> None:
    people = [survivor("spouse", claims_pb2.Survivor.SPOUSE, date(1965, 3, 1))]
    events = [
        determined("claims/c1", accident="accidents/1", death_date=DEATH, survivors=people),
        determined("claims/c2", accident="accidents/2", death_date=DEATH, survivors=people),
    ]
    await consume(client, events[0])
    await run_until(client, AUGUST)
    await consume(client, events[1])
    await run_until(client, AUGUST.plus(1))

    net = await paid_net(client)
    assert (net["DEATH_GRANT"], net["FUNERAL_GRANT"]) == (DEATH_GRANT, 2_084_280)
    # The pension of August was paid for the one accident and is due for the other.
    assert net["SURVIVOR_PENSION"] == 2 * 138_952
    assert await client.broken("benefits") == []


SURVIVING = determined("claims/c1", accident="accidents/1")
ENDED = determined("claims/c2", accident="accidents/2", determine_date=date(2025, 7, 12))
GRADED = concluded(3, grading_pb2.PARTIAL)
GRADED_TWICE = concluded(4, grading_pb2.PARTIAL, claim="claims/c2", day=date(2025, 7, 28))
HISTORIES = [
    pytest.param(order, id=f"{number}")
    for number, order in enumerate(permutations([SURVIVING, ENDED, GRADED, GRADED_TWICE, merged()]))
]


@pytest.mark.parametrize("order", HISTORIES[::7])
async def test_after_a_merger_the_money_is_that_of_one_claim(
    client: StackClient, order: tuple[Message, ...]
) -> None:
    """With a run after each event, before and after the awards were paid."""
    month = AUGUST
    for event in order:
        await consume(client, event)
        await run_until(client, month)
        month = month.plus(1)
    # Long enough to set all of it off.
    for later in range(60):
        await run_until(client, month.plus(later))

    last = month.plus(59)
    months = len(list(Month(2025, 9).until(last.plus(1))))
    rows = await client.rows(
        "benefits", "select kind, sum(amount_fen) as paid from payment group by kind order by kind"
    )
    net = await paid_net(client)
    assert net["DISABILITY_GRANT"] == 7_989_740
    assert net["CARE_ALLOWANCE"] == months * 173_690
    assert net["DISABILITY_ALLOWANCE"] == await allowance(client, last)
    assert sum(int(row.paid) for row in rows) == sum(net.values())
    assert await client.broken("benefits") == []


async def allowance(client: StackClient, last: Month) -> int:
    """The allowance of one claim from the start, up to a month, as the rates have it."""
    award = await client.benefits("fund_officer").GetAward(
        pb.GetAwardRequest(name=await in_force(client, "DISABILITY_ALLOWANCE"))
    )
    rates = [
        (Month(rate.since_month.year, rate.since_month.month), rate.amount_fen)
        for rate in award.rates
        if rate.amount_fen
    ]
    assert rates[0][1] == 277_904
    rates[0] = (Month(2025, 9), 277_904)
    return sum(
        [fen for since, fen in rates if since <= month][-1]
        for month in Month(2025, 9).until(last.plus(1))
    )


async def in_force(client: StackClient, kind: str) -> str:
    answer = await client.benefits("fund_officer").ListAwards(
        pb.ListAwardsRequest(claim="claims/c2")
    )
    (award,) = [
        award
        for award in answer.awards
        if award.kind == pb.BenefitKind.Value(kind) and not award.merged_into and not award.adjusts
    ]
    return award.name


async def test_a_merger_after_both_grants_were_paid_recovers_one(client: StackClient) -> None:
    await consume(client, determined("claims/c1", accident="accidents/1"), concluded(9))
    await consume(
        client, determined("claims/c2", accident="accidents/2"), concluded(9, claim="claims/c2")
    )
    await run_until(client, AUGUST)
    await consume(client, merged())
    await consume(client, merged())

    answer = await client.benefits("fund_officer").ListRecoveries(
        pb.ListRecoveriesRequest(claim="claims/c2")
    )
    assert [(one.award, one.amount_fen) for one in answer.recoveries] == [
        ("awards/c1-disability-grant-worker", 3_126_420)
    ]
    awards = await client.benefits("fund_officer").ListAwards(
        pb.ListAwardsRequest(claim="claims/c1")
    )
    assert {award.name: award.merged_into for award in awards.awards} == {
        "awards/c1-disability-grant-worker": "",
        "awards/c2-disability-grant-worker": "awards/c1-disability-grant-worker",
    }
    assert await client.broken("benefits") == []


async def test_an_older_determination_of_a_merged_claim_grants_nothing(
    client: StackClient,
) -> None:
    await consume(client, merged(), determined("claims/c2", accident="accidents/2"))
    await consume(client, concluded(9, claim="claims/c2"))
    await run_until(client, AUGUST)

    assert await paid_net(client) == {}
    assert await client.broken("benefits") == []


async def test_a_merged_claim_stops_until_the_surviving_one_is_determined(
    client: StackClient,
) -> None:
    await consume(client, determined("claims/c2", accident="accidents/2"))
    await consume(client, concluded(9, claim="claims/c2"), merged())
    await run_until(client, AUGUST)
    assert await paid_net(client) == {}

    await consume(client, determined("claims/c1", accident="accidents/1"))
    await run_until(client, AUGUST.plus(1))
    assert await paid_net(client) == {"DISABILITY_GRANT": 3_126_420}


@pytest.mark.parametrize("late", [False, True], ids=["in order", "merger last"])
async def test_an_undone_merger_gives_each_accident_what_is_due(
    client: StackClient, *, late: bool
) -> None:
    for number in (1, 2):
        claim = f"claims/c{number}"
        await consume(client, determined(claim, accident=f"accidents/{number}"))
        await consume(client, concluded(9, claim=claim))
    if not late:
        await consume(client, merged())
    await run_until(client, AUGUST)

    again = determined("claims/c2", accident="accidents/2", revision=MERGED_REVISION + 2)
    await consume(client, again, merged())
    await run_until(client, AUGUST.plus(1))

    assert await paid_net(client) == {"DISABILITY_GRANT": 2 * 3_126_420}
    assert await client.broken("benefits") == []


async def test_what_claims_and_benefits_hold_as_confirmed_leaves_merged_claims_out(
    client: StackClient,
) -> None:
    for number in (1, 2):
        await consume(client, determined(f"claims/c{number}", accident=f"accidents/{number}"))
    await consume(client, merged())

    async with client.database("benefits").begin() as tx:
        ((month, count, digest),) = await list_confirmed(tx, AUGUST.plus(-1))
    expected = int(hashlib.md5(b"claims/c1").hexdigest()[:15], 16)
    assert (month, count, digest) == ("2025-07", 1, expected)


async def test_mergers_in_a_chain_end_in_one_claim(client: StackClient) -> None:
    for number in (1, 2, 3):
        claim = f"claims/c{number}"
        await consume(client, determined(claim, accident=f"accidents/{number}"))
        await consume(client, concluded(9, claim=claim))
    await run_until(client, AUGUST)
    await consume(client, merged("claims/c1", "claims/c2"))
    await consume(client, merged("claims/c2", "claims/c3", "accidents/2"))

    assert await paid_net(client) == {"DISABILITY_GRANT": 3_126_420}
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    ("code", "statements"),
    [
        (
            "I3-benefits-one-set",
            ["drop index award_of_accident", "update award set accident = 'accidents/1'"],
        ),
        ("I3-benefits-one-death", ["drop index award_of_person", "update award set kind = 12"]),
        ("I3-benefits-bills", ["update award set kind = 1"]),
        (
            "I3-benefits-stays",
            [
                "alter table hospital_stay drop constraint one_day_once",
                "insert into hospital_stay values ('a', 'workers/1', '[2025-07-01,2025-07-09)')",
                "insert into hospital_stay values ('b', 'workers/1', '[2025-07-08,2025-07-10)')",
            ],
        ),
    ],
)
async def test_verify_names_what_is_paid_twice(
    client: StackClient, code: str, statements: list[str]
) -> None:
    for number in (1, 2):
        claim = f"claims/c{number}"
        await consume(client, determined(claim, accident=f"accidents/{number}"))
        await consume(client, concluded(9, claim=claim))
    assert await client.broken("benefits") == []

    await break_rows(client, *statements)

    assert code in str(await client.broken("benefits"))


async def break_rows(client: StackClient, *statements: Any) -> None:
    """Change rows as the owner of the tables, past the rules that hold them."""
    url = client.stack.settings.database_of("benefits")
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("set search_path to benefits, public")
        for statement in statements:
            await connection.execute(statement)
