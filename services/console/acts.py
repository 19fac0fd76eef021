"""Acts that wait for the signature of a second person, of all services."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.console.visit import Visit, or_none

ACTS_SHOWN = 200


@dataclass(frozen=True)
class WaitingAct:
    """An act with the service that holds it."""

    service: str
    act: operations_pb2.PendingAct

    @property
    def href(self) -> str:
        """The page on which it is read and signed."""
        return f"/signatures/{self.service}/{self.act.name.rpartition('/')[2]}"


async def waiting_acts(visit: Visit, *, with_ended: bool = False) -> list[WaitingAct]:
    """The acts of all services that the person may see, newest first.

    A service that does not answer is left out.
    """
    request = operations_pb2.ListPendingActsRequest(page_size=ACTS_SHOWN, include_ended=with_ended)

    async def of(service: str) -> list[WaitingAct]:
        stub = visit.stub(operations_pb2_grpc.OperationsServiceStub, service)
        answer = await or_none(stub.ListPendingActs(request))
        return [WaitingAct(service, act) for act in answer.pending_acts] if answer else []

    lists = await asyncio.gather(*(of(service) for service in visit.backend.names))
    acts = [act for each in lists for act in each]
    return sorted(acts, key=lambda each: each.act.create_time.seconds, reverse=True)
