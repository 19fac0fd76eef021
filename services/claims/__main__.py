"""`python -m services.claims`: the claims service as its own process."""

from __future__ import annotations

import grpc
from oip.claims.v1 import accidents_pb2_grpc, claims_pb2_grpc

from services.claims.api import AccidentApi, ClaimApi
from services.claims.commands.erasures import ERASING
from services.claims.consumers import HANDLERS
from services.claims.domain.law import LAW
from services.claims.events import GUARDS, month_ended
from services.claims.invariants import INVARIANTS, figures, verify
from services.runtime.service.context import MonthEnd, Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    claims_pb2_grpc.add_ClaimServiceServicer_to_server(ClaimApi(context), server)
    accidents_pb2_grpc.add_AccidentServiceServicer_to_server(AccidentApi(context), server)


SERVICE = Service(
    "claims",
    register,
    HANDLERS,
    INVARIANTS,
    verify,
    guards=GUARDS,
    figures=figures,
    law=LAW,
    month_end=MonthEnd(month_ended),
    erasing=ERASING,
)

if __name__ == "__main__":
    run(SERVICE)
