"""`python -m services.grading`: the grading service as a process of its own."""

from __future__ import annotations

import grpc
from oip.grading.v1 import grading_pb2_grpc

from services.grading import store
from services.grading.api import GradingApi
from services.grading.consumers import HANDLERS
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import run
from services.runtime.storage.database import Transaction


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    grading_pb2_grpc.add_GradingServiceServicer_to_server(GradingApi(context), server)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that grading answers for."""
    untold = await store.count_conclusions_untold(tx)
    hasty = await store.count_conclusions_without_opinions(tx)
    repeated = await store.count_repeated_experts(tx)
    return [
        Check(
            "I14-grading",
            "every conclusion was told to the other services",
            untold == 0,
            f"{untold} conclusions without an event",
        ),
        Check(
            "I9-grading",
            "every conclusion rests on the opinions of its whole panel",
            hasty == 0,
            f"{hasty} conclusions without all opinions",
        ),
        Check(
            "I9-grading-again",
            "nobody sits on a re-appraisal who appraised the same claim before",
            repeated == 0,
            f"{repeated} members who sat before",
        ),
    ]


SERVICE = Service(name="grading", register=register, listens=HANDLERS, verify=verify)

if __name__ == "__main__":
    run(SERVICE)
