"""A bill above the sum takes effect once a second person has signed exactly what was read."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from oip.benefits.v1 import benefits_pb2 as pb
from oip.claims.v1 import claims_pb2
from oip.operations.v1 import operations_pb2 as ops
from oip.staff.v1 import events_pb2 as staff_events

from services.runtime.rpc.client import RemoteProblem, problem_of
from tests.integration.benefits.builders import awards_of, consume, determined
from tests.integration.benefits.test_bills import bill
from tests.support.stack_client import StackClient, refused
from tests.support.staff import all_grants, staff_entry, staff_grant, store_entries

# 6,000 yuan; from 5,000 a second person signs.
LARGE = 600_000


@pytest.fixture(autouse=True)
async def confirmed(client: StackClient) -> None:
    client.signs = False
    await consume(client, determined())


async def register(client: StackClient, *entries: staff_events.StaffChanged) -> None:
    """Replace entries of the staff register as benefits knows it."""
    await store_entries(client.stack.settings.database_url, ["benefits"], entries)


async def pending(
    client: StackClient, request: pb.GrantExpenseRequest | pb.ReverseExpenseRequest
) -> RemoteProblem:
    """Make an act; the refusal that says who has to sign it."""
    stub = client.benefits("fund_officer", subject="li")
    if isinstance(request, pb.GrantExpenseRequest):
        problem = await refused(stub.GrantExpense(request))
    else:
        problem = await refused(stub.ReverseExpense(request))
    assert problem.reason == "SECOND_SIGNATURE_NEEDED", problem
    return problem


async def sign(
    client: StackClient,
    act: RemoteProblem,
    subject: str = "wang",
    role: str = "fund_approver",
    **fields: Any,
) -> ops.PendingAct:
    """Sign an act as another person."""
    request = ops.SignActRequest(
        **{
            "request_id": client.new_id(),
            "name": act.metadata["pending_act"],
            "hash": bytes.fromhex(act.metadata["hash"]),
            **fields,
        }
    )
    return await client.operations("benefits", role, subject=subject).SignAct(request)


async def award_count(client: StackClient) -> int:
    return len(await client.rows("benefits", "select from award where kind = 1"))


async def test_a_large_grant_waits_for_another_person_and_then_takes_effect_once(
    client: StackClient,
) -> None:
    request = bill(client, allowed_cost_fen=LARGE)

    act = await pending(client, request)
    again = await pending(client, request)
    waiting = await award_count(client)
    signed = await sign(client, act)
    award = await client.benefits("fund_officer", subject="li").GrantExpense(request)

    assert again.metadata == act.metadata
    assert "another person with one of the roles fund_approver" in act.sentence
    assert waiting == 0
    assert (signed.state, signed.maker_member, signed.signer_member) == (
        ops.PendingAct.SIGNED,
        "staffMembers/li",
        "staffMembers/wang",
    )
    assert award.amount_fen == signed.sum_fen == LARGE
    assert await award_count(client) == 1
    audits = await client.rows("benefits", "select actor, action from audit order by id")
    assert [(row.actor, row.action.rpartition(".")[2]) for row in audits[-2:]] == [
        ("wang", "SignActRequest"),
        ("li", "GrantExpenseRequest"),
    ]
    assert await client.broken_common("benefits") == []


async def test_a_small_grant_needs_no_signature(client: StackClient) -> None:
    award = await client.benefits("fund_officer").GrantExpense(bill(client))

    assert award.amount_fen == 50_000
    assert await client.broken_common("benefits") == []


async def test_nobody_signs_what_they_made_whatever_their_account_and_roles(
    client: StackClient,
) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))

    own = await refused(sign(client, act, subject="li"))
    other_role = await refused(sign(client, act, role="fund_officer"))
    stranger = await refused(sign(client, act, role="adjudicator"))

    assert own.reason == "SIGNER_IS_MAKER"
    assert {other_role.reason, stranger.reason} == {"NOT_FOUND"}
    assert await award_count(client) == 0


async def test_the_database_refuses_a_signature_of_the_maker(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    insert = (
        "insert into act_signature (pending_act, maker_member, signer_member, signer_subject, hash,"
        " sign_time) select id, {maker}, {signer}, 'x', hash, now() from pending_act"
        " returning pending_act"
    )
    assert act.metadata["pending_act"]

    with pytest.raises(Exception, match="check constraint"):
        await client.rows("benefits", insert.format(maker="maker_member", signer="maker_member"))
    with pytest.raises(Exception, match="foreign key"):
        await client.rows(
            "benefits", insert.format(maker="'staffMembers/x'", signer="maker_member")
        )


async def test_a_change_of_what_was_read_voids_the_signature(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    await consume(client, determined(revision=4, pooling_area="440300"))

    problem = await refused(sign(client, act))

    assert (problem.reason, problem.metadata["changed"]) == ("ACT_CHANGED", "claims/c1")
    assert await award_count(client) == 0


async def test_a_change_that_makes_the_request_impossible_voids_it_too(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    await consume(client, determined(revision=4, outcome=claims_pb2.Determination.REFUSED))

    assert (await refused(sign(client, act))).reason == "ACT_CHANGED"


async def test_another_hash_is_not_signed(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))

    assert (await refused(sign(client, act, hash=b"0" * 32))).reason == "ACT_CHANGED"
    assert (await refused(sign(client, act, hash=b""))).reason == "ACT_CHANGED"


async def test_twenty_signatures_at_once_end_in_one_effect(client: StackClient) -> None:
    signers = [f"wang-{number}" for number in range(20)]
    await register(client, *(staff_entry(subject, all_grants()) for subject in signers))
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))

    results = await asyncio.gather(
        *(sign(client, act, subject=subject) for subject in signers),
        return_exceptions=True,
    )

    signed = [result for result in results if isinstance(result, ops.PendingAct)]
    reasons = {problem_of(r).reason for r in results if isinstance(r, grpc.RpcError)}
    assert len(signed) == 1
    assert reasons <= {"ACT_NOT_PENDING", "RECORD_BUSY", "OVERLOADED"}
    assert await award_count(client) == 1
    assert len(await client.rows("benefits", "select from act_signature")) == 1
    assert await client.broken_common("benefits") == []


async def test_a_signature_that_is_sent_again_gets_its_first_answer(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))

    first = await sign(client, act, request_id="s-1")
    again = await sign(client, act, request_id="s-1")
    other = await refused(sign(client, act))

    assert again == first
    assert other.reason == "ACT_NOT_PENDING"


async def test_the_id_of_a_pending_act_with_other_content_is_refused(client: StackClient) -> None:
    request = bill(client, allowed_cost_fen=LARGE)
    await pending(client, request)
    request.allowed_cost_fen += 1

    problem = await refused(client.benefits("fund_officer", subject="li").GrantExpense(request))

    assert problem.reason == "REQUEST_ID_REUSED"


async def test_a_withdrawn_act_is_neither_signed_nor_made_again(client: StackClient) -> None:
    request = bill(client, allowed_cost_fen=LARGE)
    act = await pending(client, request)
    withdrawal = ops.WithdrawActRequest(
        request_id="w", name=act.metadata["pending_act"], reason="wrong bill"
    )
    officer = client.operations("benefits", "fund_officer", subject="li")

    withdrawn = await officer.WithdrawAct(withdrawal)

    assert (withdrawn.state, withdrawn.withdraw_reason) == (ops.PendingAct.WITHDRAWN, "wrong bill")
    assert (await refused(sign(client, act))).reason == "ACT_NOT_PENDING"
    repeated = await refused(client.benefits("fund_officer", subject="li").GrantExpense(request))
    assert repeated.reason == "SIGNATURE_WITHDRAWN"


async def test_an_act_expires_after_seven_days(client: StackClient) -> None:
    request = bill(client, allowed_cost_fen=LARGE)
    act = await pending(client, request)
    client.clock.set(client.clock.now() + timedelta(days=7))

    assert (await refused(sign(client, act))).reason == "ACT_NOT_PENDING"
    repeated = await refused(client.benefits("fund_officer", subject="li").GrantExpense(request))
    assert repeated.reason == "SIGNATURE_WITHDRAWN"


async def test_the_signer_reads_request_and_preview(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    approver = client.operations("benefits", "fund_approver", subject="wang")

    listed = await approver.ListPendingActs(ops.ListPendingActsRequest())
    shown = await approver.GetPendingAct(ops.GetPendingActRequest(name=act.metadata["pending_act"]))

    assert [each.name for each in listed.pending_acts] == [shown.name]
    assert '"allowed_cost_fen": "600000"' in shown.request_json
    assert '"amount_fen": "600000"' in shown.preview_json
    assert [each.name for each in shown.resources] == ["claims/c1"]
    assert shown.hash.hex() == act.metadata["hash"]
    assert "First Hospital" not in str(
        await client.rows("benefits", "select request, preview from pending_act")
    )


async def test_no_sum_passes_the_maximum_or_the_limit_of_the_day(client: StackClient) -> None:
    million = 100_000_000
    stub = client.benefits("fund_officer", subject="li")
    too_large = await refused(stub.GrantExpense(bill(client, allowed_cost_fen=9_000_000_000_000)))
    client.signs = True
    for number in range(10):
        await stub.GrantExpense(bill(client, str(number), allowed_cost_fen=million))

    capped = await refused(stub.GrantExpense(bill(client, "10", allowed_cost_fen=1)))
    other = await client.benefits("fund_officer", subject="zhao").GrantExpense(
        bill(client, "11", allowed_cost_fen=1)
    )
    client.clock.set(client.clock.now() + timedelta(days=1))
    next_day = await stub.GrantExpense(bill(client, "12", allowed_cost_fen=1))

    assert too_large.reason == "SUM_TOO_LARGE"
    assert capped.reason == "DAY_CAP_REACHED"
    assert capped.metadata["before"] == capped.metadata["cap"] == "10,000,000.00"
    assert other.amount_fen == next_day.amount_fen == 1
    assert len(await awards_of(client)) > 0
    assert await client.broken_common("benefits") == []


async def test_the_maker_s_role_counts_at_the_signature(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    await register(client, staff_entry("li", [staff_grant("adjudicator")], revision=2))

    problem = await refused(sign(client, act))

    assert problem.reason == "MAKER_ROLE_MISSING"
    assert await award_count(client) == 0


async def test_the_signer_s_role_counts_at_the_signature(client: StackClient) -> None:
    act = await pending(client, bill(client, allowed_cost_fen=LARGE))
    await client.operations("benefits", "fund_approver", subject="wang").ListPendingActs(
        ops.ListPendingActsRequest()
    )
    await register(client, staff_entry("wang", [staff_grant("adjudicator")], revision=2))

    problem = await refused(sign(client, act))

    assert problem.reason == "SIGNER_ROLE_MISSING"
    assert await award_count(client) == 0


async def test_a_person_s_own_limit_counts_where_it_is_smaller(client: StackClient) -> None:
    grants = [staff_grant("fund_officer", day_limit_fen=60_000)]
    await register(client, staff_entry("limited", grants))
    stub = client.benefits("fund_officer", subject="limited")

    await stub.GrantExpense(bill(client, "1", allowed_cost_fen=60_000))
    capped = await refused(stub.GrantExpense(bill(client, "2", allowed_cost_fen=1)))
    other = await client.benefits("fund_officer", subject="zhao").GrantExpense(bill(client, "3"))
    client.clock.set(client.clock.now() + timedelta(days=1))
    next_day = await stub.GrantExpense(bill(client, "4", allowed_cost_fen=1))

    assert (capped.reason, capped.metadata["cap"]) == ("DAY_CAP_REACHED", "600.00")
    assert (other.amount_fen, next_day.amount_fen) == (50_000, 1)
    assert await client.broken_common("benefits") == []


async def test_a_caller_who_is_no_person_makes_no_act(client: StackClient) -> None:
    problem = await refused(
        client.benefits("fund_officer", "service", subject="robot").GrantExpense(bill(client))
    )

    assert problem.reason == "NOT_IN_STAFF_REGISTER"
