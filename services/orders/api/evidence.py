"""Proofs and signed heads."""

from __future__ import annotations

from oip.orders.v1 import orders_pb2

from services.kernel.problems import Malformed
from services.orderlog.entries import parse_order_name
from services.orders.api import wire
from services.orders.commands import evidence as commands
from services.orders.commands.signing import signer_of
from services.orders.commands.workers import WorkerPool
from services.orders.store import log as store
from services.runtime.rpc.wire import Context, next_token, page_of
from services.runtime.service.context import ServiceContext
from services.runtime.service.requests import read
from services.runtime.storage.database import Transaction

SIZE_MAX = 2**63 - 1


class EvidenceApi:
    """Proves what is held."""

    def __init__(self, context: ServiceContext, pool: WorkerPool) -> None:
        self._context = context
        self._pool = pool
        self._signer = signer_of(context)

    async def GetOrderProof(
        self, request: orders_pb2.GetOrderProofRequest, context: Context
    ) -> orders_pb2.OrderProof:
        """Prove that a record lies in a batch and the batch in the platform's log."""
        platform, order_no = parse_order_name(request.name)

        async def work(tx: Transaction) -> commands.Found:
            return await commands.read_proof(tx, self._signer, platform, order_no, request.revision)

        found = await read(self._context, work)
        return wire.proof(await commands.prove(self._pool, found))

    async def GetLogConsistency(
        self, request: orders_pb2.GetLogConsistencyRequest, context: Context
    ) -> orders_pb2.LogConsistency:
        """Prove that a later head of a platform's log contains an earlier one."""
        platform = wire.own_platform(request.platform)
        if request.second_size < 0:
            raise Malformed.of("second_size", "write a size, or 0 for the newest")

        async def work(tx: Transaction) -> orders_pb2.LogConsistency:
            found = await commands.consistency(
                tx, self._signer, platform, request.first_size, request.second_size
            )
            return wire.consistency(found)

        return await read(self._context, work)

    async def ListCheckpoints(
        self, request: orders_pb2.ListCheckpointsRequest, context: Context
    ) -> orders_pb2.ListCheckpointsResponse:
        """The signed heads of a platform's log, newest first."""
        platform = wire.own_platform(request.platform)
        page = page_of(request)
        below = _size(page.after) if page.after else None

        async def work(tx: Transaction) -> orders_pb2.ListCheckpointsResponse:
            held = await store.list_checkpoints(tx, platform, below, page.size)
            full = len(held) == page.size
            return orders_pb2.ListCheckpointsResponse(
                checkpoints=[wire.checkpoint(one) for one in held],
                next_page_token=next_token([held[-1].log_size]) if full else "",
            )

        return await read(self._context, work)


def _size(after: tuple[str, ...]) -> int:
    try:
        return min(int(after[0]), SIZE_MAX)
    except ValueError:
        raise Malformed.of("page_token", "send the token of the page before") from None
