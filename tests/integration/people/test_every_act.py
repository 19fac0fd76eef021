"""What holds for every act of the table, whichever it is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import pytest
from oip.operations.v1 import operations_pb2

from services.runtime.rpc.access import describe, rule_in
from services.runtime.rpc.client import RemoteProblem, problem_of
from services.runtime.rpc.roles import role_name
from services.runtime.rpc.tokens import DEVELOPMENT_ISSUER
from services.runtime.service import signatures
from services.runtime.service.act_table import all_rules, rule_on
from services.runtime.service.common_invariants import ACTS_ONCE, ACTS_SIGNED, DAY_CAPS
from tests.contract.test_access import proto_services
from tests.integration.people.acts import CASES
from tests.integration.people.made import MAKER, ActCase, Made
from tests.integration.people.money_acts import LATER
from tests.support.stack_client import StackClient, refused
from tests.support.staff import all_grants, staff_entry, staff_grant, store_entries

# Beginning an epoch needs a database that was restored: tests/integration/runtime/test_restore.py.
ELSEWHERE = {("epoch", "BeginEpoch")}
SIGNERS = [f"officer-{number}" for number in range(20)]
NUMBERS = itertools.count(1)


@pytest.fixture(params=CASES, ids=lambda case: f"{case.act}-{case.method}")
def case(request: pytest.FixtureRequest) -> ActCase:
    chosen: ActCase = request.param
    return chosen


@pytest.fixture(autouse=True)
async def signing(client: StackClient) -> AsyncIterator[None]:
    """The client is shared: seeds are signed, the act of a test is not."""
    client.signs = True
    yield
    client.signs = True


def test_no_act_and_no_method_is_left_out() -> None:
    covered = {(case.act, case.method) for case in CASES} | ELSEWHERE
    methods = {
        method.name
        for service in proto_services()
        for method in describe(service).methods
        if (rule := rule_in(method)) and rule.act
    }

    assert {act for act, _ in covered} == {rule.act for rule in all_rules()}
    assert {method for _, method in covered} == methods


async def ready(client: StackClient, case: ActCase) -> Made:
    client.signs = True
    made = await case.prepare(client, next(NUMBERS))
    client.signs = False
    return made


async def waiting(made: Made) -> RemoteProblem:
    problem = await refused(made.make())
    assert problem.reason == "SECOND_SIGNATURE_NEEDED", problem
    return problem


def signer_roles(case: ActCase) -> list[str]:
    rule = rule_on(case.act, LATER)
    assert rule is not None
    return [role_name(role) for role in rule.roles]


async def sign(
    client: StackClient, case: ActCase, made: Made, act: RemoteProblem, subject: str, **fields: Any
) -> operations_pb2.PendingAct:
    stub = client.operations(made.service, *signer_roles(case), subject=subject)
    defaults = {
        "request_id": client.new_id(),
        "name": act.metadata["pending_act"],
        "hash": bytes.fromhex(act.metadata["hash"]),
    }
    return await stub.SignAct(operations_pb2.SignActRequest(**{**defaults, **fields}))


async def performed(client: StackClient, made: Made, act: RemoteProblem) -> int:
    name = act.metadata["pending_act"].removeprefix("pendingActs/")
    rows = await client.rows(
        made.service, "select from performed_act where pending_act = :name", name=name
    )
    return len(rows)


async def register(client: StackClient, made: Made, *entries: Any) -> None:
    await store_entries(client.stack.settings.database_url, [made.service], entries)
    client.context(made.service).forget_staff()


async def reason(call: Awaitable[Any]) -> str:
    return (await refused(call)).reason


async def test_an_act_is_signed_by_another_person_who_holds_the_role(
    client: StackClient, case: ActCase
) -> None:
    made = await ready(client, case)
    act, strange = await waiting(made), bytes(32)
    second = staff_entry(MAKER, all_grants(), revision=2)
    second.accounts.add(issuer=DEVELOPMENT_ISSUER, subject="li.at.home")
    without = staff_entry("zhao", [staff_grant("specialist")], revision=2)
    await register(client, made, second, without)

    try:
        refusals = [
            await reason(sign(client, case, made, act, MAKER)),
            await reason(sign(client, case, made, act, "li.at.home")),
            await reason(sign(client, case, made, act, "zhao")),
            await reason(sign(client, case, made, act, "wu", hash=strange)),
            await reason(sign(client, case, made, act, "wu", name="pendingActs/other")),
        ]
    finally:
        full = staff_entry("zhao", all_grants(), revision=3)
        await register(client, made, staff_entry(MAKER, all_grants(), revision=3), full)

    assert refusals == [
        "SIGNER_IS_MAKER",
        "SIGNER_IS_MAKER",
        "FORBIDDEN",
        "ACT_CHANGED",
        "NOT_FOUND",
    ]
    assert await performed(client, made, act) == 0


async def test_an_act_whose_maker_or_signer_lost_the_role_in_between_is_not_signed(
    client: StackClient, case: ActCase
) -> None:
    """The entries that the service keeps in memory are of a moment ago."""
    made = await ready(client, case)
    act = await waiting(made)
    stub = client.operations(made.service, *signer_roles(case), subject="wu")
    await stub.ListPendingActs(operations_pb2.ListPendingActsRequest())
    url, taken = client.stack.settings.database_url, [staff_grant("specialist")]

    try:
        await store_entries(url, [made.service], [staff_entry("wu", taken, revision=2)])
        signer = await reason(sign(client, case, made, act, "wu"))
        full = staff_entry("wu", all_grants(), revision=3)
        await register(client, made, full, staff_entry(MAKER, taken, revision=4))
        maker = await reason(sign(client, case, made, act, "wu"))
    finally:
        await register(client, made, staff_entry(MAKER, all_grants(), revision=5))

    assert (signer, maker) == ("SIGNER_ROLE_MISSING", "MAKER_ROLE_MISSING")
    assert await performed(client, made, act) == 0


async def test_a_change_of_what_an_act_rests_on_voids_it(
    client: StackClient, case: ActCase
) -> None:
    made = await ready(client, case)
    act = await waiting(made)
    client.signs = True
    await made.disturb()
    client.signs = False

    assert await reason(sign(client, case, made, act, "wu")) == "ACT_CHANGED"
    assert await performed(client, made, act) == 0


async def test_a_service_that_dies_between_signature_and_commit_has_done_nothing(
    client: StackClient, case: ActCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await ready(client, case)
    act = await waiting(made)

    async def die(place: str) -> None:
        if place == "signatures.after_signature":
            raise SystemError(place)

    with monkeypatch.context() as patch:
        patch.setattr(signatures, "failpoint", die)
        died = await refused(sign(client, case, made, act, "wu", request_id=f"die-{act.reason}"))
    before = await performed(client, made, act)
    signed = await sign(client, case, made, act, "wu")

    assert died.code is grpc.StatusCode.INTERNAL
    assert before == 0
    assert signed.state == operations_pb2.PendingAct.SIGNED
    assert await performed(client, made, act) == 1


async def test_twenty_signatures_at_once_end_in_one_effect(
    client: StackClient, case: ActCase
) -> None:
    made = await ready(client, case)
    act = await waiting(made)

    results = await asyncio.gather(
        *(sign(client, case, made, act, subject) for subject in SIGNERS), return_exceptions=True
    )
    answer = await made.make()

    signed = [one for one in results if isinstance(one, operations_pb2.PendingAct)]
    reasons = {problem_of(one).reason for one in results if isinstance(one, grpc.RpcError)}
    assert len(signed) == 1
    # An erasure waits while the events of the first one are under way.
    assert reasons <= {
        "ACT_NOT_PENDING",
        "ACT_CHANGED",
        "EVENTS_UNDER_WAY",
        "RECORD_BUSY",
        "OVERLOADED",
    }, reasons
    assert await performed(client, made, act) == 1
    assert answer is not None
    of_acts = {invariant.code for invariant in (ACTS_SIGNED, ACTS_ONCE, DAY_CAPS)}
    assert of_acts.isdisjoint(await client.broken_common(made.service))
