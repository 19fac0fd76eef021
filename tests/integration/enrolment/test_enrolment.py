from __future__ import annotations

from datetime import UTC

import grpc
import sqlalchemy as sa
from google.type import date_pb2
from oip.enrolment.v1 import enrolment_pb2 as pb
from oip.enrolment.v1 import events_pb2
from oip.type.v1 import type_pb2

from services.enrolment.store import tables
from services.runtime.rpc.wire import moment_from_wire
from tests.support.stack_client import StackClient, refused

SWIFT, PEARL = "91110108MA01ABCD2H", "91350100M000100Y43"
ADA, BO = "11010519491231002X", "320100199003071236"
Row = pb.EnrolWorkersRequest.Row


async def register(
    client: StackClient, code: str, request_id: str = "", name: str = "Swift"
) -> pb.Platform:
    return await client.enrolment("administrator").RegisterPlatform(
        pb.RegisterPlatformRequest(
            request_id=request_id or f"register-{code}-{len(name)}",
            credit_code=code,
            display_name=name,
            industries=[type_pb2.INSTANT_DELIVERY],
        )
    )


async def enrol(
    client: StackClient, code: str, *rows: tuple[str, str], request_id: str = "enrol"
) -> pb.EnrolWorkersResponse:
    return await client.enrolment("platform", platform=code).EnrolWorkers(
        pb.EnrolWorkersRequest(
            request_id=request_id,
            platform=f"platforms/{code}",
            rows=[
                Row(worker_number=number, document_number=document, phone="13912345678")
                for number, document in rows
            ],
        )
    )


async def test_one_person_is_one_worker_across_platforms(client: StackClient) -> None:
    await register(client, SWIFT)
    await register(client, PEARL, name="Pearl")

    first = await enrol(client, SWIFT, ("W1", ADA), ("W2", BO))
    second = await enrol(client, PEARL, ("A-7", ADA))

    assert [outcome.status for outcome in first.outcomes] == [pb.EnrolWorkersResponse.CREATED] * 2
    assert second.outcomes[0].worker == first.outcomes[0].worker
    assert first.outcomes[0].worker != first.outcomes[1].worker


async def test_an_enrolment_returns_its_first_day_and_when_it_was_sent(
    client: StackClient,
) -> None:
    await register(client, SWIFT)
    given = date_pb2.Date(year=2023, month=7, day=1)
    row = Row(worker_number="W1", document_number=ADA, enrol_date=given)
    sent = client.clock.now()

    created = await client.enrolment("platform", platform=SWIFT).EnrolWorkers(
        pb.EnrolWorkersRequest(request_id="e", platform=f"platforms/{SWIFT}", rows=[row])
    )
    name = f"workers/{created.outcomes[0].worker}"
    worker = await client.enrolment("adjudicator").GetWorker(pb.GetWorkerRequest(name=name))

    (enrolment,) = worker.enrolments
    assert enrolment.enrol_date == given
    assert moment_from_wire(enrolment.create_time, "create_time") == sent


async def test_a_platform_does_not_learn_of_a_workers_other_platforms(client: StackClient) -> None:
    await register(client, SWIFT)
    await register(client, PEARL, name="Pearl")
    worker = (await enrol(client, SWIFT, ("W1", ADA))).outcomes[0].worker
    await enrol(client, PEARL, ("A-7", ADA))
    request = pb.GetWorkerRequest(name=f"workers/{worker}")

    seen = await client.enrolment("platform", platform=SWIFT).GetWorker(request)
    seen_by_all = await client.enrolment("adjudicator").GetWorker(request)

    assert [one.platform for one in seen.enrolments] == [f"platforms/{SWIFT}"]
    assert len(seen_by_all.enrolments) == 2
    assert seen.masked_document_number == "**************002X"
    # When it was sent, whatever day the platform names as the first.
    assert seen.enrolments[0].create_time.ToDatetime(UTC) == client.clock.now()


async def test_a_platform_that_does_not_employ_a_worker_finds_no_such_worker(
    client: StackClient,
) -> None:
    await register(client, SWIFT)
    await register(client, PEARL, name="Pearl")
    worker = (await enrol(client, SWIFT, ("W1", ADA))).outcomes[0].worker
    stranger = client.enrolment("platform", platform=PEARL)

    hidden = await refused(stranger.GetWorker(pb.GetWorkerRequest(name=f"workers/{worker}")))
    unknown = await refused(stranger.GetWorker(pb.GetWorkerRequest(name="workers/17")))

    assert hidden.code is grpc.StatusCode.NOT_FOUND
    assert hidden.sentence.replace(str(worker), "17") == unknown.sentence


async def test_the_same_request_enrols_once_and_gets_the_first_answer(client: StackClient) -> None:
    await register(client, SWIFT)

    first = await enrol(client, SWIFT, ("W1", ADA))
    again = await enrol(client, SWIFT, ("W1", ADA))
    other_id = await enrol(client, SWIFT, ("W1", ADA), request_id="enrol-2")

    assert again == first
    assert other_id.exists_count == 1
    assert other_id.outcomes[0].worker == first.outcomes[0].worker


async def test_the_same_request_id_with_other_rows_is_refused(client: StackClient) -> None:
    await register(client, SWIFT)
    await enrol(client, SWIFT, ("W1", ADA))

    problem = await refused(enrol(client, SWIFT, ("W1", BO)))

    assert (problem.code, problem.reason) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
    )


async def test_a_platform_enrols_for_itself_only(client: StackClient) -> None:
    await register(client, SWIFT)
    as_pearl = client.enrolment("platform", platform=PEARL)

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


async def test_an_unregistered_platform_is_sent_to_the_agency(client: StackClient) -> None:
    problem = await refused(enrol(client, SWIFT, ("W1", ADA)))

    assert problem.reason == "PLATFORM_NOT_REGISTERED"
    assert "ask the agency to register" in problem.sentence


async def test_registering_with_other_particulars_is_refused(client: StackClient) -> None:
    await register(client, SWIFT)
    same = await register(client, SWIFT, request_id="second")

    problem = await refused(register(client, SWIFT, name="Swift Renamed"))

    assert same.revision == 1
    assert problem.reason == "PLATFORM_EXISTS"


async def test_lists_page_by_credit_code_and_worker_number(client: StackClient) -> None:
    await register(client, SWIFT)
    await register(client, PEARL, name="Pearl")
    await enrol(client, SWIFT, ("W2", BO), ("W1", ADA))
    administrator = client.enrolment("administrator")

    first = await administrator.ListPlatforms(pb.ListPlatformsRequest(page_size=1))
    second = await administrator.ListPlatforms(
        pb.ListPlatformsRequest(page_size=1, page_token=first.next_page_token)
    )
    workers = await administrator.ListWorkers(
        pb.ListWorkersRequest(platform=f"platforms/{SWIFT}", page_size=1)
    )

    assert [first.platforms[0].name, second.platforms[0].name] == [
        f"platforms/{SWIFT}",
        f"platforms/{PEARL}",
    ]
    assert workers.workers[0].enrolments[0].worker_number == "W1"


async def test_worker_numbers_are_looked_up_in_the_order_asked(client: StackClient) -> None:
    await register(client, SWIFT)
    enrolled = await enrol(client, SWIFT, ("W1", ADA), ("W2", BO))
    platform = client.enrolment("platform", platform=SWIFT)

    looked_up = await platform.LookUpWorkers(
        pb.LookUpWorkersRequest(platform=f"platforms/{SWIFT}", worker_numbers=["W2", "no", "W1"])
    )

    assert list(looked_up.workers) == [
        enrolled.outcomes[1].worker,
        0,
        enrolled.outcomes[0].worker,
    ]


async def test_no_document_number_or_telephone_can_be_read_in_the_tables(
    client: StackClient,
) -> None:
    await register(client, SWIFT)
    await enrol(client, SWIFT, ("W1", ADA))

    async with client.database("enrolment").begin() as tx:
        people = (await tx.execute(sa.select(tables.workers))).all()
        enrolments = (await tx.execute(sa.select(tables.enrolments))).all()

    rows = repr(people) + repr(enrolments)
    assert ADA not in rows
    assert "13912345678" not in rows


async def test_events_name_the_platform_as_a_resource(client: StackClient) -> None:
    await register(client, SWIFT)
    await register(client, SWIFT, request_id="second")
    enrolled = await enrol(client, SWIFT, ("W1", ADA))
    await enrol(client, SWIFT, ("W1", ADA), request_id="enrol-2")

    events = await client.published("enrolment")

    assert events == [
        events_pb2.PlatformRegistered(
            platform=f"platforms/{SWIFT}", revision=1, industries=[type_pb2.INSTANT_DELIVERY]
        ),
        events_pb2.WorkersEnrolled(
            platform=f"platforms/{SWIFT}", workers=[enrolled.outcomes[0].worker]
        ),
    ]


async def test_the_invariants_hold(client: StackClient) -> None:
    await register(client, SWIFT)
    await enrol(client, SWIFT, ("W1", ADA), ("W2", BO))

    assert await client.broken("enrolment") == []


async def test_the_migrated_schema_is_that_of_the_store(client: StackClient) -> None:
    async with client.database("enrolment").begin() as tx:
        for table in tables.metadata.sorted_tables:
            rows = await tx.execute(
                sa.text(
                    "select column_name from information_schema.columns"
                    " where table_schema = :schema and table_name = :name"
                ),
                {"schema": table.schema, "name": table.name},
            )
            assert {row.column_name for row in rows} == {column.name for column in table.columns}
