"""What the commands for operators share: the services by name, and their operations."""

from __future__ import annotations

from oip.operations.v1 import operations_pb2_grpc

from services.cli.connection import Connection, Refused
from services.client.channels import Channels


def stub_of(channels: Channels, service: str) -> operations_pb2_grpc.OperationsServiceAsyncStub:
    """The operations of a service."""
    return channels.stub(operations_pb2_grpc.OperationsServiceStub, service)


def services_named(connection: Connection, service: str) -> list[str]:
    """The one service, or all if none is named; raises Refused if there is no such service."""
    if not service:
        return list(connection.addresses)
    require_service(connection, service)
    return [service]


def require_service(connection: Connection, service: str) -> None:
    """Raise Refused if there is no such service."""
    names = list(connection.addresses)
    if service not in names:
        raise Refused(
            "There is no service {service}; the services are {names}.",
            "没有服务 {service}; 现有服务: {names}。",
            service=service,
            names=tuple(names),
        )
