"""The caller of an RPC, and the access rule of a method: the access option of the protos.

Access is denied by default: a server refuses to start with a method that lacks the option
`oip.type.v1.access`.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

from google.protobuf import descriptor_pool
from oip.type.v1 import type_pb2

from services.kernel.problems import Forbidden, Kind, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

EVERYTHING = "*"
DEFAULT_DEADLINE_SECONDS = 30

# Probes have no token; the response reveals only that the port is served.
OPEN_SERVICES = frozenset({"grpc.health.v1.Health"})
# Served in development alone; shows the protos, which are public.
REFLECTION_SERVICES = frozenset(
    {"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
)


class Unauthenticated(Problem):
    """The call carries no token, or one that is not valid."""

    kind, reason = Kind.UNAUTHENTICATED, "UNAUTHENTICATED"
    message = "The call is not signed in: {what}; send `authorization: Bearer <token>`."
    message_zh = "未通过身份认证: {what}; 请在请求中携带有效令牌。"


@dataclass(frozen=True)
class Caller:
    """A caller: subject, roles as numbers of `Access.Role`, credit code of its platform."""

    subject: str
    roles: frozenset[int]
    platform: str = ""

    @property
    def is_platform(self) -> bool:
        """Whether the caller acts for a platform company and so sees its records only."""
        return type_pb2.Access.PLATFORM in self.roles

    @property
    def scope(self) -> str:
        """The platform whose rows the caller may see, or `*` for all."""
        return self.platform if self.is_platform else EVERYTHING

    def require_platform(self, name: str) -> None:
        """Raise Forbidden if the caller is a platform and `name` is another one.

        `name` is a credit code or a resource name such as `platforms/91350100M000100Y43/...`.
        """
        code = name.split("/")[1] if name.startswith("platforms/") else name
        if self.is_platform and code != self.platform:
            what = f"this account acts for platform {self.platform} only"
            raise Forbidden(what=what)


_caller: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """The caller of the RPC being handled; raises LookupError outside of one."""
    return _caller.get()


def caller_name() -> str:
    """The subject of the caller, for the log; empty outside of an RPC."""
    who = _caller.get(None)
    return who.subject if who else ""


def set_caller(who: Caller) -> None:
    """Set the caller of this task, which is one RPC."""
    _caller.set(who)


def role_of(text: str) -> int:
    """The role written in lower case, as tokens carry it: `fund_officer`; ValueError if none."""
    name = text.upper()
    if name not in type_pb2.Access.Role.keys() or name == "ROLE_UNSPECIFIED":  # noqa: SIM118 - an enum wrapper is no mapping
        message = f"{text} is not a role; the roles are {', '.join(role_names())}"
        raise ValueError(message)
    return type_pb2.Access.Role.Value(name)


def role_names() -> list[str]:
    """All roles as tokens carry them."""
    return [name.lower() for name in type_pb2.Access.Role.keys()[1:]]


def role_name(role: int) -> str:
    """The role's name in lower case."""
    return type_pb2.Access.Role.Name(cast("type_pb2.Access.Role.ValueType", role)).lower()


def describe(service: str) -> ServiceDescriptor:
    """The descriptor of a served service, from the default pool; raises KeyError."""
    return descriptor_pool.Default().FindServiceByName(service)


@cache
def rule_of(path: str) -> type_pb2.Access | None:
    """The access rule of a method path such as `/oip.claims.v1.ClaimService/GetClaim`."""
    _, _, rest = path.partition("/")
    service, _, method = rest.partition("/")
    try:
        descriptor: MethodDescriptor = describe(service).methods_by_name[method]
    except KeyError:
        return None
    return rule_in(descriptor)


def rule_in(method: MethodDescriptor) -> type_pb2.Access | None:
    """The access rule of a method's descriptor; None if it is missing or incomplete."""
    options = method.GetOptions()
    if not options.HasExtension(type_pb2.access):
        return None
    rule = options.Extensions[type_pb2.access]
    if not rule.roles or type_pb2.Access.ROLE_UNSPECIFIED in rule.roles:
        return None
    if rule.scope == type_pb2.Access.SCOPE_UNSPECIFIED:
        return None
    return rule


def deadline_cap(rule: type_pb2.Access | None) -> int:
    """The longest deadline a caller may set, in seconds."""
    return (rule.max_deadline_seconds if rule else 0) or DEFAULT_DEADLINE_SECONDS


def unruled_methods(services: Iterable[str]) -> list[str]:
    """The methods of these services without an access rule; a server does not start with one."""
    return [
        method.full_name
        for service in services
        for method in describe(service).methods
        if rule_in(method) is None
    ]


def require_allowed(rule: type_pb2.Access | None, who: Caller) -> None:
    """Raise Forbidden unless the rule names one of the caller's roles."""
    if rule is None or not who.roles.intersection(rule.roles):
        roles = ", ".join(role_name(role) for role in rule.roles) if rule else ""
        what = f"this needs one of the roles {roles}" if roles else "no role may call this method"
        raise Forbidden(what=what)
    if who.is_platform and not who.platform:
        what = "the token has the role platform but names no platform"
        raise Forbidden(what=what)
