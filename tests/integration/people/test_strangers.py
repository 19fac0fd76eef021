"""Every method on somebody's records × every role × own, another and the whole: as declared.

What the access option declares (roles, scope) is what a caller finds. A stranger's record answers
as one that does not exist, word for word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from oip.claims.v1 import claims_pb2
from oip.grading.v1 import grading_pb2
from oip.type.v1.type_pb2 import Access

from services.runtime.rpc.access import AREA_ROLES, PLATFORM_ROLES, rule_in
from services.runtime.rpc.client import problem_of
from services.runtime.rpc.roles import role_name, role_names, role_of
from tests.contract.test_access import METHODS, services_with
from tests.integration.people.calls import NO_RECORD, calls
from tests.integration.people.world import World, seed
from tests.support.platforms import PEARL, SWIFT, credit_code
from tests.support.stack_client import StackClient

OWN_SCOPES = {Access.OWN_PLATFORM, Access.OWN_PERSON, Access.OWN_AREA, Access.OWN_TASK}
BELONGING = [
    method
    for method in METHODS
    if (rule := rule_in(method)) and (OWN_SCOPES | {Access.SHARED}) & set(rule.scope)
]
WALKED = [method for method in BELONGING if method.name not in NO_RECORD]

# A report of an accident has no area before the orders are found: staff of any area take and see
# it.
OF_ANY_AREA = {"ReportAccident", "GetAccidentReport", "ListAccidentReports"}
# A claim is filed in its area: staff of another one are refused once its orders are found.
FILED_IN_ITS_AREA = {"CreateClaim"}

# An act concerns its maker, and who may sign it: the act of the walk is one for appraisers.
OF_SIGNERS = {"ListPendingActs", "GetPendingAct", "SignAct", "WithdrawAct"}

# As whom a caller applies for an appraisal.
APPLICANTS: dict[int, grading_pb2.Applicant.ValueType] = {
    Access.PLATFORM: grading_pb2.PLATFORM,
    Access.FUND_OFFICER: grading_pb2.AGENCY,
}


@dataclass(frozen=True)
class Place:
    """A caller: in a role, and where; `own` is where the records are."""

    role: str
    where: str
    subject: str = "wu"
    platform: str = ""
    person: str = ""


@pytest.fixture(scope="module")
async def world(client: StackClient) -> World:
    return await seed(client)


def places(world: World) -> list[Place]:
    """Strangers first, because those who reach a record change it."""
    found = []
    for role in role_names():
        number = role_of(role)
        if number in PLATFORM_ROLES:
            found += [Place(role, "other", platform=PEARL), Place(role, "own", platform=SWIFT)]
        elif number == Access.WORKER_AGENT:
            found += [
                Place(role, "other", "agent", person=world.stranger),
                Place(role, "own", "agent", person=world.worker),
            ]
        elif number in AREA_ROLES:
            found += [
                Place(role, "other", "shenzhen"),
                Place(role, "own", "guangzhou"),
                Place(role, "whole"),
            ]
        elif number == Access.SPECIALIST:
            outside, inside = (
                seat.member.removeprefix("staffMembers/") for seat in (world.other_seat, world.seat)
            )
            found += [Place(role, "other", outside), Place(role, "own", inside)]
        else:
            found.append(Place(role, "whole"))
    return sorted(found, key=lambda place: ["other", "own", "whole"].index(place.where))


def declared(method: MethodDescriptor, place: Place) -> str:
    """What the access option says of a caller: refused, absent or reached."""
    rule, role = rule_in(method), role_of(place.role)
    assert rule is not None
    scope = set(rule.scope)
    if role not in rule.roles:
        return "refused"
    if place.where == "whole":
        reaches = method.name not in OF_SIGNERS or role == Access.APPRAISER
        return "reached" if reaches else "absent"
    if role in AREA_ROLES:
        if not scope & {Access.OWN_AREA, Access.SHARED}:
            return "refused"
        bounded = Access.OWN_AREA in scope and method.name not in OF_ANY_AREA
        if place.where == "own" or not bounded:
            return "reached"
        return "refused" if method.name in FILED_IN_ITS_AREA else "absent"
    return "reached" if place.where == "own" else "absent"


class Walk:
    """Calls methods as callers and says what they found."""

    def __init__(self, client: StackClient, world: World) -> None:
        self._client = client
        self._world = world
        self._open: dict[str, grpc.aio.Channel] = {}

    def _channel(self, service: str) -> grpc.aio.Channel:
        address = self._client.stack.addresses[service]
        return self._open.setdefault(service, grpc.aio.insecure_channel(address))

    async def found(self, method: MethodDescriptor, place: Place) -> str:
        fields, mark = calls(self._world)[method.name]
        answer = await self.call(method, place, fields)
        missing = await self.call(method, place, {key: _missing(v) for key, v in fields.items()})
        if answer.startswith("PERMISSION_DENIED FORBIDDEN"):
            # For a stranger's platform and for a missing one alike.
            is_own = "this account acts for platform" in answer
            return "absent" if is_own and answer == missing else "refused"
        assert not answer.startswith(("UNKNOWN", "INTERNAL", "UNIMPLEMENTED", "UNAVAILABLE")), (
            answer
        )
        if "INVALID_ARGUMENT" in answer and mark is None:
            assert answer != missing, f"the walk sends {answer}"
        if mark is None:
            return "absent" if answer == missing else "reached"
        if answer.startswith("OK") and mark in answer:
            return "reached"
        assert answer == missing or not any(fields.values()), (answer, missing)
        return "absent"

    async def call_on_record(self, method: MethodDescriptor, place: Place) -> str:
        """The answer of a method about the record of the world."""
        fields, _ = calls(self._world)[method.name]
        return await self.call(method, place, fields)

    async def call(self, method: MethodDescriptor, place: Place, fields: dict[str, Any]) -> str:
        """The answer, as its code and content, or its code, reason and sentence."""
        (service,) = services_with(method) if len(services_with(method)) == 1 else ["grading"]
        request: Any = message_factory.GetMessageClass(method.input_type)(**fields)
        if "claimant_kind" in fields and place.platform:
            request.claimant_kind = claims_pb2.PLATFORM
        if "applicant" in fields:
            request.applicant = APPLICANTS.get(role_of(place.role), grading_pb2.WORKER)
        if "request_id" in method.input_type.fields_by_name:
            request.request_id = self._client.new_id()
        token = self._client.stack.issuer.issue(
            place.subject, [place.role], place.platform, person=place.person
        )
        call: Any = self._channel(service).unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            return f"OK {await call(request, timeout=20, metadata=metadata)}"
        except grpc.aio.AioRpcError as error:
            problem = problem_of(error)
            return _unnamed(f"{problem.code.name} {problem.reason} {problem.sentence}")


def _unnamed(refusal: str) -> str:
    """A refusal without the names of records in it."""
    return re.sub(r"[a-zA-Z]+/[^\s;]+", "_", refusal)


def _missing(value: Any) -> Any:
    """The name of a record that does not exist, of the same shape."""
    if not isinstance(value, str) or "/" not in value:
        return value
    collection, _, rest = value.partition("/")
    if collection == "platforms" and "/" not in rest:
        return f"platforms/{credit_code(77)}"
    if collection == "platforms" and "/premiumBills/" in rest:
        return f"{value.rpartition('/')[0]}/2024-01"
    if collection == "workers":
        return "workers/987654321"
    if "/grants/" in rest:
        return "staffMembers/0123456789abcdef/grants/2"
    return f"{value.rpartition('/')[0]}/0123456789abcdef"


def test_no_method_on_records_of_somebody_is_left_out(world: World) -> None:
    assert set(calls(world)) == {method.name for method in WALKED}
    assert set(NO_RECORD) <= {method.name for method in BELONGING}


@pytest.mark.parametrize("method", WALKED, ids=lambda method: method.name)
async def test_a_caller_finds_what_is_declared(
    client: StackClient, world: World, method: MethodDescriptor
) -> None:
    walk = Walk(client, world)
    around = places(world)

    found = {(one.role, one.where): await walk.found(method, one) for one in around}

    assert found == {(one.role, one.where): declared(method, one) for one in around}
    assert set(found) >= {(role_name(role), "whole") for role in AREA_ROLES}
