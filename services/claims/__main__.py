"""`python -m services.claims`: the claims service as its own process."""

from __future__ import annotations

import grpc
from oip.claims.v1 import claims_pb2_grpc

from services.claims.api import ClaimApi
from services.claims.consumers import HANDLERS
from services.claims.invariants import INVARIANTS, verify
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    claims_pb2_grpc.add_ClaimServiceServicer_to_server(ClaimApi(context), server)


SERVICE = Service(
    name="claims", register=register, handlers=HANDLERS, invariants=INVARIANTS, verify=verify
)

if __name__ == "__main__":
    run(SERVICE)
