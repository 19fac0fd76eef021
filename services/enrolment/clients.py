"""What enrolment asks over gRPC, before a transaction opens: what keeps a worker from erasure."""

from __future__ import annotations

from oip.operations.v1 import operations_pb2, operations_pb2_grpc

from services.enrolment.domain.erasures import Obstacle
from services.enrolment.domain.problems import EventsUnderWay
from services.runtime.rpc.access import as_service_alone
from services.runtime.rpc.client import Channels
from services.runtime.service.delivery import deliveries, missing

# The services that hold data of workers.
HOLDERS = ("claims", "grading", "benefits")


async def erasure_obstacles(channels: Channels, worker: str) -> list[Obstacle]:
    """What the services that hold data of a worker say against the erasure.

    Raises EventsUnderWay while one of them has not consumed all that the others have published:
    a decision may be on its way.
    """
    obstacles = []
    with as_service_alone():
        behind = missing(await deliveries(channels, HOLDERS))
        if behind:
            raise EventsUnderWay(worker=worker, behind=tuple(behind))
        request = operations_pb2.GetErasureObstaclesRequest(worker=worker)
        for service in HOLDERS:
            stub = channels.stub(operations_pb2_grpc.OperationsServiceStub, service)
            answer = await stub.GetErasureObstacles(request)
            obstacles += [Obstacle(row.code, row.resource) for row in answer.obstacles]
    return obstacles
