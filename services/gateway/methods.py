"""The methods by their paths: every RPC of the protos, found by the descriptors."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import oip
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from services.gateway.problems import MethodUnknown, NotOverJson
from services.runtime.rpc.access import OPERATIONS_SERVICE, deadline_cap, rule_in

UPLOAD_PATH = "/oip.orders.v1.OrderService/UploadOrders"
_SHOWN_LENGTH = 120


@dataclass(frozen=True)
class Method:
    """An RPC: the service that is called, its path there, its messages and longest deadline."""

    service: str
    grpc_path: str
    request: type[Message]
    answer: type[Message]
    cap_seconds: int


class Methods:
    """The unary RPCs of services, by their path at the gateway.

    That is the path of gRPC; for operations, which every service has, behind the service's name:
    `/claims/oip.operations.v1.OperationsService/GetHealth`.
    """

    def __init__(self, services: Iterable[str]) -> None:
        """`services` are those with an address."""
        self._by_path: dict[str, Method] = {}
        self._streams: set[str] = set()
        known = tuple(services)
        for described in described_methods():
            for service in services_of(described, known):
                self._add(described, service)

    def _add(self, described: MethodDescriptor, service: str) -> None:
        path = path_of(described, service)
        if described.client_streaming or described.server_streaming:
            self._streams.add(path)
            return
        self._by_path[path] = Method(
            service,
            grpc_path_of(described),
            message_factory.GetMessageClass(described.input_type),
            message_factory.GetMessageClass(described.output_type),
            deadline_cap(rule_in(described)),
        )

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all unary methods."""
        return frozenset(self._by_path)

    def find(self, path: str) -> Method:
        """The method of a path. Raises MethodUnknown or NotOverJson."""
        method = self._by_path.get(path)
        if method is None:
            refusal = NotOverJson if path in self._streams else MethodUnknown
            raise refusal(path=path[:_SHOWN_LENGTH])
        return method


def described_methods() -> Iterator[MethodDescriptor]:
    """Every RPC of the protos, in the order of packages and files."""
    for module in sorted(pkgutil.walk_packages(oip.__path__, "oip."), key=lambda each: each.name):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            for service in file.services_by_name.values():
                yield from service.methods


def services_of(method: MethodDescriptor, known: tuple[str, ...]) -> tuple[str, ...]:
    """The services that have a method: the one of its package, of operations all."""
    if method.containing_service.full_name == OPERATIONS_SERVICE:
        return known
    package = method.containing_service.full_name.split(".")[1]
    return (package,) if package in known else ()


def grpc_path_of(method: MethodDescriptor) -> str:
    """The path of a method such as `/oip.claims.v1.ClaimService/GetClaim`."""
    return f"/{method.containing_service.full_name}/{method.name}"


def path_of(method: MethodDescriptor, service: str) -> str:
    """The path of a service's method at the gateway."""
    is_everywhere = method.containing_service.full_name == OPERATIONS_SERVICE
    return f"/{service}{grpc_path_of(method)}" if is_everywhere else grpc_path_of(method)
