"""The RPCs of the services by their descriptors."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any

import oip
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from services.runtime.rpc.access import rule_in
from services.runtime.rpc.roles import role_name


@cache
def all_methods() -> dict[str, MethodDescriptor]:
    """Every unary RPC of the protos, by its full name."""
    by_name: dict[str, MethodDescriptor] = {}
    for module in sorted(pkgutil.walk_packages(oip.__path__, "oip."), key=lambda each: each.name):
        if not module.name.endswith("_pb2"):
            continue
        for service in importlib.import_module(module.name).DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                if not (method.client_streaming or method.server_streaming):
                    by_name[str(method.full_name)] = method
    return by_name


def method_named(full_name: str) -> MethodDescriptor:
    """An RPC, such as `oip.claims.v1.ClaimService.AcceptClaim`."""
    return all_methods()[full_name]


def request_of(method: MethodDescriptor) -> type[Message]:
    """The message of a request."""
    request: type[Message] = message_factory.GetMessageClass(method.input_type)
    return request


def roles_of(method: MethodDescriptor) -> frozenset[str]:
    """The roles that may call it."""
    rule = rule_in(method)
    return frozenset(role_name(role) for role in rule.roles) if rule else frozenset()


def has_field(message: Any, name: str) -> bool:
    """Whether a message type has a field."""
    return name in message.fields_by_name
