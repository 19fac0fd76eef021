"""From a confirmed claim to a published conclusion, over gRPC and the bus."""

from __future__ import annotations

import asyncio

import sqlalchemy as sa
from google.type import date_pb2
from oip.grading.v1 import grading_pb2

from services.cli.explain import Language, chains_of, lines
from services.grading.invariants import INVARIANTS, verify
from services.grading.store import tables
from tests.support.appraisals import (
    State,
    an_opinion,
    appraise,
    opened_first,
    published_conclusions,
    reason,
    register,
    specialist,
)
from tests.support.stack_client import StackClient


async def test_a_confirmed_injury_is_appraised_and_published(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 5)
    opened = await opened_first(client)

    concluded = await appraise(client, opened.name)

    assert len({member.name for member in concluded.panel}) == 3
    assert len(concluded.opinions) == 3
    assert concluded.state == State.CONCLUDED
    assert (concluded.grade, concluded.care_dependence) == (8, grading_pb2.PARTIAL)
    assert {finding.provision.article for finding in concluded.findings} >= {
        "5.9.2(23)",
        "5.9.2(24)",
        "4.2",
        "4.1.5",
    }
    assert all(finding.text and finding.text_zh for finding in concluded.findings)
    (event,) = await published_conclusions(client)
    assert (event.claim, event.grade, event.revision) == ("claims/c1", 8, concluded.revision)
    assert event.conclude_date == date_pb2.Date(year=2025, month=9, day=1)


async def test_a_repeated_request_draws_no_second_panel(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 9)
    opened = await opened_first(client)
    request = grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name, panel_size=5)

    answers = await asyncio.gather(*(stub.DrawPanel(request) for _ in range(4)))
    other = grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name, panel_size=3)

    assert all(answer == answers[0] for answer in answers)
    assert len(answers[0].panel) == 5
    assert await reason(stub.DrawPanel(other)) == "REQUEST_ID_REUSED"


async def test_what_cannot_be_done_is_refused_with_its_reason(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 2)
    opened = await opened_first(client)

    draw = grading_pb2.DrawPanelRequest(request_id="d1", name=opened.name)
    assert await reason(stub.DrawPanel(draw)) == "POOL_TOO_SMALL"
    wrong = grading_pb2.DrawPanelRequest(request_id="d2", name=opened.name, panel_size=4)
    assert await reason(stub.DrawPanel(wrong)) == "PANEL_SIZE_WRONG"
    conclude = grading_pb2.ConcludeAppraisalRequest(request_id="c", name=opened.name, revision=1)
    assert await reason(stub.ConcludeAppraisal(conclude)) == "TRANSITION_NOT_ALLOWED"
    unknown = grading_pb2.GetAppraisalRequest(name="appraisals/none")
    assert await reason(stub.GetAppraisal(unknown)) == "NOT_FOUND"
    malformed = grading_pb2.GetAppraisalRequest(name="claims/c1")
    assert await reason(stub.GetAppraisal(malformed)) == "MALFORMED"
    agent = client.grading("worker_agent", person="workers/1")
    assert await reason(agent.DrawPanel(draw)) == "FORBIDDEN"


async def test_opinions_come_from_the_panel_once_and_on_known_items(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 4)
    opened = await opened_first(client)
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d", name=opened.name))
    panel = {member.name for member in drawn.panel}
    pool = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest())
    (outsider,) = {member.name for member in pool.specialists} - panel
    first, seat = drawn.panel[0].name, specialist(client, drawn.panel[0])

    unknown = an_opinion("o1", opened.name, first, ["9.99"])
    assert await reason(seat.RecordOpinion(unknown)) == "UNKNOWN_ITEM"
    stray = an_opinion("o2", opened.name, outsider)
    assert await reason(seat.RecordOpinion(stray)) == "NOT_ON_PANEL"
    recorded = await seat.RecordOpinion(an_opinion("o3", opened.name, first))
    again = await seat.RecordOpinion(an_opinion("o4", opened.name, first))
    assert again.revision == recorded.revision
    other = an_opinion("o5", opened.name, first, ["8.13"])
    assert await reason(seat.RecordOpinion(other)) == "OPINION_EXISTS"
    early = grading_pb2.ConcludeAppraisalRequest(
        request_id="c1", name=opened.name, revision=recorded.revision
    )
    assert await reason(stub.ConcludeAppraisal(early)) == "OPINIONS_MISSING"


async def test_a_committee_that_read_an_older_revision_cannot_conclude(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d", name=opened.name))
    for index, member in enumerate(drawn.panel):
        await specialist(client, member).RecordOpinion(
            an_opinion(f"o{index}", opened.name, member.name)
        )

    conclude = grading_pb2.ConcludeAppraisalRequest(
        request_id="c", name=opened.name, revision=drawn.revision
    )

    assert await reason(stub.ConcludeAppraisal(conclude)) == "APPRAISAL_CHANGED"
    assert await published_conclusions(client) == []


async def test_opinions_are_not_readable_in_the_database(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d", name=opened.name))
    await specialist(client, drawn.panel[0]).RecordOpinion(
        an_opinion("o", opened.name, drawn.panel[0].name)
    )

    (row,) = await client.rows("grading", "select opinion from opinion")
    assert b"9.23" not in bytes(row.opinion)


async def test_lists_page_by_due_date_and_by_number(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 5)
    for number in range(3):
        await opened_first(client, f"claims/p{number}")
    listed = await stub.ListAppraisals(grading_pb2.ListAppraisalsRequest(states=[State.OPENED]))

    paged, token = [], ""
    while True:
        page = await stub.ListAppraisals(
            grading_pb2.ListAppraisalsRequest(page_size=2, page_token=token)
        )
        paged += list(page.appraisals)
        token = page.next_page_token
        if not token:
            break
    first = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest(page_size=3))
    rest = await stub.ListSpecialists(
        grading_pb2.ListSpecialistsRequest(page_size=3, page_token=first.next_page_token)
    )

    assert paged == list(listed.appraisals)
    assert (len(first.specialists), len(rest.specialists)) == (3, 2)


async def test_a_conclusion_is_explained_on_the_command_line(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    await appraise(client, opened.name)

    (chain,) = await chains_of(client.channels("fund_officer"), opened.name)
    shown = "\n".join(
        line for finding in chain.findings for line in lines(finding, 1, Language.BOTH)
    )

    assert "concluded, grade 8" in chain.title
    assert "2 injuries share the worst grade 9, which makes it grade 8." in shown
    assert "2 处伤残同为最重的 9 级, 晋升为 8 级。" in shown
    assert "grading_standard = gb_t_16180_2014, item 9.23 (since 2015-01-01, CN, GB/T" in shown


async def test_the_invariants_hold_and_the_schema_is_that_of_the_store(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    await appraise(client, opened.name)

    async with client.database("grading").begin() as tx:
        checks = await verify(tx, client.context("grading"))
        for table in tables.metadata.sorted_tables:
            rows = await tx.execute(
                sa.text(
                    "select column_name, is_nullable from information_schema.columns"
                    " where table_schema = :schema and table_name = :name"
                ),
                {"schema": table.schema, "name": table.name},
            )
            columns = {row.column_name: row.is_nullable == "YES" for row in rows}
            assert columns == {column.name: column.nullable for column in table.columns}

    assert [(check.invariant, check.holds) for check in checks] == [
        (invariant.code, True) for invariant in INVARIANTS
    ]
