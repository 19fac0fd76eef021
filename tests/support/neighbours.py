"""The services around the one under test: they answer its questions and replay their events.

`python -m tests.support.neighbours NAME ADDRESS` plays one in a process, which a test may pause.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any

from google.protobuf import timestamp_pb2
from google.type import date_pb2
from oip.enrolment.v1 import enrolment_pb2, enrolment_pb2_grpc
from oip.operations.v1 import operations_pb2, operations_pb2_grpc
from oip.orders.v1 import orders_pb2, orders_pb2_grpc

from services.runtime.base.clock import SystemClock
from services.runtime.base.settings import Settings
from services.runtime.events.envelope import Envelope
from services.runtime.rpc.server import RpcServer
from services.runtime.rpc.tokens import Issuer, Verifier
from services.runtime.service.operations import envelope_to_wire
from tests.support.platforms import SWIFT
from tests.support.staff import usual_admission


class Neighbour(
    operations_pb2_grpc.OperationsServiceServicer,
    enrolment_pb2_grpc.EnrolmentServiceServicer,
    orders_pb2_grpc.OrderServiceServicer,
):
    """One service, played: every worker is enrolled, and nothing has to be frozen."""

    def __init__(self, name: str, verifier: Verifier) -> None:
        self.published: list[Envelope] = []
        self.address = ""
        self._server = RpcServer(name, usual_admission(verifier))
        registrar = self._server.registrar
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(self, registrar)
        enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(self, registrar)
        orders_pb2_grpc.add_OrderServiceServicer_to_server(self, registrar)

    async def start(self, address: str = "127.0.0.1:0") -> None:
        """Listen, by default on a free port."""
        self.address = f"127.0.0.1:{await self._server.start(address)}"

    async def stop(self) -> None:
        """Close everything."""
        await self._server.stop(0)

    async def Replay(
        self, request: operations_pb2.ReplayRequest, _context: Any
    ) -> AsyncIterator[operations_pb2.EventEnvelope]:
        for envelope in list(self.published):
            is_asked = request.epoch in {"", envelope.epoch}
            if not is_asked or envelope.pub_seq >= request.from_seq:
                yield envelope_to_wire(envelope)

    async def GetDelivery(
        self, _request: operations_pb2.GetDeliveryRequest, _context: Any
    ) -> operations_pb2.Delivery:
        return operations_pb2.Delivery()

    async def GetWorker(
        self, request: enrolment_pb2.GetWorkerRequest, _context: Any
    ) -> enrolment_pb2.Worker:
        enrolment = enrolment_pb2.Worker.Enrolment(
            platform=f"platforms/{SWIFT}",
            worker_number="w1",
            enrol_date=date_pb2.Date(year=2025, month=1, day=1),
            create_time=timestamp_pb2.Timestamp(seconds=1_735_700_000),
        )
        return enrolment_pb2.Worker(name=request.name, enrolments=[enrolment])

    async def FreezeOrders(
        self, _request: orders_pb2.FreezeOrdersRequest, _context: Any
    ) -> orders_pb2.FreezeOrdersResponse:
        return orders_pb2.FreezeOrdersResponse(record_count=1)


async def start_neighbours(names: Iterable[str], verifier: Verifier) -> dict[str, Neighbour]:
    """Play these services, each on its own port."""
    neighbours = {
        name: Neighbour(name, verifier)  # type: ignore[abstract]  # the rest is not asked
        for name in names
    }
    for neighbour in neighbours.values():
        await neighbour.start()
    return neighbours


async def _serve(name: str, address: str) -> None:
    """Play one service until the process is ended."""
    settings = Settings()
    issuer = Issuer.at(settings.signing_key_path, settings.jwks_path, SystemClock())
    neighbour = Neighbour(name, issuer.verifier())  # type: ignore[abstract]  # the rest is not asked
    await neighbour.start(address)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
