"""`python -m services.premiums`: the premium service as a process of its own."""

from __future__ import annotations

import grpc
from oip.premiums.v1 import premiums_pb2_grpc

from services.premiums.api import PremiumApi
from services.premiums.consumers import HANDLERS
from services.premiums.store import verifying
from services.runtime.base.holidays import work_calendar
from services.runtime.service.context import Check, Service, ServiceContext
from services.runtime.service.serve import run
from services.runtime.storage.database import Transaction


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    api = PremiumApi(context, context.province, work_calendar())
    premiums_pb2_grpc.add_PremiumServiceServicer_to_server(api, server)


async def verify(tx: Transaction) -> list[Check]:
    """The invariants that premiums answers for."""
    return [
        Check(name, sentence, count == 0, f"{count} rows break it" if count else "")
        for name, sentence, count in await verifying.breaches(tx)
    ]


SERVICE = Service(name="premiums", register=register, listens=HANDLERS, verify=verify)

if __name__ == "__main__":
    run(SERVICE)
