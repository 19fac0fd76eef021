"""What RecordLifeEvent refuses, who signs it, what it keeps, and what verify says of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import grpc
import sqlalchemy as sa
from google.type import date_pb2
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2

from tests.integration.benefits.builders import (
    awards_of,
    concluded,
    consume,
    determined,
    life_event_request,
    record_life_event,
    survivor,
)
from tests.support.stack_client import StackClient, refused

LifeEvent = pb.LifeEvent
MOTHER = survivor("mother", claims_pb2.Survivor.PARENT, date(1950, 1, 1))

IMPOSSIBLE: list[tuple[dict[str, Any], str]] = [
    ({"day": date(2025, 6, 30)}, "day"),
    ({"day": date(2025, 9, 21)}, "day"),
    ({"day": None}, "day"),
    ({"day": date(2025, 9, 10), "state": LifeEvent.MISSING}, "day"),
    ({"state": 0}, "state"),
    ({"state": 17}, "state"),
    ({"cause": 17}, "cause"),
    ({"state": LifeEvent.ALIVE, "cause": LifeEvent.OTHER}, "cause"),
    ({"state": LifeEvent.ALIVE}, "state"),
    ({"state": LifeEvent.ALIVE, "survivors": [MOTHER]}, "survivors"),
    ({"hardship": True}, "hardship"),
    ({"document_hash": b""}, "document_hash"),
    ({"document_hash": b"short"}, "document_hash"),
    ({"reason": " "}, "reason"),
    ({"reason": "x" * 501}, "reason"),
    ({"claim": "somebody"}, "claim"),
    ({"survivors": [MOTHER, MOTHER]}, "survivors"),
    (
        {"survivors": [claims_pb2.Survivor(survivor_id="m", relation=claims_pb2.Survivor.PARENT)]},
        "birth_date",
    ),
]


async def test_what_cannot_be_is_refused_by_field_and_changes_nothing(client: StackClient) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))

    for fields, named in IMPOSSIBLE:
        problem = await refused(
            client.benefits("fund_officer").RecordLifeEvent(life_event_request(client, **fields))
        )

        assert problem.code is grpc.StatusCode.INVALID_ARGUMENT, fields
        assert named in problem.sentence, fields
    assert await client.rows("benefits", "select id from life_event") == []


async def test_only_a_confirmed_claim_has_life_events(client: StackClient) -> None:
    await consume(client, determined(outcome=claims_pb2.Determination.REFUSED))

    for claim in ("claims/c1", "claims/unknown"):
        problem = await refused(
            client.benefits("fund_officer").RecordLifeEvent(
                life_event_request(client, claim=claim, day=date(2025, 8, 10))
            )
        )
        assert problem.reason == "CASE_NOT_CONFIRMED"


async def test_a_second_person_signs_and_a_repeat_records_nothing_again(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))
    death = life_event_request(client)
    client.signs = False

    waiting = await refused(client.benefits("fund_officer").RecordLifeEvent(death))
    rows = await client.rows("benefits", "select id from life_event")
    client.signs = True
    first = await client.benefits("fund_officer").RecordLifeEvent(death)
    again = await client.benefits("fund_officer").RecordLifeEvent(death)

    assert waiting.reason == "SECOND_SIGNATURE_NEEDED"
    assert rows == []
    assert first == again
    listed = await client.benefits("fund_officer").ListLifeEvents(
        pb.ListLifeEventsRequest(claim="claims/c1")
    )
    assert list(listed.life_events) == [first]
    assert first.day == date_pb2.Date(year=2025, month=9, day=10)


async def test_a_conclusion_between_proposal_and_signature_voids_the_signature(
    client: StackClient,
) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))
    client.signs = False
    waiting = await refused(
        client.benefits("fund_officer").RecordLifeEvent(life_event_request(client))
    )
    await consume(client, concluded(9, level=3, day=date(2025, 9, 1)))

    problem = await refused(
        client.sign(
            "benefits",
            waiting.metadata["pending_act"],
            bytes.fromhex(waiting.metadata["hash"]),
        )
    )

    assert problem.reason == "ACT_CHANGED"
    assert await client.rows("benefits", "select id from life_event") == []


async def test_kin_are_paid_only_with_support_and_a_document(client: StackClient) -> None:
    unsaid, undocumented, not_supported, grandchild = (
        survivor(name, relation, date(2015, 1, 1))
        for name, relation in (
            ("unsaid", claims_pb2.Survivor.CHILD),
            ("undocumented", claims_pb2.Survivor.CHILD),
            ("not-supported", claims_pb2.Survivor.CHILD),
            ("grandchild", claims_pb2.Survivor.GRANDCHILD),
        )
    )
    unsaid.ClearField("supported")
    undocumented.support_document_hash = b""
    not_supported.supported = False
    kin = [MOTHER, unsaid, undocumented, not_supported, grandchild]
    await consume(client, determined(death_date=date(2025, 7, 2), survivors=kin))
    client.set_day(date(2025, 9, 20))
    before = {who for kind, who in await awards_of(client) if kind == "SURVIVOR_PENSION"}

    grandchild.nearer_kin = claims_pb2.Survivor.DEAD
    unsaid.supported = True
    event = await record_life_event(
        client,
        day=date(2025, 7, 2),
        cause=LifeEvent.INJURY,
        survivors=kin,
        reason="further documents",
    )

    after = {who for kind, who in await awards_of(client) if kind == "SURVIVOR_PENSION"}
    assert before == {"mother"}
    assert after == {"mother", "unsaid", "grandchild"}
    assert [finding.outcome for finding in event.findings[1:]] == [1, 1, 3, 2, 1]
    assert await client.broken("benefits") == []


async def test_nothing_personal_of_a_life_event_rests_in_plain_text(client: StackClient) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))
    canary = survivor("canary-child", claims_pb2.Survivor.CHILD, date(2015, 1, 1))

    await record_life_event(client, survivors=[canary], reason="canary-reason")

    rows = await client.rows("benefits", "select l::text as row from life_event l")
    assert rows
    assert not [row for row in rows if "canary" in row.row or b"canary".hex() in row.row]


async def test_verify_names_benefits_that_contradict_the_life_event(client: StackClient) -> None:
    await consume(client, determined(), concluded(3))
    client.set_day(date(2025, 9, 20))
    await record_life_event(client)

    async with client.database("benefits").begin() as tx:
        await tx.execute(sa.text("update award set last_month = null where kind = 9"))
    assert "I3-benefits-life" in await client.broken("benefits")
