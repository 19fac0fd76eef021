"""Each service starts on an older copy of its database, while all others have gone on.

It notices by its own stream, refuses changes and says why. Once an administrator has begun a new
epoch, what was lost is done again by the same requests, and nothing is published or counted twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.events.envelope import stream_of
from services.runtime.events.jetstream import ID_HEADER
from tests.support.databases import Databases
from tests.support.fault_run import FaultRun
from tests.support.killed_orders import ask, until
from tests.support.service_process import ServiceProcess

RECONCILED_SECONDS = 90.0
OWN = "FaultTested"
# It carries the moment of the grant and moves no money: made again, it is another event.
WITH_MOMENT = "AwardGranted"


async def work(run: FaultRun) -> None:
    """Some of each kind of change, in a life of the service, all of it delivered."""
    async with run.living() as serving:
        await run.write_own(2)
        await run.publish(3)
        await run.change(serving, 2)
        await run.finish(serving)


async def reconcile(serving: ServiceProcess) -> operations_pb2.Reconciliation:
    """Begin an epoch with the reconciliation, and wait until the service serves."""
    stub = serving.channels("administrator").stub(
        operations_pb2_grpc.OperationsServiceStub, serving.service
    )
    found = await stub.GetReconciliation(operations_pb2.GetReconciliationRequest())
    await stub.BeginEpoch(
        operations_pb2.BeginEpochRequest(
            request_id="restored", digest=found.digest, reason="disk lost"
        )
    )

    async def serves() -> bool:
        return not await is_behind(serving)

    await until(serves, RECONCILED_SECONDS)
    return found


async def keep(serving: ServiceProcess) -> None:
    """Resolve the lost events that nothing makes again; one that blocks would be refused."""
    stub = serving.channels("administrator").stub(
        operations_pb2_grpc.OperationsServiceStub, serving.service
    )
    lost = await stub.ListLostEvents(operations_pb2.ListLostEventsRequest())
    await stub.ResolveLostEvents(
        operations_pb2.ResolveLostEventsRequest(
            request_id="keep",
            names=[event.name for event in lost.lost_events],
            resolution=operations_pb2.LostEvent.KEPT,
            reason="written by the test alone",
        )
    )


async def is_behind(serving: ServiceProcess) -> bool:
    stub = serving.channels("administrator").stub(
        operations_pb2_grpc.OperationsServiceStub, serving.service
    )
    return (await stub.GetDelivery(operations_pb2.GetDeliveryRequest())).database_behind


async def stored(run: FaultRun) -> tuple[list[str], Counter[tuple[str, bytes]]]:
    """The ids of all messages in the service's stream, and what is made again to the byte."""
    ids, contents = [], Counter[tuple[str, bytes]]()
    async with run.bus(run.service) as bus:
        state = (await bus.js.stream_info(stream_of(run.service))).state
        for number in range(max(1, state.first_seq), state.last_seq + 1):
            message = await bus.js.get_msg(stream_of(run.service), number)
            ids.append((message.headers or {})[ID_HEADER])
            subject = message.subject or ""
            if not subject.endswith((OWN, WITH_MOMENT)):
                contents[subject, message.data or b""] += 1
    return ids, contents


async def test_a_service_on_an_older_copy_stops_until_it_is_reconciled_and_doubles_nothing(
    run: FaultRun, fault_databases: Databases
) -> None:
    """W7."""
    await work(run)
    kept = dict(run.responses)
    copy = await fault_databases.copy(run.settings.database_url)
    await work(run)
    published, contents = await stored(run)
    # What was answered since is asked again, and answered with the moments of today.
    restored = replace(
        run,
        settings=run.settings.model_copy(update={"database_url": copy}),
        responses={number: kept.get(number) for number in run.responses},
    )
    async with restored.living() as serving:
        await until(lambda: is_behind(serving))
        refusal = await restored.refusal(serving, len(restored.responses))
        assert refusal.reason == "DATABASE_BEHIND"

        async def says_so() -> bool:
            return "DATABASE_BEHIND" in await serving.faults()

        await until(says_so)
        assert await stored(restored) == (published, contents)

        found = await reconcile(serving)
        assert len(found.lost_events) >= 2
        await restored.finish(serving)
        await keep(serving)
        assert await restored.count(run.case.called) == len(restored.responses)
        again, contents_again = await stored(restored)
        assert again[: len(published)] == published
        assert len(set(again)) == len(again)
        assert max(contents_again.values(), default=0) <= 1
        assert contents_again.keys() == contents.keys()
        assert await serving.broken() == []

        await restored.change(serving, 1)
        await restored.finish(serving)
        open_events = f"select summary from {run.service}.lost_event where resolve_time is null"
        assert [summary for (summary,) in await ask(copy, f"{open_events} and blocks")] == []
