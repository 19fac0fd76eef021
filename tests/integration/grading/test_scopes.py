"""Who sees and decides what of an appraisal."""

from __future__ import annotations

from hashlib import sha256

import grpc
import sqlalchemy as sa
from oip.grading.v1 import grading_pb2

from services.kernel.scope import Scope
from services.runtime.rpc.client import problem_of
from tests.support.appraisals import (
    an_opinion,
    opened_first,
    reason,
    register,
    specialist,
)
from tests.support.stack_client import StackClient, refused


async def opened_appraisal(client: StackClient, size: int = 4) -> grading_pb2.Appraisal:
    stub = client.grading("appraiser")
    await register(stub, size)
    opened = await opened_first(client)
    return await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=opened.name))


async def drawn_panel(client: StackClient, name: str) -> grading_pb2.Appraisal:
    request = grading_pb2.DrawPanelRequest(request_id="d", name=name)
    return await client.grading("appraiser").DrawPanel(request)


async def test_an_appraiser_gives_no_opinion_and_a_specialist_only_the_own_one(
    client: StackClient,
) -> None:
    opened = await opened_appraisal(client)
    drawn = await drawn_panel(client, opened.name)
    first, second = drawn.panel[:2]
    opinion = an_opinion("o", opened.name, first.name)

    assert await reason(client.grading("appraiser").RecordOpinion(opinion)) == "FORBIDDEN"
    assert await reason(specialist(client, second).RecordOpinion(opinion)) == "NOT_YOUR_SEAT"


async def test_opinions_of_others_are_hidden_until_all_are_in(client: StackClient) -> None:
    opened = await opened_appraisal(client)
    drawn = await drawn_panel(client, opened.name)
    get = grading_pb2.GetAppraisalRequest(name=opened.name)
    worker = client.grading("worker_agent", person="workers/1")
    seen = []
    for seat in drawn.panel:
        opinion = an_opinion(f"o/{seat.name}", opened.name, seat.name)
        own = await specialist(client, seat).RecordOpinion(opinion)
        whole = await client.grading("appraiser").GetAppraisal(get)
        seen.append((len(own.opinions), len(whole.opinions)))
    of_worker = await worker.GetAppraisal(get)

    assert seen == [(1, 0), (1, 0), (3, 3)]
    assert not of_worker.opinions


async def test_one_person_excludes_nobody(client: StackClient) -> None:
    opened = await opened_appraisal(client)
    stub = client.grading("appraiser", subject="li")
    pool = await stub.ListSpecialists(grading_pb2.ListSpecialistsRequest())
    left_out = pool.specialists[0].name
    exclude = grading_pb2.ExcludeSpecialistRequest(
        request_id="x", name=opened.name, specialist=left_out, code=grading_pb2.INTEREST
    )
    client.signs = False
    needed = await refused(stub.ExcludeSpecialist(exclude))
    act, digest = needed.metadata["pending_act"], bytes.fromhex(needed.metadata["hash"])
    waiting = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=opened.name))
    own = await reason(client.sign("grading", act, digest, "li", "appraiser"))
    await client.sign("grading", act, digest, "wang", "appraiser")
    excluded = await stub.ExcludeSpecialist(exclude)
    drawn = await drawn_panel(client, opened.name)

    assert (needed.reason, own) == ("SECOND_SIGNATURE_NEEDED", "SIGNER_IS_MAKER")
    assert not waiting.exclusions
    assert [one.specialist for one in excluded.exclusions] == [left_out]
    assert left_out not in {member.name for member in drawn.panel}
    assert await client.broken("grading") == []


async def test_some_areas_sign_what_persons_of_these_areas_made(client: StackClient) -> None:
    opened = await opened_appraisal(client)
    pool = await client.grading("appraiser").ListSpecialists(grading_pb2.ListSpecialistsRequest())
    client.signs = False

    async def sign(maker: str, signer: str, number: int) -> str:
        exclude = grading_pb2.ExcludeSpecialistRequest(
            request_id=f"x{number}",
            name=opened.name,
            specialist=pool.specialists[number].name,
            code=grading_pb2.RELATIVE,
        )
        stub = client.grading("appraiser", subject=maker)
        act = (await refused(stub.ExcludeSpecialist(exclude))).metadata
        digest = bytes.fromhex(act["hash"])
        try:
            await client.sign("grading", act["pending_act"], digest, signer, "appraiser")
        except grpc.RpcError as error:
            return problem_of(error).reason
        return "SIGNED"

    assert await sign("guangzhou", "shenzhen", 0) == "NOT_FOUND"
    assert await sign("li", "guangzhou", 1) == "NOT_FOUND"
    assert await sign("guangzhou", "wang", 2) == "SIGNED"
    assert await client.broken_common("grading") == []


async def test_a_draw_follows_the_seed_that_was_committed_to(client: StackClient) -> None:
    opened = await opened_appraisal(client, 6)
    pool = await client.grading("appraiser").ListSpecialists(grading_pb2.ListSpecialistsRequest())
    drawn = await drawn_panel(client, opened.name)
    names = sorted(
        (one.name for one in pool.specialists),
        key=lambda name: sha256(drawn.draw_seed + name.encode()).digest(),
    )

    assert not opened.draw_seed
    assert opened.draw_commitment == sha256(drawn.draw_seed).digest()
    assert [member.name for member in drawn.panel] == names[:3]
    assert await client.broken("grading") == []


async def test_a_person_is_in_the_pool_once(client: StackClient) -> None:
    stub = client.grading("appraiser")
    await register(stub, 1)
    again = grading_pb2.RegisterSpecialistRequest(
        request_id="again", specialist_number="A777", field="neurology", member="staffMembers/A0"
    )

    problem = await refused(stub.RegisterSpecialist(again))

    assert problem.reason == "MEMBER_IS_SPECIALIST"
    assert "staffMembers/A0" in problem.sentence


async def test_strangers_find_no_appraisal(client: StackClient) -> None:
    opened = await opened_appraisal(client)
    get = grading_pb2.GetAppraisalRequest(name=opened.name)
    strangers = [
        client.grading("worker_agent", person="workers/2"),
        client.grading("appraiser", subject="shenzhen"),
        client.grading("specialist", subject="A11"),
    ]
    owners = [
        client.grading("worker_agent", person="workers/1"),
        client.grading("appraiser", subject="guangzhou"),
    ]

    assert [await reason(stub.GetAppraisal(get)) for stub in strangers] == ["NOT_FOUND"] * 3
    assert [(await stub.GetAppraisal(get)).name for stub in owners] == [opened.name] * 2
    rows = await client.rows(
        "grading", "select actor from audit where action like '%GetAppraisalRequest' order by id"
    )
    assert [row.actor for row in rows] == ["test", "worker_agent", "guangzhou"]


async def test_the_tables_show_nothing_to_another_scope(client: StackClient) -> None:
    await drawn_panel(client, (await opened_appraisal(client)).name)
    scopes = [Scope(), Scope(platform="*"), Scope(person="workers/2"), Scope(member="x")]
    tables = ("injury", "appraisal", "panel_member", "draw_seed", "panel_draw", "command")
    for scope in scopes:
        async with client.database("grading").begin(scope) as tx:
            for table in tables:
                count = await tx.execute(sa.text(f"select count(*) from {table}"))
                assert count.scalar_one() == 0, (scope, table)
