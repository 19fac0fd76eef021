"""The caller of an RPC, and the access rule of a method: the access option of the protos.

Access is denied by default: a server refuses to start with a method that lacks the option
`oip.type.v1.access`.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, cast

from google.protobuf import descriptor_pool
from oip.type.v1 import type_pb2

from services.kernel.problems import Forbidden, Kind, Problem
from services.kernel.scope import Scope
from services.runtime.rpc.access_reasons import (
    NO_PERSON,
    NO_RECORDS_HERE,
    NOT_A_SERVICE,
    SOME_AREAS_ONLY,
    of_platform_alone,
    roles_needed,
    without_platform,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

PLATFORM_ROLES = frozenset({type_pb2.Access.PLATFORM, type_pb2.Access.PLATFORM_ADMINISTRATOR})
# Roles of callers that are no persons of the staff register: their tokens alone decide.
OUTSIDE_REGISTER = frozenset({type_pb2.Access.SERVICE, type_pb2.Access.WORKER_AGENT})
UNBOUNDED_ROLES = frozenset({type_pb2.Access.ADMINISTRATOR, type_pb2.Access.SERVICE})
AREA_ROLES = frozenset(
    {
        type_pb2.Access.ADJUDICATOR,
        type_pb2.Access.APPRAISER,
        type_pb2.Access.FUND_OFFICER,
        type_pb2.Access.FUND_APPROVER,
    }
)
# The scopes of which a method must declare one before it may list the role.
SCOPES_OF: dict[int, frozenset[int]] = {
    **dict.fromkeys(PLATFORM_ROLES, frozenset({type_pb2.Access.OWN_PLATFORM})),
    type_pb2.Access.WORKER_AGENT: frozenset({type_pb2.Access.OWN_PERSON}),
    type_pb2.Access.SPECIALIST: frozenset({type_pb2.Access.OWN_TASK}),
    **dict.fromkeys(
        AREA_ROLES,
        frozenset({type_pb2.Access.OWN_AREA, type_pb2.Access.PROVINCE, type_pb2.Access.SHARED}),
    ),
}
OWN_SCOPES = frozenset(
    {
        type_pb2.Access.OWN_PLATFORM,
        type_pb2.Access.OWN_PERSON,
        type_pb2.Access.OWN_AREA,
        type_pb2.Access.OWN_TASK,
    }
)
DEFAULT_DEADLINE_SECONDS = 30
# The metadata with the token of the caller for whom a service asks.
CALLER_KEY = "oip-caller"

# Served in development alone; shows the protos, which are public.
REFLECTION_SERVICES = frozenset(
    {"grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
)


# What operators do; served whatever the standing of the database.
OPERATIONS_SERVICE = "oip.operations.v1.OperationsService"


class Unauthenticated(Problem):
    """The call carries no token, or one that is not valid."""

    kind, reason = Kind.UNAUTHENTICATED, "UNAUTHENTICATED"
    message = "The call is not signed in: {what}; send `authorization: Bearer <token>`."
    message_zh = "未通过身份认证: {what}; 请在请求中携带有效令牌。"


class NotInStaffRegister(Problem):
    """The account belongs to no person of the staff register."""

    kind, reason = Kind.FORBIDDEN, "NOT_IN_STAFF_REGISTER"
    message = "The account {subject} is not in the staff register; ask an administrator to link it."
    message_zh = "账号 {subject} 不在人员名册中; 请联系管理员登记或关联该账号。"


@dataclass(frozen=True)
class Caller:
    """A caller: the account, its roles as numbers of `Access.Role`, and how far they reach.

    The roles are those that both the token and the staff register allow. `platform` is a credit
    code. `member` is the person of the register (`staffMembers/{id}`) with the account, empty for
    services and for agents of workers who are in no register; `areas` are the division codes of the
    grants that open the method, none for the whole province; `day_limit_fen` is the most of those
    grants, 0 for the general cap; `person` is the worker a token speaks for (`workers/{id}`).
    """

    subject: str
    roles: frozenset[int]
    platform: str = ""
    issuer: str = ""
    member: str = ""
    areas: frozenset[str] = frozenset()
    person: str = ""
    day_limit_fen: int = 0
    # The service that asks for this caller; empty if the caller asks itself.
    asking_service: str = ""

    @property
    def actor(self) -> str:
        """The natural person who acts: of the staff register, or the worker a token speaks for."""
        return self.member or self.person

    @property
    def account(self) -> str:
        """The account among those of all issuers, for comparison with the staff register."""
        return f"{self.issuer}#{self.subject}"

    @property
    def official(self) -> str:
        """The person of the staff register who acts in a role of that register; empty for none."""
        return "" if self.roles <= OUTSIDE_REGISTER else self.member

    @property
    def is_platform(self) -> bool:
        """Whether the caller acts for a platform company and so sees its records only."""
        return not self.roles.isdisjoint(PLATFORM_ROLES)

    @property
    def key(self) -> str:
        """The account among those of all issuers, and for whom it acts: request ids are its own."""
        for_whom = self.platform if self.is_platform else self.person
        parts = (self.issuer, self.subject, for_whom, self.asking_service)
        return "#".join(filter(None, parts))

    @property
    def is_service(self) -> bool:
        """Whether another service asks, for itself or for somebody."""
        return bool(self.asking_service) or type_pb2.Access.SERVICE in self.roles

    @cached_property
    def scope(self) -> Scope:
        """What the caller sees: the narrowest reach of its roles counts.

        A platform sees its own records, a worker's agent those of the person, an administrator and
        another service everything, staff the areas of their grants, and a specialist the panels
        that one sits on.
        """
        if self.is_platform:
            return Scope(platform=self.platform, caller=self.key)
        if type_pb2.Access.WORKER_AGENT in self.roles:
            return Scope(person=self.person, caller=self.key)
        if not self.roles.isdisjoint(UNBOUNDED_ROLES):
            return Scope(everything=True, caller=self.key)
        if not self.roles.isdisjoint(AREA_ROLES):
            return Scope(areas=self.areas, everything=not self.areas, caller=self.key)
        return Scope(member=self.member, caller=self.key)

    def require_platform(self, name: str) -> None:
        """Raise Forbidden if the caller is a platform and `name` is another one.

        `name` is a credit code or a resource name such as `platforms/91350100M000100Y43/...`.
        """
        code = name.split("/")[1] if name.startswith("platforms/") else name
        if self.is_platform and code != self.platform:
            raise Forbidden(what=of_platform_alone(self.platform))


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


@contextmanager
def acting_as(who: Caller) -> Iterator[None]:
    """Another caller while the block runs: the maker of an act that a second person signs."""
    token = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(token)


# The caller's own token, which the calls of an RPC carry to other services.
_original_token: ContextVar[str] = ContextVar("original_token", default="")


def original_token() -> str:
    """The token of the caller for whom other services are asked; empty for a service alone."""
    return _original_token.get()


def set_original_token(token: str) -> None:
    """Set the token of this task's caller."""
    _original_token.set(token)


@contextmanager
def as_service_alone() -> Iterator[None]:
    """Within the block other services are asked by this one alone.

    For what a rule must know whoever asks, such as all orders near an accident. The answer may
    decide; what of it the caller is shown is for this service to bound.
    """
    token = _original_token.set("")
    try:
        yield
    finally:
        _original_token.reset(token)


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


@cache
def is_change(path: str) -> bool:
    """Whether a method changes something: it takes a stream or a request with an id."""
    _, _, rest = path.partition("/")
    service, _, name = rest.partition("/")
    try:
        method: MethodDescriptor = describe(service).methods_by_name[name]
    except KeyError:
        return False
    return method.client_streaming or "request_id" in method.input_type.fields_by_name


def rule_in(method: MethodDescriptor) -> type_pb2.Access | None:
    """The access rule of a method's descriptor; None if it is missing or incomplete."""
    options = method.GetOptions()
    if not options.HasExtension(type_pb2.access):
        return None
    rule = options.Extensions[type_pb2.access]
    if not rule.roles or type_pb2.Access.ROLE_UNSPECIFIED in rule.roles:
        return None
    if not rule.scope or type_pb2.Access.SCOPE_UNSPECIFIED in rule.scope:
        return None
    if any(not reaches(rule, role) for role in rule.roles):
        return None
    return rule


def reaches(rule: type_pb2.Access, role: int) -> bool:
    """Whether the rule's scope has a dimension by which the role's reach is bounded."""
    needed = SCOPES_OF.get(role)
    return needed is None or not needed.isdisjoint(rule.scope)


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


def require_role(rule: type_pb2.Access | None, roles: frozenset[int]) -> frozenset[int]:
    """The roles of a token that open a method. Raises Forbidden if there are none."""
    opening = roles.intersection(rule.roles) if rule else frozenset()
    if not opening:
        names = ", ".join(role_name(role) for role in rule.roles) if rule else ""
        raise Forbidden(what=roles_needed(names))
    return opening


def require_allowed(rule: type_pb2.Access | None, who: Caller) -> Caller:
    """The caller as far as the method goes; raises Forbidden unless the rule names a role of it.

    A role that the rule does not list does not widen the reach; the roles of a platform and of a
    worker's agent always narrow it. Areas bound only where records belong to areas.
    """
    opening = require_role(rule, who.roles)
    scope = rule.scope if rule else ()
    counting = {*(rule.roles if rule else opening), *PLATFORM_ROLES, type_pb2.Access.WORKER_AGENT}
    who = replace(who, roles=who.roles & counting)
    if who.is_platform and not who.platform:
        raise Forbidden(what=without_platform("platform"))
    if type_pb2.Access.WORKER_AGENT in who.roles and not who.person:
        raise Forbidden(what=NO_PERSON)
    if type_pb2.Access.OWN_AREA in scope or who.scope.everything:
        return who
    if who.areas and type_pb2.Access.PROVINCE in scope:
        raise Forbidden(what=SOME_AREAS_ONLY)
    return replace(who, areas=frozenset())


def on_behalf(rule: type_pb2.Access, service: Caller, original: Caller) -> Caller:
    """The caller for whom a service asks; the service is allowed to call the method.

    Where records belong to somebody, the reach is that of the original caller, and one who has
    none there is refused. Elsewhere the service decides, and the original caller is on record.
    """
    if not service.is_service or original.is_service:
        raise Forbidden(what=NOT_A_SERVICE)
    if OWN_SCOPES.isdisjoint(rule.scope):
        return replace(
            original, roles=service.roles, platform="", person="", asking_service=service.subject
        )
    roles = frozenset(role for role in original.roles if reaches(rule, role))
    if not roles or (original.is_platform and roles.isdisjoint(PLATFORM_ROLES)):
        raise Forbidden(what=NO_RECORDS_HERE)
    return replace(original, roles=roles, asking_service=service.subject)
