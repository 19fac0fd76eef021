"""Asks `FindOrders`, the bare SELECT and an empty call in turn, as a caller on another machine.

`python -m tests.support.lookup_latency` with `LOOK_ADDRESS`, `LOOK_HEALTH_ADDRESS`, `LOOK_URL`,
`LOOK_TOKEN` and `LOOK_COUNT` set; prints the seconds of each side as JSON. A separate process,
because a query that waits for the load generator measures the load generator. The empty call
measures gRPC alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from oip.orders.v1 import orders_pb2 as pb
from oip.orders.v1 import orders_pb2_grpc

from services.runtime.rpc.client import Channels
from services.runtime.rpc.wire import moment_to_wire
from services.runtime.service.serve import keep_what_is_loaded

MARGIN = timedelta(hours=1)
# Sides prepare a statement at its sixth use, and the pool has some connections.
WARM = 100
# Moments at which an order was under way, spread over the whole table.
_MOMENTS = """
select worker, accept_time + (end_time - accept_time) / 2
from orders.orders tablesample system (least(100, 4e6 / (
    select greatest(sum(reltuples), 1) from pg_class where relname ~ '^orders_[0-9]$'
))) repeatable (7) where end_time is not null order by random() limit {count}
"""
_SELECT = """
select * from orders.orders where worker = %s and accept_time between %s and %s
    and case when end_time is null then 'infinity' else end_time end >= %s
"""

Look = Callable[[int, datetime], Awaitable[int]]


async def look(
    address: str, health_address: str, url: str, token: str, count: int
) -> dict[str, list[float]]:
    """The seconds of each: `find` through the service, `select` bare, `empty` to the service."""
    channels = Channels({"orders": address, "health": health_address}, lambda: token)
    stub = channels.stub(orders_pb2_grpc.OrderServiceStub, "orders")
    health = channels.stub(health_pb2_grpc.HealthStub, "health")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        # As in the service; otherwise the bare side is planned again each time.
        await connection.execute("set plan_cache_mode = force_generic_plan")

        async def find(worker: int, moment: datetime) -> int:
            request = pb.FindOrdersRequest(
                worker=f"workers/{worker}",
                moment=moment_to_wire(moment),
                margin=Duration(seconds=int(MARGIN.total_seconds())),
            )
            return len((await stub.FindOrders(request)).orders)

        async def select(worker: int, moment: datetime) -> int:
            week = moment - MARGIN - timedelta(days=7)
            keys = (worker, week, moment + MARGIN, moment - MARGIN)
            return len(await (await connection.execute(_SELECT, keys)).fetchall())

        async def empty(_worker: int, _moment: datetime) -> int:
            answer = await health.Check(health_pb2.HealthCheckRequest())
            return int(answer.status)

        sides: Mapping[str, Look] = {"find": find, "select": select, "empty": empty}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        query = _MOMENTS.format(count=len(sides) * (WARM + count))
        moments: list[Any] = await (await connection.execute(query)).fetchall()
        assert len(moments) == len(sides) * (WARM + count), "too few orders for this many look-ups"
        keep_what_is_loaded()
        for turn in range(0, len(moments), len(sides)):
            for (name, ask), (worker, moment) in zip(
                sides.items(), moments[turn : turn + len(sides)], strict=True
            ):
                begin = time.perf_counter()
                found = await ask(worker, moment)
                seconds[name].append(time.perf_counter() - begin)
                assert found, "an order that is held was not found"
    await channels.close()
    return {name: values[WARM:] for name, values in seconds.items()}


if __name__ == "__main__":
    asked = look(
        os.environ["LOOK_ADDRESS"],
        os.environ["LOOK_HEALTH_ADDRESS"],
        os.environ["LOOK_URL"],
        os.environ["LOOK_TOKEN"],
        int(os.environ["LOOK_COUNT"]),
    )
    sys.stdout.write(json.dumps(asyncio.run(asked)))
