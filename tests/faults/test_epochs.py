"""W7 and K1: an epoch begins, also if the service is killed meanwhile, and nothing counts twice."""

from __future__ import annotations

from dataclasses import replace

import grpc
import psycopg
import pytest
from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.runtime.events.envelope import stream_of
from services.runtime.events.jetstream import EPOCH_HEADER, SEQ_HEADER
from tests.support.databases import Databases
from tests.support.fault_run import FaultRun
from tests.support.killed_orders import ask, until
from tests.support.service_process import ServiceProcess

CALLS, EVENTS, OWN = 2, 2, 3
LOST = operations_pb2.LostEvent


async def test_a_restored_database_is_reconciled_and_nothing_counts_twice(
    run: FaultRun, fault_databases: Databases
) -> None:
    await live(run)
    copy = await fault_databases.copy(run.settings.database_url)
    kept_count = len(run.responses)
    await live(run)
    published = await numbers_in_the_stream(run)
    restored = replace(run, settings=run.settings.model_copy(update={"database_url": copy}))
    for number in range(kept_count, len(run.responses)):
        restored.responses[number] = None

    await kill_while_an_epoch_begins(restored)
    async with restored.living() as serving:
        stub = operations(serving)
        await until(lambda: is_behind(stub))
        refusal = await restored.refusal(serving, len(run.responses))
        assert refusal.reason == "DATABASE_BEHIND"
        assert await numbers_in_the_stream(restored) == published

        found = await stub.GetReconciliation(operations_pb2.GetReconciliationRequest(), timeout=30)
        assert found.lost_event_count == len(published) - found.published_seq >= OWN
        await stub.BeginEpoch(begin_with(found), timeout=30)
        await until(lambda: is_current(stub))
        # What was consumed and answered since the copy is made again.
        await restored.finish(serving)
        await resolve_lost(stub)
        await write_events(restored, 1)
        await restored.finish(serving)

        assert await restored.count(run.case.called) == len(run.responses)
        assert await serving.broken() == []
    rows = await numbers_in_the_stream(restored)
    assert len(rows) == len(set(rows))
    assert rows[: len(published)] == published


async def live(run: FaultRun) -> None:
    """A life in which the service answers, consumes and publishes."""
    async with run.living() as serving:
        await run.change(serving, CALLS)
        await run.publish(EVENTS)
        await write_events(run, OWN)
        await run.finish(serving)


async def write_events(run: FaultRun, count: int) -> None:
    """Events that the service has to publish and that no consumer knows."""
    url = run.settings.database_url
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(f"set search_path to {run.service}".encode())
        await connection.execute(
            b"insert into outbox (subject, payload, create_time)"
            b" select 'oip.' || current_schema() || '.v1.FaultTested', '', now()"
            b" from generate_series(1, %s::bigint)",
            [count],
        )


async def kill_while_an_epoch_begins(run: FaultRun) -> None:
    """K1: the lost events are taken back, and the epoch and its audit row are not committed."""
    async with run.living(OIP_FAILPOINT="requests.before_commit:kill") as serving:
        stub = operations(serving)
        await until(lambda: is_behind(stub))
        found = await stub.GetReconciliation(operations_pb2.GetReconciliationRequest(), timeout=30)
        with pytest.raises(grpc.RpcError):
            await stub.BeginEpoch(begin_with(found), timeout=30)
        assert await serving.process.wait() < 0
    assert await run.count(f"select count(*) from {run.service}.lost_event") == 0
    assert await run.count(f"select count(*) from {run.service}.outbox_counter") == 1


def begin_with(found: operations_pb2.Reconciliation) -> operations_pb2.BeginEpochRequest:
    return operations_pb2.BeginEpochRequest(
        request_id="epoch", digest=found.digest, reason="disk lost"
    )


def operations(serving: ServiceProcess) -> operations_pb2_grpc.OperationsServiceAsyncStub:
    channels = serving.channels("administrator")
    return channels.stub(operations_pb2_grpc.OperationsServiceStub, serving.service)


async def is_behind(stub: operations_pb2_grpc.OperationsServiceAsyncStub) -> bool:
    answer = await stub.GetDelivery(operations_pb2.GetDeliveryRequest(), timeout=30)
    return answer.database_behind


async def is_current(stub: operations_pb2_grpc.OperationsServiceAsyncStub) -> bool:
    return not await is_behind(stub)


async def resolve_lost(stub: operations_pb2_grpc.OperationsServiceAsyncStub) -> None:
    """Resolve what no command made again; no consumer had an effect of it."""
    lost = (
        await stub.ListLostEvents(operations_pb2.ListLostEventsRequest(), timeout=30)
    ).lost_events
    await stub.ResolveLostEvents(
        operations_pb2.ResolveLostEventsRequest(
            request_id="resolve",
            names=[event.name for event in lost],
            resolution=LOST.TAKEN_BACK,
            reason="no consumer runs",
        ),
        timeout=30,
    )


async def numbers_in_the_stream(run: FaultRun) -> list[tuple[str, int]]:
    """Epoch and number of each event of the service in its stream, in order."""
    rows = await ask(run.settings.database_url, f"select epoch from {run.service}.outbox_counter")
    epochs = [epoch for (epoch,) in rows]
    async with run.bus(run.service) as bus:
        state = (await bus.js.stream_info(stream_of(run.service))).state
        found = []
        for place in range(max(1, state.first_seq), state.last_seq + 1):
            headers = (await bus.js.get_msg(stream_of(run.service), place)).headers or {}
            if headers.get(EPOCH_HEADER) in epochs:
                found.append((headers[EPOCH_HEADER], int(headers[SEQ_HEADER])))
    return found
