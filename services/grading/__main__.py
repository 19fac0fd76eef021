"""`python -m services.grading`: the grading service as its own process."""

from __future__ import annotations

import grpc
from oip.grading.v1 import grading_pb2_grpc

from services.grading.api.servicer import GradingApi
from services.grading.commands.erasures import ERASING
from services.grading.consumers import HANDLERS
from services.grading.domain.law import LAW
from services.grading.events import GUARDS, month_ended
from services.grading.invariants import INVARIANTS, verify
from services.runtime.service.context import MonthEnd, Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    grading_pb2_grpc.add_GradingServiceServicer_to_server(GradingApi(context), server)


SERVICE = Service(
    "grading",
    register,
    HANDLERS,
    INVARIANTS,
    verify,
    guards=GUARDS,
    law=LAW,
    month_end=MonthEnd(month_ended),
    erasing=ERASING,
)

if __name__ == "__main__":
    run(SERVICE)
