"""`python -m services.staff`: the staff register as its own process."""

from __future__ import annotations

import grpc
from oip.staff.v1 import staff_pb2_grpc

from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.serve import run
from services.staff.api import StaffApi
from services.staff.consumers import HANDLERS
from services.staff.events import GUARDS
from services.staff.invariants import INVARIANTS, verify


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    staff_pb2_grpc.add_StaffServiceServicer_to_server(StaffApi(context), server)


SERVICE = Service("staff", register, HANDLERS, INVARIANTS, verify, guards=GUARDS)

if __name__ == "__main__":
    run(SERVICE)
