"""`python -m services.orders`: the orders service as a process of its own."""

from __future__ import annotations

import grpc
from oip.orders.v1 import orders_pb2_grpc

from services.orders.api import OrderApi
from services.orders.api.upload import upload_handlers
from services.orders.commands.gaps import keep_comparing
from services.orders.commands.verifying import verify, verify_with
from services.orders.consumers import LISTENS
from services.runtime.running import Running, Service
from services.runtime.serve import run

SERVICE_NAME = "oip.orders.v1.OrderService"


def register(server: grpc.aio.Server, running: Running) -> None:
    """Add the RPCs to a server."""
    api = OrderApi(running)
    orders_pb2_grpc.add_OrderServiceServicer_to_server(api, server)
    # The later registration of a method is the one that is served.
    server.add_registered_method_handlers(SERVICE_NAME, upload_handlers(api))


SERVICE = Service(
    name="orders",
    register=register,
    listens=LISTENS,
    verify=verify,
    verify_with=verify_with,
    keeps=keep_comparing,
)

if __name__ == "__main__":
    run(SERVICE)
