"""`python -m services.premiums`: the premium service as its own process."""

from __future__ import annotations

import grpc
from oip.premiums.v1 import premiums_pb2_grpc

from services.premiums.api.servicer import PremiumApi
from services.premiums.consumers import HANDLERS
from services.premiums.invariants import INVARIANTS, verify
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    premiums_pb2_grpc.add_PremiumServiceServicer_to_server(PremiumApi(context), server)


SERVICE = Service("premiums", register, HANDLERS, INVARIANTS, verify)

if __name__ == "__main__":
    run(SERVICE)
