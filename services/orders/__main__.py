"""`python -m services.orders`: the orders service as a process of its own."""

from __future__ import annotations

import grpc
from oip.orders.v1 import orders_pb2_grpc

from services.orders.api import OrderApi
from services.orders.api.upload import upload_handlers
from services.orders.commands.gaps import compare_daily
from services.orders.commands.verifying import verify, verify_with
from services.orders.consumers import HANDLERS
from services.runtime.service.context import Service, ServiceContext
from services.runtime.service.serve import run

SERVICE_NAME = "oip.orders.v1.OrderService"


def register(server: grpc.aio.Server, context: ServiceContext) -> None:
    """Add the RPCs to a server."""
    api = OrderApi(context)
    orders_pb2_grpc.add_OrderServiceServicer_to_server(api, server)
    # The later registration of a method is the one that is served.
    server.add_registered_method_handlers(SERVICE_NAME, upload_handlers(api))


SERVICE = Service(
    name="orders",
    register=register,
    listens=HANDLERS,
    verify=verify,
    verify_with=verify_with,
    keeps=compare_daily,
)

if __name__ == "__main__":
    run(SERVICE)
