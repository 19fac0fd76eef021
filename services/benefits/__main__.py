"""`python -m services.benefits`: the benefits service as its own process."""

from __future__ import annotations

import grpc
from oip.benefits.v1 import benefits_pb2_grpc

from services.benefits.api import BenefitApi
from services.benefits.commands.erasures import ERASING
from services.benefits.commands.payment_runs import latest_month
from services.benefits.consumers import HANDLERS
from services.benefits.domain.law import LAW
from services.benefits.events import GUARDS, month_ended
from services.benefits.invariants import INVARIANTS, figures, verify
from services.runtime.service.context import MonthEnd, Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    benefits_pb2_grpc.add_BenefitServiceServicer_to_server(BenefitApi(context), server)


SERVICE = Service(
    "benefits",
    register,
    HANDLERS,
    INVARIANTS,
    verify,
    guards=GUARDS,
    figures=figures,
    law=LAW,
    month_end=MonthEnd(month_ended, latest_month),
    erasing=ERASING,
)

if __name__ == "__main__":
    run(SERVICE)
