from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import enrolment_pb2_grpc
from oip.type.v1 import type_pb2

from services.enrolment import store
from services.runtime.rpc.client import Channels, RemoteProblem, problem_of
from services.runtime.service.stack import Stack

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
ADA, BO = "11010519491231002X", "320100199003071236"
Row = pb.EnrolWorkersRequest.Row


class Desk:
    """Stubs of enrolment for whoever calls."""

    def __init__(self, running: Stack) -> None:
        self.running = running
        self.opened: list[Channels] = []

    def at(self, *roles: str, platform: str = "") -> enrolment_pb2_grpc.EnrolmentServiceAsyncStub:
        channels = self.running.channels("test", *roles, platform=platform)
        self.opened.append(channels)
        return channels.stub(enrolment_pb2_grpc.EnrolmentServiceStub, "enrolment")

    async def register(self, code: str, request_id: str = "", name: str = "Swift") -> pb.Platform:
        return await self.at("administrator").RegisterPlatform(
            pb.RegisterPlatformRequest(
                request_id=request_id or f"register-{code}-{len(name)}",
                credit_code=code,
                display_name=name,
                industries=[type_pb2.INSTANT_DELIVERY],
            )
        )

    async def enrol(
        self, code: str, *rows: tuple[str, str], request_id: str = "enrol"
    ) -> pb.EnrolWorkersResponse:
        return await self.at("platform", platform=code).EnrolWorkers(
            pb.EnrolWorkersRequest(
                request_id=request_id,
                platform=f"platforms/{code}",
                rows=[
                    Row(worker_number=number, document_number=document, phone="13912345678")
                    for number, document in rows
                ],
            )
        )


@pytest.fixture
async def desk(alone: Stack) -> AsyncIterator[Desk]:
    desk = Desk(alone)
    yield desk
    for channels in desk.opened:
        await channels.close()


async def refused(call: Awaitable[Any]) -> RemoteProblem:
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return problem_of(caught.value)


async def test_one_person_is_one_worker_across_platforms(desk: Desk) -> None:
    await desk.register(SWIFT)
    await desk.register(PEARL, name="Pearl")

    first = await desk.enrol(SWIFT, ("W1", ADA), ("W2", BO))
    second = await desk.enrol(PEARL, ("A-7", ADA))

    assert [outcome.status for outcome in first.outcomes] == [pb.EnrolWorkersResponse.CREATED] * 2
    assert second.outcomes[0].worker == first.outcomes[0].worker
    assert first.outcomes[0].worker != first.outcomes[1].worker


async def test_a_platform_does_not_learn_of_a_workers_other_platforms(desk: Desk) -> None:
    await desk.register(SWIFT)
    await desk.register(PEARL, name="Pearl")
    worker = (await desk.enrol(SWIFT, ("W1", ADA))).outcomes[0].worker
    await desk.enrol(PEARL, ("A-7", ADA))
    request = pb.GetWorkerRequest(name=f"workers/{worker}")

    seen = await desk.at("platform", platform=SWIFT).GetWorker(request)
    seen_by_all = await desk.at("adjudicator").GetWorker(request)

    assert [one.platform for one in seen.enrolments] == [f"platforms/{SWIFT}"]
    assert len(seen_by_all.enrolments) == 2
    assert seen.masked_document_number == "**************002X"


async def test_a_platform_that_does_not_employ_a_worker_finds_no_such_worker(desk: Desk) -> None:
    await desk.register(SWIFT)
    await desk.register(PEARL, name="Pearl")
    worker = (await desk.enrol(SWIFT, ("W1", ADA))).outcomes[0].worker
    stranger = desk.at("platform", platform=PEARL)

    hidden = await refused(stranger.GetWorker(pb.GetWorkerRequest(name=f"workers/{worker}")))
    unknown = await refused(stranger.GetWorker(pb.GetWorkerRequest(name="workers/17")))

    assert hidden.code is grpc.StatusCode.NOT_FOUND
    assert hidden.sentence.replace(str(worker), "17") == unknown.sentence


async def test_the_same_request_enrols_once_and_gets_the_first_answer(desk: Desk) -> None:
    await desk.register(SWIFT)

    first = await desk.enrol(SWIFT, ("W1", ADA))
    again = await desk.enrol(SWIFT, ("W1", ADA))
    other_id = await desk.enrol(SWIFT, ("W1", ADA), request_id="enrol-2")

    assert again == first
    assert other_id.exists_count == 1
    assert other_id.outcomes[0].worker == first.outcomes[0].worker


async def test_the_same_request_id_with_other_rows_is_refused(desk: Desk) -> None:
    await desk.register(SWIFT)
    await desk.enrol(SWIFT, ("W1", ADA))

    problem = await refused(desk.enrol(SWIFT, ("W1", BO)))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )


async def test_a_platform_enrols_for_itself_only(desk: Desk) -> None:
    await desk.register(SWIFT)
    as_pearl = desk.at("platform", platform=PEARL)

    problem = await refused(
        as_pearl.EnrolWorkers(
            pb.EnrolWorkersRequest(
                request_id="x",
                platform=f"platforms/{SWIFT}",
                rows=[Row(worker_number="W1", document_number=ADA)],
            )
        )
    )

    assert problem.code is grpc.StatusCode.PERMISSION_DENIED


async def test_an_unregistered_platform_is_told_to_register(desk: Desk) -> None:
    problem = await refused(desk.enrol(SWIFT, ("W1", ADA)))

    assert problem.reason == "PLATFORM_NOT_REGISTERED"
    assert "ask the agency to register" in problem.sentence


async def test_registering_with_other_particulars_is_refused(desk: Desk) -> None:
    await desk.register(SWIFT)
    same = await desk.register(SWIFT, request_id="second")

    problem = await refused(desk.register(SWIFT, name="Swift Renamed"))

    assert same.revision == 1
    assert problem.reason == "PLATFORM_EXISTS"


async def test_lists_page_by_credit_code_and_worker_number(desk: Desk) -> None:
    await desk.register(SWIFT)
    await desk.register(PEARL, name="Pearl")
    await desk.enrol(SWIFT, ("W2", BO), ("W1", ADA))
    office = desk.at("administrator")

    first = await office.ListPlatforms(pb.ListPlatformsRequest(page_size=1))
    second = await office.ListPlatforms(
        pb.ListPlatformsRequest(page_size=1, page_token=first.next_page_token)
    )
    workers = await office.ListWorkers(
        pb.ListWorkersRequest(platform=f"platforms/{SWIFT}", page_size=1)
    )

    assert [first.platforms[0].name, second.platforms[0].name] == [
        f"platforms/{SWIFT}",
        f"platforms/{PEARL}",
    ]
    assert workers.workers[0].enrolments[0].worker_number == "W1"


async def test_worker_numbers_are_looked_up_in_the_order_asked(desk: Desk) -> None:
    await desk.register(SWIFT)
    made = await desk.enrol(SWIFT, ("W1", ADA), ("W2", BO))
    platform = desk.at("platform", platform=SWIFT)

    found = await platform.LookUpWorkers(
        pb.LookUpWorkersRequest(platform=f"platforms/{SWIFT}", worker_numbers=["W2", "no", "W1"])
    )

    assert list(found.workers) == [made.outcomes[1].worker, 0, made.outcomes[0].worker]


async def test_no_document_number_or_telephone_can_be_read_in_the_tables(
    desk: Desk, alone: Stack
) -> None:
    await desk.register(SWIFT)
    await desk.enrol(SWIFT, ("W1", ADA))

    async with alone.running["enrolment"].database.begin() as tx:
        people = (await tx.execute(sa.select(store.workers))).all()
        enrolments = (await tx.execute(sa.select(store.platform_workers))).all()

    held = repr(people) + repr(enrolments)
    assert ADA not in held
    assert "13912345678" not in held


async def test_the_migrated_schema_is_that_of_the_store(alone: Stack) -> None:
    async with alone.running["enrolment"].database.begin() as tx:
        for table in store.metadata.sorted_tables:
            rows = await tx.execute(
                sa.text(
                    "select column_name from information_schema.columns"
                    " where table_schema = :schema and table_name = :name"
                ),
                {"schema": table.schema, "name": table.name},
            )
            assert {row.column_name for row in rows} == {column.name for column in table.columns}
