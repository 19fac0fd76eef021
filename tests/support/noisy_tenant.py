"""One tenant that calls far above its limit and never waits; a separate process.

`python -m tests.support.noisy_tenant ADDRESS TOKEN PLATFORM CALLS_PER_SECOND` calls until its input
ends, then prints how many calls were answered and how many refused, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

import grpc
from oip.orders.v1 import orders_pb2 as pb
from oip.orders.v1 import orders_pb2_grpc

from services.runtime.rpc.client import CLIENT_OPTIONS

CONNECTIONS = 8
# Twenty times what a platform may have under way.
IN_FLIGHT_MAX = 640


async def call(address: str, token: str, platform: str, per_second: int) -> dict[str, int]:
    """Calls at a steady pace, whatever became of those before; how many ended with each code."""
    options = [*CLIENT_OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(CONNECTIONS)]
    stubs = [orders_pb2_grpc.OrderServiceStub(channel) for channel in channels]
    codes: Counter[str] = Counter()
    running: set[asyncio.Task[None]] = set()

    async def list_batches(number: int) -> None:
        request = pb.ListOrderBatchesRequest(platform=f"platforms/{platform}", page_size=100)
        try:
            await stubs[number % CONNECTIONS].ListOrderBatches(
                request, timeout=10, metadata=[("authorization", f"Bearer {token}")]
            )
        except grpc.aio.AioRpcError as error:
            codes[error.code().name] += 1
        else:
            codes["OK"] += 1

    loop = asyncio.get_running_loop()
    start, number = loop.time(), 0
    end = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    while not end.done():
        number += 1
        await asyncio.sleep(max(0.0, start + number / per_second - loop.time()))
        if len(running) >= IN_FLIGHT_MAX:
            continue
        task = asyncio.create_task(list_batches(number))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    await asyncio.gather(*(channel.close() for channel in channels))
    return dict(codes)


if __name__ == "__main__":
    address, token, platform, per_second = sys.argv[1:]
    outcome = asyncio.run(call(address, token, platform, int(per_second)))
    sys.stdout.write(json.dumps(outcome))
