"""The callers of every method of every service, by the descriptors.

Each method has an access rule; with no token, with a wrong one, with a role it does not name, or as
a platform without a credit code it is refused before its handler is reached.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator
from typing import Any

import grpc
import oip
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from oip.type.v1 import type_pb2

from services.__main__ import NAMES, all_services
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.rpc.access import (
    describe,
    reaches,
    rule_in,
    unruled_methods,
)
from services.runtime.rpc.bounds import bounds_of
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.roles import role_name, role_names
from services.runtime.service.stack import Stack
from services.runtime.service.stack import stack as running_stack

Access = type_pb2.Access
# A stream that is refused at once may end while gRPC still sends its first message.
UNKNOWN_OUTCOME = "UNAVAILABLE UNAVAILABLE"
TRIES_MAX = 5


def proto_services() -> list[str]:
    """The full names of all services in the generated protos."""
    names = []
    for module in pkgutil.walk_packages(oip.__path__, "oip."):
        if module.name.endswith("_pb2") and ".test." not in module.name:
            file = importlib.import_module(module.name).DESCRIPTOR
            names += [service.full_name for service in file.services_by_name.values()]
    return sorted(names)


METHODS: list[MethodDescriptor] = [
    method for service in proto_services() for method in describe(service).methods
]
IDS = [method.full_name.removeprefix("oip.") for method in METHODS]


def test_every_service_of_the_protos_is_covered() -> None:
    # Operations, which every service has, and the accidents of claims.
    assert len(proto_services()) == len(NAMES) + 2
    assert len(METHODS) > 40


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_method_says_who_may_call_it(method: MethodDescriptor) -> None:
    rule = rule_in(method)

    assert rule is not None, f"{method.full_name} has no (oip.type.v1.access)"
    assert len(set(rule.roles)) == len(rule.roles)
    assert 0 <= rule.max_deadline_seconds <= 3600


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_method_that_platforms_may_call_is_limited_to_their_own_records(
    method: MethodDescriptor,
) -> None:
    rule = rule_in(method)
    assert rule is not None

    if Access.PLATFORM in rule.roles:
        assert Access.OWN_PLATFORM in rule.scope


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_the_scope_bounds_every_role_of_the_rule(method: MethodDescriptor) -> None:
    rule = rule_in(method)
    assert rule is not None
    needed = {
        Access.PLATFORM: {Access.OWN_PLATFORM},
        Access.PLATFORM_ADMINISTRATOR: {Access.OWN_PLATFORM},
        Access.WORKER_AGENT: {Access.OWN_PERSON},
        Access.SPECIALIST: {Access.OWN_TASK},
        Access.ADJUDICATOR: {Access.OWN_AREA, Access.PROVINCE, Access.SHARED},
        Access.APPRAISER: {Access.OWN_AREA, Access.PROVINCE, Access.SHARED},
        Access.FUND_OFFICER: {Access.OWN_AREA, Access.PROVINCE, Access.SHARED},
        Access.FUND_APPROVER: {Access.OWN_AREA, Access.PROVINCE, Access.SHARED},
    }

    for role in rule.roles:
        assert role not in needed or needed[role] & set(rule.scope), role_name(role)


def test_a_rule_without_the_dimension_of_a_role_is_no_rule() -> None:
    method = describe("oip.benefits.v1.BenefitService").methods_by_name["GetAward"]
    rule = type_pb2.Access()
    rule.CopyFrom(method.GetOptions().Extensions[type_pb2.access])
    assert all(reaches(rule, role) for role in rule.roles)

    del rule.scope[:]
    rule.scope.append(Access.PROVINCE)

    assert not reaches(rule, Access.WORKER_AGENT)


@pytest.mark.parametrize("method", METHODS, ids=IDS)
async def test_staff_of_some_areas_are_refused_what_concerns_the_province(
    call: Caller, everything: Stack, method: MethodDescriptor
) -> None:
    rule = rule_in(method)
    assert rule is not None
    bounded = {Access.OWN_AREA, Access.SHARED} & set(rule.scope)
    for service in services_with(method):
        for role in ("adjudicator", "appraiser", "fund_officer", "fund_approver"):
            token = everything.issuer.issue("shenzhen", [role])
            answer = await call.refusal(service, method, token)
            may = role in {role_name(number) for number in rule.roles} and bool(bounded)
            assert (answer != "PERMISSION_DENIED FORBIDDEN") == may, (role, answer)


@pytest.mark.parametrize("method", METHODS, ids=IDS)
async def test_an_agent_token_without_a_person_is_refused(
    call: Caller, everything: Stack, method: MethodDescriptor
) -> None:
    token = everything.issuer.issue("someone", ["worker_agent"])
    for service in services_with(method):
        assert await call.refusal(service, method, token) == "PERMISSION_DENIED FORBIDDEN"


@pytest.mark.parametrize("method", METHODS, ids=IDS)
def test_a_unary_change_carries_a_request_id(method: MethodDescriptor) -> None:
    reads = (
        "Get",
        "List",
        "Find",
        "Search",
        "Look",
        "Verify",
        "Replay",
        "Explain",
        "Trial",
        "Preview",
    )
    if method.client_streaming or method.name.startswith(reads):
        return

    assert "request_id" in method.input_type.fields_by_name


def test_no_method_is_left_without_a_rule() -> None:
    assert unruled_methods(proto_services()) == []


@pytest.fixture(scope="module")
async def everything(
    stack: Settings, databases: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """All eight services on one database."""
    settings = stack.model_copy(
        update={
            "database_url": await databases.fresh(*NAMES),
            "state_dir": tmp_path_factory.mktemp("everything"),
            "pool_size": 4,
        }
    )
    async with running_stack(all_services(), settings, any_port=True, grace=1) as running:
        yield running


def grpc_code(number: int) -> str:
    """The name of a canonical code in a google.rpc.Status."""
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)


class Caller:
    """Calls any method of any service, by default with an empty request."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._open: dict[str, grpc.aio.Channel] = {}

    async def refusal(
        self, service: str, method: MethodDescriptor, token: str | None, request: Any = None
    ) -> str:
        """The code and reason of the refusal; `OK` if there is none."""
        answer = UNKNOWN_OUTCOME
        for _ in range(TRIES_MAX):
            answer = await self._answer(service, method, token, request)
            if answer != UNKNOWN_OUTCOME:
                break
        return answer

    async def _answer(
        self, service: str, method: MethodDescriptor, token: str | None, request: Any
    ) -> str:
        channel = self._open.setdefault(
            service, grpc.aio.insecure_channel(self._stack.addresses[service])
        )
        if request is None:
            request = message_factory.GetMessageClass(method.input_type)()
        kind = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }[method.client_streaming, method.server_streaming]
        call: Any = kind(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        sent = iter([request]) if method.client_streaming else request
        try:
            answer = call(sent, timeout=20, metadata=metadata)
            if method.server_streaming:
                async for part in answer:
                    # A stream of batches goes on after a batch that is refused.
                    if "problem" in method.output_type.fields_by_name and part.problem.code:
                        return grpc_code(part.problem.code)
            else:
                await answer
        except grpc.aio.AioRpcError as error:
            problem = problem_of(error)
            return f"{problem.code.name} {problem.reason}"
        return "OK"

    async def close(self) -> None:
        for channel in self._open.values():
            await channel.close()


@pytest.fixture(scope="module")
async def call(everything: Stack) -> AsyncIterator[Caller]:
    caller = Caller(everything)
    yield caller
    await caller.close()


def services_with(method: MethodDescriptor) -> list[str]:
    """The services that serve a method: its own, or all of them for OperationsService."""
    package = method.containing_service.full_name.split(".")[1]
    return list(NAMES) if package == "operations" else [package]


@pytest.mark.parametrize("method", METHODS, ids=IDS)
async def test_no_token_and_an_invalid_token_are_refused(
    call: Caller, method: MethodDescriptor
) -> None:
    for service in services_with(method):
        assert await call.refusal(service, method, None) == "UNAUTHENTICATED UNAUTHENTICATED"
        assert await call.refusal(service, method, "a.b.c") == "UNAUTHENTICATED UNAUTHENTICATED"


@pytest.mark.parametrize("method", METHODS, ids=IDS)
async def test_exactly_the_roles_of_the_rule_pass(
    call: Caller, everything: Stack, method: MethodDescriptor
) -> None:
    rule = rule_in(method)
    assert rule is not None
    allowed = {role_name(role) for role in rule.roles}
    code = "91350100M000100Y43"
    for service in services_with(method):
        for role in role_names():
            platform = code if role.startswith("platform") else ""
            person = "workers/1" if role == "worker_agent" else ""
            token = everything.issuer.issue("someone", [role], platform, person=person)
            answer = await call.refusal(service, method, token)
            if role in allowed:
                assert answer != "PERMISSION_DENIED FORBIDDEN", role
                assert not answer.startswith(("UNAUTHENTICATED", "INTERNAL", "UNIMPLEMENTED")), (
                    answer
                )
            else:
                assert answer == "PERMISSION_DENIED FORBIDDEN", (role, answer)


@pytest.mark.parametrize("method", METHODS, ids=IDS)
async def test_a_platform_token_without_a_platform_is_refused(
    call: Caller, everything: Stack, method: MethodDescriptor
) -> None:
    token = everything.issuer.issue("someone", ["platform"])
    for service in services_with(method):
        assert await call.refusal(service, method, token) == "PERMISSION_DENIED FORBIDDEN"


async def test_an_expired_token_is_refused(call: Caller, everything: Stack) -> None:
    clock = SetClock(everything.clock.now())
    issuer = type(everything.issuer).at(
        everything.settings.signing_key_path, everything.settings.jwks_path, clock
    )
    token = issuer.issue("someone", ["administrator"])
    clock.set(clock.now().replace(year=clock.now().year - 1))
    old = issuer.issue("someone", ["administrator"])
    method = describe("oip.operations.v1.OperationsService").methods_by_name["GetDelivery"]

    assert await call.refusal("fund", method, token) == "OK"
    assert await call.refusal("fund", method, old) == "UNAUTHENTICATED UNAUTHENTICATED"


OTHER = "91110108MA01ABCD2H"
# Names of the other platform, for fields of any collection.
OTHERS_NAMES = {
    "GetPlatform.name": f"platforms/{OTHER}",
    "GetOrderBatch.name": f"platforms/{OTHER}/orderBatches/b1",
    "ListOrderRejections.order_batch": f"platforms/{OTHER}/orderBatches/b1",
    "GetOrder.name": f"platforms/{OTHER}/orders/o1",
    "GetOrderProof.name": f"platforms/{OTHER}/orders/o1",
    "GetPremiumBill.name": f"platforms/{OTHER}/premiumBills/2025-07",
    "GetPremiumStanding.bill": f"platforms/{OTHER}/premiumBills/2025-07",
}


def of_another(method: MethodDescriptor) -> Any:
    """A request that names another platform's records; None if the method names none."""
    request: Any = message_factory.GetMessageClass(method.input_type)()
    is_named = False
    for field in method.input_type.fields:
        name = OTHERS_NAMES.get(f"{method.name}.{field.name}")
        if field.name == "platform":
            name = f"platforms/{OTHER}"
        if name is not None:
            setattr(request, field.name, name)
            is_named = True
        elif field.is_repeated and bounds_of(field).required:
            items = getattr(request, field.name)
            items.append("a1") if field.message_type is None else items.add()
        elif field.name in {"request_id", "batch_id"}:
            setattr(request, field.name, "r1")
        elif field.name.endswith("_size") and field.name != "page_size":
            setattr(request, field.name, 1)
        elif field.message_type is not None and not field.is_repeated:
            part = getattr(request, field.name)
            if field.message_type.name == "Month":
                part.year, part.month = 2025, 7
            elif field.message_type.name == "Date":
                part.year, part.month, part.day = 2025, 7, 1
    return request if is_named else None


NAMING = [method for method in METHODS if of_another(method) is not None]


@pytest.mark.parametrize(
    "method",
    [m for m in NAMING if (rule := rule_in(m)) and Access.PLATFORM in rule.roles],
    ids=lambda method: method.name,
)
async def test_a_platform_that_names_another_one_is_refused(
    call: Caller, everything: Stack, method: MethodDescriptor
) -> None:
    token = everything.issuer.issue("waimai", ["platform"], "91350100M000100Y43")
    (service,) = services_with(method)

    answer = await call.refusal(service, method, token, of_another(method))

    assert answer.startswith(("PERMISSION_DENIED", "NOT_FOUND")), answer
