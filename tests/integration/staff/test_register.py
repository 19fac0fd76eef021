"""Persons, accounts, grants: one person once, nobody for themselves, each platform its own."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from oip.staff.v1 import events_pb2, staff_pb2

from services.kernel.periods import civil_day
from services.kernel.problems import Problem
from services.runtime.rpc.roles import role_of
from services.runtime.rpc.wire import date_to_wire, enum_number
from services.staff.bootstrap import register_from
from tests.integration.staff.conftest import Staff, account, first_members
from tests.support.platforms import PEARL, SWIFT
from tests.support.stack_client import refused


async def test_twenty_registrations_of_one_person_at_once_end_in_one(staff: Staff) -> None:
    results = await asyncio.gather(
        *(staff.register(f"cora-{number}", "11010519491231002X") for number in range(20)),
        return_exceptions=True,
    )

    registered = [each for each in results if isinstance(each, staff_pb2.StaffMember)]
    assert len(registered) == 1
    assert len([each for each in results if isinstance(each, grpc.RpcError)]) == 19
    assert await staff.client.rows(
        "staff", "select count(*) from account where subject ~ 'cora'"
    ) == [(1,)]
    assert await staff.client.broken("staff") == []


async def test_one_request_that_arrives_twenty_times_registers_one_person(staff: Staff) -> None:
    request = staff_pb2.RegisterStaffMemberRequest(
        request_id="cora-1", display_name="Cora", identity_number="7", accounts=[account("cora")]
    )

    answers = await asyncio.gather(
        *(staff.by("anna").RegisterStaffMember(request) for _ in range(20))
    )

    assert len({answer.name for answer in answers}) == 1


async def test_a_second_account_does_not_make_a_second_person(staff: Staff) -> None:
    cora = await staff.register("cora", "7")

    problem = await refused(staff.register("cora.at.home", " 7 "))

    assert problem.reason == "PERSON_REGISTERED"
    assert problem.metadata["name"] == cora.name


async def test_an_account_belongs_to_one_person(staff: Staff) -> None:
    cora, dora = await staff.register("cora"), await staff.register("dora")
    link = staff_pb2.LinkAccountRequest(request_id="l", name=dora.name, account=account("cora"))

    problem = await refused(staff.by("anna").LinkAccount(link))

    assert (problem.reason, problem.metadata["name"]) == ("ACCOUNT_LINKED", cora.name)


async def test_nobody_grants_to_themselves_under_any_account(staff: Staff) -> None:
    (anna, _) = (
        await staff.by("bert").ListStaffMembers(staff_pb2.ListStaffMembersRequest())
    ).staff_members
    await staff.by("bert").LinkAccount(
        staff_pb2.LinkAccountRequest(request_id="l", name=anna.name, account=account("anna.2"))
    )

    for subject in ("anna", "anna.2"):
        problem = await refused(staff.grant(anna, "fund_officer", by=subject))
        assert problem.reason == "OWN_GRANT"
        link = staff_pb2.LinkAccountRequest(request_id="m", name=anna.name, account=account("x"))
        assert (await refused(staff.by(subject).LinkAccount(link))).reason == "OWN_GRANT"
    assert await staff.client.broken("staff") == []


async def test_a_further_account_takes_two_persons_and_its_holder_signs_nothing(
    staff: Staff,
) -> None:
    """Who links an own account to another person acts as that person."""
    cora = await staff.register("cora")
    await staff.grant(cora, "administrator")
    dora = await staff.register("dora")
    staff.client.signs = False
    link = staff_pb2.LinkAccountRequest(request_id="l", name=dora.name, account=account("mine"))
    granting = staff_pb2.GrantRoleRequest(
        request_id="g",
        name=cora.name,
        grant=staff_pb2.NewGrant(role=enum_number(role_of("fund_approver"))),
    )

    linking = await refused(staff.by("anna").LinkAccount(link))
    granted = await refused(staff.by("anna").GrantRole(granting))
    digest = bytes.fromhex(granted.metadata["hash"])
    own = await refused(
        staff.client.sign("staff", granted.metadata["pending_act"], digest, "cora", "administrator")
    )
    digest = bytes.fromhex(linking.metadata["hash"])
    act = linking.metadata["pending_act"]
    await staff.client.sign("staff", act, digest, "cora", "administrator")
    linked = await staff.by("anna").LinkAccount(link)

    assert linking.reason == granted.reason == "SECOND_SIGNATURE_NEEDED"
    assert own.reason == "OWN_GRANT"
    assert [each.subject for each in linked.accounts] == ["dora", "mine"]


async def test_an_absence_is_withdrawn_and_may_be_recorded_again(staff: Staff) -> None:
    cora = await staff.register("cora")
    day = date_to_wire(civil_day(staff.client.clock.now()))
    absence = staff_pb2.Absence(from_date=day, until_date=day)
    anna = staff.by("anna")

    def recording(request_id: str) -> staff_pb2.RecordStaffAbsenceRequest:
        return staff_pb2.RecordStaffAbsenceRequest(
            request_id=request_id, name=cora.name, absence=absence
        )

    def withdrawing(request_id: str) -> staff_pb2.WithdrawStaffAbsenceRequest:
        return staff_pb2.WithdrawStaffAbsenceRequest(
            request_id=request_id, name=cora.name, absence=absence
        )

    await staff.grant(cora, "adjudicator")
    early = await refused(anna.WithdrawStaffAbsence(withdrawing("w0")))
    recorded = await anna.RecordStaffAbsence(recording("r1"))
    withdrawn = await anna.WithdrawStaffAbsence(withdrawing("w1"))
    repeated = await anna.WithdrawStaffAbsence(withdrawing("w1"))
    again = await anna.RecordStaffAbsence(recording("r2"))
    last = await anna.WithdrawStaffAbsence(withdrawing("w2"))

    assert (early.code.name, early.reason) == ("NOT_FOUND", "ABSENCE_NOT_RECORDED")
    assert list(recorded.absences) == list(again.absences) == [absence]
    assert not withdrawn.absences
    assert not last.absences
    assert repeated == withdrawn
    published = await staff.client.published("staff", events_pb2.StaffChanged)
    assert published[-1].revision == last.revision
    assert not published[-1].absences
    assert await staff.client.broken("staff") == []


async def test_two_administrators_remain(staff: Staff) -> None:
    anna, bert = (
        await staff.by("anna").ListStaffMembers(staff_pb2.ListStaffMembersRequest())
    ).staff_members

    assert (await refused(staff.revoke(bert.grants[0].name))).reason == "TOO_FEW_ADMINISTRATORS"
    cora = await staff.register("cora")
    await staff.grant(cora, "administrator")
    results = await asyncio.gather(
        staff.revoke(bert.grants[0].name),
        staff.revoke(anna.grants[0].name, by="bert"),
        return_exceptions=True,
    )

    assert sum(isinstance(each, staff_pb2.StaffMember) for each in results) == 1


async def test_a_platform_administrator_keeps_the_colleagues_of_its_own_platform(
    staff: Staff,
) -> None:
    boss, rival = await staff.register("boss"), await staff.register("rival")
    await staff.grant(boss, "platform_administrator", platform=f"platforms/{SWIFT}")
    await staff.grant(rival, "platform_administrator", platform=f"platforms/{PEARL}")

    colleague = await staff.invite("kim", by="boss")
    mine = await staff.by("boss", "platform_administrator", SWIFT).ListStaffMembers(
        staff_pb2.ListStaffMembersRequest()
    )

    assert {member.name for member in mine.staff_members} == {boss.name, colleague.name}
    strange = staff.by("rival", "platform_administrator", PEARL)
    get = staff_pb2.GetStaffMemberRequest(name=colleague.name)
    end = staff_pb2.EndSessionsRequest(request_id="e", name=colleague.name)
    assert (await refused(strange.GetStaffMember(get))).reason == "NOT_FOUND"
    assert (await refused(strange.EndSessions(end))).reason == "NOT_FOUND"
    grant = colleague.grants[0].name
    call = staff.revoke(grant, by="rival", role="platform_administrator", platform=PEARL)
    assert (await refused(call)).reason == "NOT_FOUND"
    assert (await refused(staff.invite("lea", by="boss", platform=PEARL))).code.name == (
        "PERMISSION_DENIED"
    )
    ended = await staff.revoke(grant, by="boss", role="platform_administrator", platform=SWIFT)
    assert ended.grants[0].revocation_code == staff_pb2.OTHER_DUTIES


async def test_an_official_cannot_be_invited_and_so_not_signed_out_by_a_platform(
    staff: Staff,
) -> None:
    boss, cora = await staff.register("boss"), await staff.register("cora")
    await staff.grant(boss, "platform_administrator", platform=f"platforms/{SWIFT}")
    await staff.grant(cora, "adjudicator")

    known = await refused(staff.invite("cora", by="boss"))
    other_account = await refused(staff.invite("cora.2", by="boss", identity="ID-cora"))

    assert known.reason == other_account.reason == "NOT_INVITABLE"
    assert "staffMembers" not in other_account.sentence
    end = staff_pb2.EndSessionsRequest(request_id="e", name=cora.name)
    call = staff.by("boss", "platform_administrator", SWIFT).EndSessions(end)
    assert (await refused(call)).reason == "NOT_FOUND"


async def test_the_first_members_are_registered_once_and_only_into_an_empty_register(
    staff: Staff,
) -> None:
    context = staff.client.context("staff")

    assert await register_from(context, first_members("anna", "bert")) == 0
    with pytest.raises(Problem, match="has members"):
        await register_from(context, first_members("eve", "mallory"))
    audited = await staff.client.rows(
        "staff", "select actor, resource from audit where action = 'oip.staff.v1.FirstMembers'"
    )
    assert [row.actor for row in audited] == ["operator", "operator"]


async def test_one_administrator_is_too_few_for_a_start(staff: Staff) -> None:
    await staff.client.rows("staff", "select 1")
    content = first_members("eve")

    with pytest.raises(Problem):
        await register_from(staff.client.context("staff"), content)
    assert await staff.client.rows("staff", "select from account where subject = 'eve'") == []


async def test_a_person_reads_the_own_entry(staff: Staff) -> None:
    cora = await staff.register("cora")
    await staff.grant(cora, "adjudicator", areas=["440100"])

    me = await staff.by("cora", "adjudicator").GetOwnStaffMember(
        staff_pb2.GetOwnStaffMemberRequest()
    )

    assert (me.name, list(me.grants[0].areas)) == (cora.name, ["440100"])
