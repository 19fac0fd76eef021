"""`python -m services.enrolment`: the enrolment service as a process of its own."""

from __future__ import annotations

import grpc
from oip.enrolment.v1 import enrolment_pb2_grpc

from services.enrolment import store
from services.enrolment.api import EnrolmentApi
from services.enrolment.consumers import HANDLERS
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import run
from services.runtime.storage.database import Transaction


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(EnrolmentApi(context), server)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that enrolment answers for."""
    stray = await store.count_stray_enrolments(tx)
    return [
        Check(
            "I2-enrolment",
            "every enrolment belongs to a held worker and a registered platform",
            stray == 0,
            f"{stray} stray enrolments",
        )
    ]


SERVICE = Service(name="enrolment", register=register, listens=HANDLERS, verify=verify)

if __name__ == "__main__":
    run(SERVICE)
