"""`python -m services.enrolment`: the enrolment service as its own process."""

from __future__ import annotations

import grpc
from oip.enrolment.v1 import enrolment_pb2_grpc

from services.enrolment.api import EnrolmentApi
from services.enrolment.consumers import HANDLERS
from services.enrolment.events import GUARDS, month_ended
from services.enrolment.invariants import INVARIANTS, verify
from services.runtime.service.context import MonthEnd, Service, ServiceContext
from services.runtime.service.serve import run


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(EnrolmentApi(context), server)


MONTH_END = MonthEnd(month_ended)
SERVICE = Service(
    "enrolment",
    register,
    HANDLERS,
    INVARIANTS,
    verify,
    guards=GUARDS,
    month_end=MONTH_END,
)

if __name__ == "__main__":
    run(SERVICE)
