"""Items of the standard over gRPC: found, shown, and concluded on for each kind of item."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from oip.grading.v1 import grading_pb2

from services.grading.__main__ import SERVICE
from services.grading.domain.law import LAW
from services.grading.domain.standard import standard_on
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from tests.support.appraisals import (
    opened_first,
    published_conclusions,
    reason,
    register,
    specialist,
)
from tests.support.command_line import Result, oip
from tests.support.databases import Databases
from tests.support.nats import NATS_USERS
from tests.support.stack_client import StackClient, stack_client, with_nats

Opinion = grading_pb2.Opinion
STANDARD, _ = standard_on(LAW, date(2025, 9, 1))
# One item of each kind, and the first of the kind at that.
OF_KIND = {item.kind: item for item in reversed(list(STANDARD.items.values()))}
MEASURED: dict[str, tuple[dict[str, str], int, str]] = {
    "SCARS": ({"area": "92"}, 6, "5.6.2(14)"),
    "FACE": ({"share": "1/2", "disfigurement": "light"}, 4, "5.4.2(9)"),
    "HEARING": ({"left.loss": "91", "right.loss": "0"}, 8, "5.8.2(34)"),
    "PARALYSIS": ({"extent": "four_limbs", "strength": "4"}, 5, "5.5.2(1)"),
    "EYES": ({"left.acuity": "light", "right.acuity": "0.3"}, 5, "5.5.2(24)"),
    "TEETH": ({"bone": "6", "teeth": "8"}, 8, "5.8.2(37)"),
    "LEG_LENGTH": ({"shortening": "4", "angle": "16"}, 6, "5.6.2(21)"),
    "KIDNEY_FUNCTION": ({"creatinine": "708"}, 1, "5.1.2(23)"),
    "BLOOD_COUNTS": ({"platelets": "4", "bleeding": "tendency"}, 5, "5.5.2(59)"),
    "LIVER": ({"share": "2/3", "function": "medium"}, 3, "5.3.2(31)"),
    "SMALL_BOWEL": ({"share": "90%"}, 1, "5.1.2(12)"),
    "STOMACH": ({"share": "1"}, 4, "5.4.2(34)"),
    "PANCREAS": ({"share": "1/2"}, 6, "5.6.2(53)"),
}


@pytest.fixture(scope="module")
async def committee(
    stack: Settings, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StackClient]:
    """One stack for many conclusions, each on a claim of its name."""
    server = NatsServer(tmp_path_factory.mktemp("committee") / "nats", users=NATS_USERS)
    await server.start()
    settings = with_nats(stack, server, await databases.fresh("grading"))
    clock = SetClock(datetime(2025, 9, 1, 1, 0, tzinfo=UTC))
    async with stack_client([SERVICE], settings, clock) as client:
        await register(client.grading("appraiser"), 3)
        yield client
    await server.stop()


async def conclude(
    client: StackClient, case: str, impairments: Sequence[Opinion.Impairment]
) -> grading_pb2.Appraisal:
    """An appraisal of a claim on which all three members state these impairments."""
    stub = client.grading("appraiser")
    claim = f"claims/{case}"
    opened = await opened_first(client, claim)
    seen = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id=f"d-{case}", name=opened.name)
    )
    for index, member in enumerate(seen.panel):
        seen = await specialist(client, member).RecordOpinion(
            grading_pb2.RecordOpinionRequest(
                request_id=f"o{index}-{case}",
                name=opened.name,
                opinion=Opinion(specialist=member.name, impairments=impairments),
            )
        )
    concluded: grading_pb2.Appraisal = await stub.ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(
            request_id=f"c-{case}", name=opened.name, revision=seen.revision
        )
    )
    return concluded


def measured(family: str, values: dict[str, str]) -> Opinion.Impairment:
    return Opinion.Impairment(
        family=family,
        measurements=[Opinion.Measurement(name=name, value=text) for name, text in values.items()],
    )


@pytest.mark.parametrize("kind", OF_KIND)
async def test_a_conclusion_rests_on_an_item_of_each_kind(
    committee: StackClient, kind: str
) -> None:
    item = OF_KIND[kind]

    concluded = await conclude(committee, kind, [Opinion.Impairment(item=item.number)])

    assert concluded.grade == item.grade
    assert concluded.opinions[0].impairments[0].item == item.number
    assert item.clause in {finding.provision.article for finding in concluded.findings}
    *_, event = await published_conclusions(committee)
    assert (event.claim, event.grade) == (f"claims/{kind}", item.grade)


def test_every_family_is_concluded_on() -> None:
    assert MEASURED.keys() == STANDARD.families.keys()


@pytest.mark.parametrize("family", MEASURED)
async def test_a_conclusion_rests_on_measured_findings_of_each_family(
    committee: StackClient, family: str
) -> None:
    values, grade, clause = MEASURED[family]

    concluded = await conclude(committee, family, [measured(family, values)])

    assert concluded.grade == grade
    assert clause in {finding.provision.article for finding in concluded.findings}
    (stored,) = concluded.opinions[0].impairments
    assert {m.name: m.value for m in stored.measurements} == values


async def test_an_item_and_a_measured_finding_of_the_same_grade_raise_it(
    committee: StackClient,
) -> None:
    impairments = [Opinion.Impairment(item="6.64"), measured("SCARS", {"area": "92"})]

    concluded = await conclude(committee, "two", impairments)

    assert concluded.grade == 5


async def test_wrong_impairments_are_refused_and_change_nothing(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    opened = await opened_first(client)
    drawn = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d", name=opened.name))

    async def refusal(*impairments: Opinion.Impairment) -> str:
        opinion = Opinion(specialist=drawn.panel[0].name, impairments=impairments)
        return await reason(
            specialist(client, drawn.panel[0]).RecordOpinion(
                grading_pb2.RecordOpinionRequest(request_id="o", name=opened.name, opinion=opinion)
            )
        )

    scars = measured("SCARS", {"area": "40"})
    assert await refusal(Opinion.Impairment()) == "UNKNOWN_ITEM"
    assert await refusal(Opinion.Impairment(item="11.1")) == "UNKNOWN_ITEM"
    assert await refusal(Opinion.Impairment(item="x" * 65)) == "TOO_LONG"
    assert await refusal(measured("NOSES", {"count": "2"})) == "UNKNOWN_FAMILY"
    assert await refusal(measured("SCARS", {"area": "1e9"})) == "MEASUREMENT_WRONG"
    assert await refusal(measured("SCARS", {"area": "4" * 65})) == "TOO_LONG"
    assert await refusal(measured("SCARS", {f"m{n}": "1" for n in range(21)})) == "TOO_MANY_ITEMS"
    assert await refusal(measured("EYES", {"left.acuity": "light"})) == "MEASUREMENT_WRONG"
    assert await refusal(scars, scars) == "IMPAIRMENT_CONTRADICTS"
    seen = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=opened.name))
    assert (seen.revision, list(seen.opinions)) == (drawn.revision, [])


async def test_items_are_searched_and_shown(client: StackClient) -> None:
    stub = client.grading("worker_agent", person="workers/1")

    async def numbers(**query: Any) -> list[str]:
        request = grading_pb2.SearchImpairmentItemsRequest(**query)
        answer = await stub.SearchImpairmentItems(request)
        return [item.number for item in answer.items]

    assert await numbers(query="spleen") == ["7.47", "8.56"]
    assert await numbers(query="脾") == ["7.47", "8.56"]
    assert await numbers(query="kidney", region="urinary_genital", grade=7) == ["7.50", "7.62"]
    assert await numbers(kind="teeth") == ["7.34", "8.37", "9.33", "10.31"]
    assert await numbers(query="nothing like it") == []
    item = await stub.GetImpairmentItem(
        grading_pb2.GetImpairmentItemRequest(name="impairmentItems/6.14")
    )
    assert (item.grade, item.clause, item.family) == (6, "5.6.2(14)", "SCARS")
    assert [measure.name for measure in item.measures] == ["area", "joints"]
    assert "40" in item.label
    assert "40" in item.label_zh


async def test_a_search_is_paged_through_all_530_items(client: StackClient) -> None:
    stub = client.grading("specialist")
    numbers: list[str] = []
    token: str | None = ""
    while token is not None:
        page = await stub.SearchImpairmentItems(
            grading_pb2.SearchImpairmentItemsRequest(page_size=100, page_token=token)
        )
        numbers += [item.number for item in page.items]
        token = page.next_page_token or None

    assert numbers == list(STANDARD.items)


async def test_wrong_searches_are_refused(client: StackClient) -> None:
    stub = client.grading("adjudicator")
    search = grading_pb2.SearchImpairmentItemsRequest

    assert await reason(stub.SearchImpairmentItems(search(region="tail"))) == "MALFORMED"
    assert await reason(stub.SearchImpairmentItems(search(kind="magic"))) == "MALFORMED"
    assert await reason(stub.SearchImpairmentItems(search(grade=11))) == "OUT_OF_RANGE"
    assert await reason(stub.SearchImpairmentItems(search(query="x" * 201))) == "TOO_LONG"
    assert await reason(stub.SearchImpairmentItems(search(page_token="x"))) == "PAGE_TOKEN_INVALID"
    unknown = grading_pb2.GetImpairmentItemRequest(name="impairmentItems/6.99")
    assert await reason(stub.GetImpairmentItem(unknown)) == "NOT_FOUND"
    platform = client.grading("administrator")
    assert await reason(platform.SearchImpairmentItems(search())) == "FORBIDDEN"


async def test_items_are_found_on_the_command_line(client: StackClient) -> None:
    state_dir = client.stack.settings.state_dir
    token = client.stack.issuer.issue("someone", ["specialist"])

    async def items(*arguments: str) -> Result:
        return await oip(state_dir, "items", *arguments, environment={"OIP_TOKEN": token})

    search = await items("search", "脾")
    nothing = await items("search", "no-such-word")
    show = await items("show", "6.14")
    unknown = await items("show", "6.99")

    assert "7.47" in search.stdout
    assert "8.56" in search.stdout
    assert nothing.stdout == "There are none.\n"
    assert "5.6.2(14)" in show.stdout
    assert any(line.split()[0] == "area" for line in show.stdout.splitlines())
    assert unknown.exit_code == 2
    assert "impairmentItems/6.99" in unknown.stderr
