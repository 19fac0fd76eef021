"""`python -m services.premiums`: the premium service as its own process."""

from __future__ import annotations

import grpc
from oip.premiums.v1 import premiums_pb2_grpc

from services.premiums.api.servicer import PremiumApi
from services.premiums.commands.assessment import latest_month
from services.premiums.consumers import HANDLERS
from services.premiums.domain.law import LAW
from services.premiums.events import GUARDS, month_ended
from services.premiums.invariants import INVARIANTS, figures, verify
from services.runtime.service.context import MonthEnd, Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    premiums_pb2_grpc.add_PremiumServiceServicer_to_server(PremiumApi(context), server)


SERVICE = Service(
    "premiums",
    register,
    HANDLERS,
    INVARIANTS,
    verify,
    guards=GUARDS,
    figures=figures,
    law=LAW,
    month_end=MonthEnd(month_ended, latest_month),
)

if __name__ == "__main__":
    run(SERVICE)
