"""`python -m services.fund`: the fund service as its own process."""

from __future__ import annotations

import grpc
from oip.fund.v1 import fund_pb2_grpc

from services.fund.api import FundApi
from services.fund.consumers import HANDLERS
from services.fund.domain.law import LAW
from services.fund.events import GUARDS
from services.fund.invariants import INVARIANTS, figures, verify
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    fund_pb2_grpc.add_FundServiceServicer_to_server(FundApi(context), server)


SERVICE = Service(
    "fund", register, HANDLERS, INVARIANTS, verify, guards=GUARDS, figures=figures, law=LAW
)

if __name__ == "__main__":
    run(SERVICE)
