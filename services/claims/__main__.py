"""`python -m services.claims`: the claims service as a process of its own."""

from __future__ import annotations

import grpc
from oip.claims.v1 import claims_pb2_grpc

from services.claims import store
from services.claims.api import ClaimApi
from services.claims.consumers import HANDLERS
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import run
from services.runtime.storage.database import Transaction


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    claims_pb2_grpc.add_ClaimServiceServicer_to_server(ClaimApi(context), server)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that claims answer for."""
    broken = await store.count_broken(tx)
    return [
        Check(
            "I14-claims",
            "a claim is determined exactly if it has one determination that was not withdrawn",
            broken.without_determination == 0 and broken.with_two == 0,
            f"{broken.without_determination} without, {broken.with_two} with several",
        ),
        Check(
            "I7-claims",
            "the platforms' shares of a confirmed case sum to 100 percent",
            broken.charged_wrongly == 0,
            f"{broken.charged_wrongly} charged otherwise",
        ),
        Check(
            "I6-claims",
            "every determination was told to the other services",
            broken.untold == 0,
            f"{broken.untold} more or fewer events than determinations",
        ),
    ]


SERVICE = Service(name="claims", register=register, listens=HANDLERS, verify=verify)

if __name__ == "__main__":
    run(SERVICE)
