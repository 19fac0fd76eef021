"""`python -m services.benefits`: the benefits service as a process of its own."""

from __future__ import annotations

import grpc
from oip.benefits.v1 import benefits_pb2_grpc

from services.benefits import store
from services.benefits.api import BenefitApi
from services.benefits.consumers import HANDLERS
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import run
from services.runtime.storage.database import Transaction


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    benefits_pb2_grpc.add_BenefitServiceServicer_to_server(BenefitApi(context), server)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that benefits answers for."""
    unfounded = await store.count_unfounded_payments(tx)
    missing = await store.count_missing_payments(tx)
    unlike = await store.count_unlike_totals(tx)
    overlapping = await store.count_overlapping_rates(tx)
    return [
        Check(
            "I3-founded",
            "every payment instruction rests on an award and a rate decided for its month",
            unfounded == 0,
            f"{unfounded} unfounded payments",
        ),
        Check(
            "I3",
            "each entitlement-month up to the latest run is instructed exactly once",
            missing == 0,
            f"{missing} months missing; twice is impossible by key",
        ),
        Check(
            "I7-benefits",
            "the totals told of each run are the sums of its payment instructions",
            unlike == 0,
            f"{unlike} totals differ",
        ),
        Check(
            "I3-rates",
            "no award has two rates in one month",
            overlapping == 0,
            f"{overlapping} overlaps",
        ),
    ]


SERVICE = Service(name="benefits", register=register, listens=HANDLERS, verify=verify)

if __name__ == "__main__":
    run(SERVICE)
