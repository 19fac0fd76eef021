"""Who trues up, who signs it, what stays on record, and what `oip verify` says."""

from __future__ import annotations

from datetime import date
from typing import Any

import sqlalchemy as sa
from oip.benefits.v1 import benefits_pb2 as pb
from oip.benefits.v1 import events_pb2
from oip.operations.v1 import operations_pb2

from tests.integration.benefits.builders import (
    awards_of,
    run_payments,
)
from tests.integration.benefits.provisional import (
    BEIJING,
    EXPECTED,
    JULY,
    SHANGHAI,
    of_kind,
    paid_before,
    true_up,
)
from tests.support.command_line import run_oip
from tests.support.stack_client import StackClient, refused


async def test_a_true_up_leaves_a_record_with_the_figures_and_the_person(
    client: StackClient,
) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    done = await true_up(client)
    stub = client.benefits("fund_officer")

    recorded = await stub.ListTrueUps(pb.ListTrueUpsRequest(claim="claims/c1"))
    of_area = await stub.ListTrueUps(pb.ListTrueUpsRequest(pooling_area=BEIJING))
    elsewhere = await stub.ListTrueUps(pb.ListTrueUpsRequest(pooling_area=SHANGHAI))
    own = client.benefits("worker_agent", person="workers/1")
    other = client.benefits("worker_agent", person="workers/2")

    assert of_kind(recorded.true_ups) == of_kind(done.true_ups) == EXPECTED
    assert [each.name for each in of_area.true_ups] == [each.name for each in recorded.true_ups]
    assert not elsewhere.true_ups
    assert all(each.member and each.name and each.create_time for each in recorded.true_ups)
    assert len((await own.ListTrueUps(pb.ListTrueUpsRequest())).true_ups) == 3
    assert not (await other.ListTrueUps(pb.ListTrueUpsRequest())).true_ups
    events = await client.published("benefits", events_pb2.AwardGranted)
    final = [event.award for event in events if not event.award.provisional]
    assert {award.name for award in final} >= {each.award for each in done.true_ups}


async def test_money_that_moves_is_signed_by_another_person(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    client.signs = False

    needed = await refused(true_up(client, "t1"))
    waiting = await awards_of(client)
    shown = await client.operations("benefits", "fund_approver", subject="wang").GetPendingAct(
        operations_pb2.GetPendingActRequest(name=needed.metadata["pending_act"])
    )
    own = await refused(_sign(client, needed, "test"))
    await _sign(client, needed, "wang")
    repeated = await true_up(client, "t1")

    assert (needed.reason, own.reason) == ("SECOND_SIGNATURE_NEEDED", "SIGNER_IS_MAKER")
    assert {award.provisional for award in waiting.values()} == {True}
    assert "difference_fen" in shown.preview_json
    assert shown.sum_fen == sum(max(d, a - b) for b, a, d, _ in EXPECTED.values())
    assert of_kind(repeated.true_ups) == EXPECTED
    assert await client.broken("benefits") == []
    assert await client.broken_common("benefits") == []


async def test_a_payment_between_proposal_and_signature_voids_the_signature(
    client: StackClient,
) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    client.signs = False
    needed = await refused(true_up(client, "t1"))
    client.signs = True
    await run_payments(client, JULY)

    problem = await refused(_sign(client, needed, "wang"))

    assert problem.reason == "ACT_CHANGED"
    # The run has trued up by itself, signed as a whole.
    recorded = await client.benefits("fund_officer").ListTrueUps(pb.ListTrueUpsRequest())
    assert of_kind(recorded.true_ups) == EXPECTED
    assert await client.broken("benefits") == []


async def test_verify_names_an_award_that_was_forgotten(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    assert await client.broken("benefits") == []  # no run has known the figure yet
    await run_payments(client, JULY)
    assert await client.broken("benefits") == []

    async with client.database("benefits").begin() as tx:
        await tx.execute(
            sa.text("update award set awaits = '{all_employee_wage/110105/2023-02-10/x}'")
        )

    assert "I3-benefits-trued-up" in await client.broken("benefits")


async def test_who_may_true_up(client: StackClient) -> None:
    await paid_before(client)
    request = pb.TrueUpAwardsRequest(request_id="x")
    callers = [
        client.benefits("adjudicator"),
        client.benefits("worker_agent", person="workers/1"),
        client.benefits("fund_officer", subject="guangzhou"),
    ]
    reasons = {(await refused(stub.TrueUpAwards(request))).reason for stub in callers}
    wrong = await refused(true_up(client, pooling_area="Beijing"))
    of_other_area = client.benefits("fund_officer", subject="guangzhou")

    assert reasons == {"FORBIDDEN"}
    assert wrong.reason == "MALFORMED"
    answer = await of_other_area.ListProvisionalAwards(pb.ListProvisionalAwardsRequest())
    assert not answer.rows


async def test_indexation_of_provisional_awards_is_signed_too(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    client.signs = False

    problem = await refused(
        client.benefits("fund_officer").IndexAwards(pb.IndexAwardsRequest(request_id="i"))
    )

    assert problem.reason == "SECOND_SIGNATURE_NEEDED"
    assert {award.provisional for award in (await awards_of(client)).values()} == {True}


async def test_the_command_line_lists_tries_and_trues_up(client: StackClient) -> None:
    await paid_before(client)
    client.set_day(date(2023, 7, 3))
    state_dir = client.stack.settings.state_dir
    token = client.stack.issuer.issue("li", ["fund_officer"])

    async def run(*arguments: str) -> Any:
        return await run_oip(state_dir, "awards", *arguments, environment={"OIP_TOKEN": token})

    listed = await run("provisional", "--in", BEIJING)
    tried = await run("true-up", "--dry-run")
    still = {award.provisional for award in (await awards_of(client)).values()}
    waiting = await run("true-up")
    await client.sign_waiting("benefits")
    done = await run("true-up")
    shown = await run("trued-up", "--claim", "claims/c1")

    assert "all_employee_wage of 110105 for 2023-02-10, published" in listed.stdout
    assert "3 awards would change; nothing has been changed." in tried.stdout
    assert "9,232.20" in tried.stdout
    assert still == {True}
    assert (waiting.exit_code, "oip acts show" in waiting.stdout) == (0, True)
    assert (done.exit_code, "0 workers planned, 0 left." in done.stdout) == (0, True)
    assert "all_employee_wage 11297 of 110000" in shown.stdout


async def _sign(client: StackClient, needed: Any, subject: str) -> Any:
    digest = bytes.fromhex(needed.metadata["hash"])
    return await client.sign("benefits", needed.metadata["pending_act"], digest, subject)
