"""In production, payments are instructed only on assumed values that the province has confirmed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TypeAlias

import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.operations.v1 import operations_pb2 as ops

from services.benefits.__main__ import SERVICE
from services.benefits.domain import law as rules
from services.benefits.domain.law import LAW
from services.kernel.law import Tag
from services.kernel.lawbook import Law
from services.kernel.periods import Month
from services.runtime.base.clock import SetClock
from services.runtime.base.settings import Settings
from services.runtime.embedded import NatsServer
from services.runtime.rpc.client import RemoteProblem
from services.runtime.rpc.wire import date_to_wire
from services.runtime.service.common_invariants import VALUES_CONFIRMED
from tests.integration.benefits.builders import (
    concluded,
    consume,
    determined,
    instructions,
    run_payments,
)
from tests.support.confirmations import (
    DOCUMENT,
    assumed,
    confirm,
    confirm_values,
    tamper,
    unconfirmed_in,
)
from tests.support.databases import Databases
from tests.support.laws import law_with
from tests.support.production_stack import in_production
from tests.support.stack_client import StackClient, refused, stack_client, with_nats

AUGUST = Month(2025, 8)
# What the plan of an injury with grade 3 looks up and no text gives.
OF_GRADE_3 = {"disability_allowance_floor", "minimum_wage", "treatment_allowance"}


Start: TypeAlias = Callable[[Law], AbstractAsyncContextManager[StackClient]]


@pytest.fixture
async def settings(stack: Settings, databases: Databases, nats_server: NatsServer) -> Settings:
    """With a database and a nats-server of the test's own."""
    return with_nats(stack, nats_server, await databases.fresh("benefits"))


@pytest.fixture
def start(
    settings: Settings, clock: SetClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Start:
    """Starts benefits in production with parameter files that say this, on one database."""
    produced = in_production(settings, tmp_path, ["benefits"], clock)

    @asynccontextmanager
    async def started(law: Law) -> AsyncIterator[StackClient]:
        monkeypatch.setattr(rules, "LAW", law)
        async with stack_client([replace(SERVICE, law=law)], produced, clock) as client:
            yield client

    return started


@pytest.fixture
async def client(start: Start) -> AsyncIterator[StackClient]:
    """Benefits in production, with a case of grade 3 that is due."""
    async with start(LAW) as started:
        await consume(started, determined(), concluded(3))
        yield started


async def refused_run(client: StackClient) -> RemoteProblem:
    return await refused(run_payments(client, AUGUST))


async def test_a_run_on_unconfirmed_values_is_refused_by_name_and_changes_nothing(
    client: StackClient,
) -> None:
    problem = await refused_run(client)

    assert problem.reason == "VALUES_NOT_CONFIRMED"
    assert problem.code.name == "FAILED_PRECONDITION"
    assert unconfirmed_in(problem) == OF_GRADE_3
    assert "minimum_wage" in problem.sentence
    assert "尚未确认" in problem.sentence_zh
    assert await instructions(client) == []
    for table in ("payment", "payment_part", "law_use", "pending_act"):
        assert await client.rows("benefits", f"select from {table}") == [], table


async def test_two_persons_confirm_and_the_run_rests_on_their_records(client: StackClient) -> None:
    client.signs = False
    waiting = await refused(confirm(client, "benefits", OF_GRADE_3))
    before = await refused_run(client)

    own = await refused(
        client.sign(
            "benefits",
            waiting.metadata["pending_act"],
            bytes.fromhex(waiting.metadata["hash"]),
            "li",
        )
    )
    await client.sign_waiting("benefits", "wang")
    client.signs = True
    run = await run_payments(client, AUGUST)

    assert waiting.reason == "SECOND_SIGNATURE_NEEDED"
    assert own.reason == "SIGNER_IS_MAKER"
    assert unconfirmed_in(before) == OF_GRADE_3
    assert sum(part.payment_count for part in run.parts) > 0
    after = await assumed(client, "benefits")
    for name in OF_GRADE_3:
        assert after[name].state == ops.AssumedValue.CONFIRMED
        assert after[name].act_count == 1
        assert after[name].last_act == "paymentRuns/2025-08/revisions/1"
    assert after["set_off_share"].state == ops.AssumedValue.UNCONFIRMED
    listed = await client.operations("benefits", "fund_officer").ListParameterConfirmations(
        ops.ListParameterConfirmationsRequest()
    )
    (one, *_) = listed.parameter_confirmations
    assert (one.maker_member, one.signer_member) == ("staffMembers/li", "staffMembers/wang")
    assert one.document == DOCUMENT
    assert await client.broken("benefits") == []
    assert await client.broken_common("benefits") == []


async def test_a_value_that_changes_after_its_confirmation_is_unconfirmed_again(
    start: Start,
) -> None:
    async with start(LAW) as client:
        await confirm(client, "benefits", OF_GRADE_3)

    async with start(law_with(LAW, minimum_wage="2600")) as client:
        skip_ids(client)
        await consume(client, determined(), concluded(3))
        changed = await assumed(client, "benefits")
        problem = await refused_run(client)
        await confirm(client, "benefits", ["minimum_wage"])
        await run_payments(client, AUGUST)

        assert changed["minimum_wage"].state == ops.AssumedValue.CHANGED
        assert unconfirmed_in(problem) == {"minimum_wage"}
        assert await client.broken("benefits") == []


async def test_awards_on_a_value_that_the_files_no_longer_have_are_planned_again_by_the_run(
    start: Start,
) -> None:
    """The province has entered its own value, which has a source and needs no confirmation."""
    async with start(LAW) as client:
        await consume(client, determined(), concluded(3))
        await confirm(client, "benefits", OF_GRADE_3 - {"minimum_wage"})
        before = await refused_run(client)
    wage = LAW.parameters["minimum_wage"]
    own = tuple(replace(value, tag=Tag.LAW, source="a notice") for value in wage.values)
    parameters = {**LAW.parameters, "minimum_wage": replace(wage, values=own)}

    async with start(Law(parameters)) as client:
        skip_ids(client)
        run = await run_payments(client, AUGUST)

        assert unconfirmed_in(before) == {"minimum_wage"}
        assert sum(part.payment_count for part in run.parts) > 0
        assert await client.broken("benefits") == []


async def test_a_confirmation_that_is_taken_back_no_longer_counts(client: StackClient) -> None:
    made = await confirm(client, "benefits", OF_GRADE_3)
    await run_payments(client, AUGUST)
    stub = client.operations("benefits", "fund_officer", subject="li")
    request = ops.RevokeParameterConfirmationRequest(
        request_id=client.new_id(),
        name=made.parameter_confirmations[0].name,
        reason="the province has decided otherwise",
    )

    revoked = await stub.RevokeParameterConfirmation(request)
    client.set_day(date(2025, 9, 20))
    problem = await refused(run_payments(client, Month(2025, 9)))
    again = await refused(
        stub.RevokeParameterConfirmation(
            ops.RevokeParameterConfirmationRequest(
                request_id=client.new_id(), name=revoked.name, reason="once more"
            )
        )
    )

    assert revoked.revoke_signer == "staffMembers/second"
    assert unconfirmed_in(problem) == {revoked.parameter}
    assert again.reason == "CONFIRMATION_REVOKED"
    assert (await assumed(client, "benefits"))[revoked.parameter].state == ops.AssumedValue.REVOKED
    # What had been paid rests on what was in force then.
    assert await client.broken_common("benefits") == []


async def test_a_confirmation_names_a_value_that_is_assumed_here_and_not_confirmed(
    client: StackClient,
) -> None:
    values = await assumed(client, "benefits")
    wage, share = values["minimum_wage"], values["set_off_share"]
    strange = ops.AssumedValue(parameter="minimum_wage", digest=share.digest)
    unknown = ops.AssumedValue(parameter="tea_leaves", digest=share.digest)
    lawful = ops.AssumedValue(parameter="death_grant_years", digest=bytes(32))

    reasons = [
        (await refused(confirm_values(client, "benefits", [value]))).reason
        for value in (strange, unknown, lawful)
    ]
    await confirm_values(client, "benefits", [wage])
    twice = await refused(confirm_values(client, "benefits", [wage]))
    tomorrow = date_to_wire(date(2025, 8, 21))
    early = await refused(confirm_values(client, "benefits", [share], document_date=tomorrow))

    assert reasons == ["NO_ASSUMED_VALUE"] * 3
    assert twice.reason == "VALUE_CONFIRMED"
    assert early.reason == "MALFORMED"


async def test_assumed_values_come_in_pages(client: StackClient) -> None:
    stub, token = client.operations("benefits", "fund_officer"), ""
    whole = await stub.ListAssumedValues(ops.ListAssumedValuesRequest(page_size=1000))
    pages: list[list[ops.AssumedValue]] = []
    while token or not pages:
        request = ops.ListAssumedValuesRequest(page_size=3, page_token=token)
        answer = await stub.ListAssumedValues(request)
        pages.append(list(answer.values))
        token = answer.next_page_token

    assert [value for page in pages for value in page] == list(whole.values)
    assert {len(page) for page in pages[:-1]} == {3}


async def test_a_bill_rests_on_the_values_with_which_it_was_granted(client: StackClient) -> None:
    await confirm(client, "benefits", OF_GRADE_3)
    await client.benefits("fund_officer").GrantExpense(
        pb.GrantExpenseRequest(
            request_id=client.new_id(),
            claim="claims/c1",
            kind=pb.HOSPITAL_MEALS,
            expense_date=date_to_wire(date(2025, 7, 2)),
            day_count=10,
            bill_number="M-1",
            institution="First Hospital",
        )
    )

    problem = await refused_run(client)
    await confirm(client, "benefits", ["hospital_meals_rate"])
    await run_payments(client, AUGUST)

    assert unconfirmed_in(problem) == {"hospital_meals_rate"}
    assert await client.broken("benefits") == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("update law_use set value_count = value_count + 1", VALUES_CONFIRMED.code),
        ("update used_value set confirmation = null", VALUES_CONFIRMED.code),
        ("update parameter_confirmation set signer = ''", VALUES_CONFIRMED.code),
        (
            "update parameter_confirmation set revoke_time = create_time, revoke_reason = 'x'",
            VALUES_CONFIRMED.code,
        ),
        ("delete from used_value where parameter = 'minimum_wage'", "I16-benefits-law"),
        ("update payment set basis = 0", "I16-benefits-law"),
        ("update law_use set act = 'paymentRuns/2025-08/revisions/2'", "I16-benefits-law"),
    ],
)
async def test_verify_sees_a_run_without_its_confirmations(
    client: StackClient, change: str, code: str
) -> None:
    await confirm(client, "benefits", OF_GRADE_3)
    await run_payments(client, AUGUST)
    later = "update law_use set create_time = create_time + interval '1 hour'"

    await tamper(client, "benefits", later, change)

    assert code in [*await client.broken("benefits"), *await client.broken_common("benefits")]


def skip_ids(client: StackClient) -> None:
    """Let the requests of a second client have other ids than those of the first."""
    for _ in range(1000):
        client.new_id()
