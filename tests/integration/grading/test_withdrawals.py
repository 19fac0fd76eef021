"""An applicant withdraws an application; a member of a panel steps down."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any

from oip.grading.v1 import events_pb2, grading_pb2

from tests.support.appraisals import (
    State,
    an_opinion,
    apply,
    determined,
    opened_first,
    reason,
    register,
    specialist,
)
from tests.support.command_line import run_oip
from tests.support.platforms import PEARL
from tests.support.stack_client import StackClient

WORKER = {"person": "workers/1"}


def withdrawal(
    client: StackClient, name: str, request_id: str = ""
) -> grading_pb2.WithdrawAppraisalRequest:
    return grading_pb2.WithdrawAppraisalRequest(
        request_id=request_id or client.new_id(), name=name, reason="still in treatment"
    )


def recusal(client: StackClient, name: str, request_id: str = "") -> Any:
    return grading_pb2.RecuseSpecialistRequest(
        request_id=request_id or client.new_id(),
        name=name,
        code=grading_pb2.TREATED_THE_WORKER,
        reason="operated on the knee in March",
    )


async def read(client: StackClient, name: str) -> grading_pb2.Appraisal:
    appraisal: grading_pb2.Appraisal = await client.grading("appraiser").GetAppraisal(
        grading_pb2.GetAppraisalRequest(name=name)
    )
    return appraisal


async def a_panel(client: StackClient, size: int = 6) -> grading_pb2.Appraisal:
    stub = client.grading("appraiser")
    await register(stub, size)
    opened = await opened_first(client)
    drawn: grading_pb2.Appraisal = await stub.DrawPanel(
        grading_pb2.DrawPanelRequest(request_id="draw", name=opened.name)
    )
    return drawn


async def give(client: StackClient, name: str, seat: grading_pb2.Specialist) -> int:
    opinion = an_opinion(f"{seat.name}/{name}", name, seat.name)
    return int((await specialist(client, seat).RecordOpinion(opinion)).revision)


async def test_a_worker_withdraws_the_own_application_and_may_apply_again(
    client: StackClient,
) -> None:
    opened = await opened_first(client)
    worker = client.grading("worker_agent", **WORKER)
    request = withdrawal(client, opened.name)

    ended = await worker.WithdrawAppraisal(request)
    again = await worker.WithdrawAppraisal(request)
    other = await reason(worker.WithdrawAppraisal(withdrawal(client, opened.name)))
    invited = await worker.ListInvitations(grading_pb2.ListInvitationsRequest())
    (event,) = await client.published("grading", events_pb2.AppraisalEnded)
    second = await apply(client)

    assert (ended.state, ended.end_cause) == (State.ENDED, State.APPLICATION_WITHDRAWN)
    assert again == ended
    assert other == "TRANSITION_NOT_ALLOWED"
    assert [row.claim for row in invited.invitations] == ["claims/c1"]
    assert [note.text for note in ended.notes] == ["still in treatment"]
    assert (event.cause, event.level, event.applicant) == (
        State.APPLICATION_WITHDRAWN,
        State.FIRST,
        grading_pb2.WORKER,
    )
    assert (second.state, second.name == opened.name) == (State.OPENED, False)
    assert await client.broken("grading") == []


async def test_only_the_applicant_or_the_committee_withdraws(client: StackClient) -> None:
    await client.consume("grading", determined(platform=f"platforms/{PEARL}"))
    platform = client.grading("platform", platform=PEARL)
    of_platform = await platform.OpenAppraisal(
        grading_pb2.OpenAppraisalRequest(
            request_id="p", claim="claims/c1", level=State.FIRST, applicant=grading_pb2.PLATFORM
        )
    )
    worker = client.grading("worker_agent", **WORKER)
    strangers = [
        client.grading("worker_agent", person="workers/2"),
        client.grading("appraiser", subject="shenzhen"),
    ]

    by_worker = await reason(worker.WithdrawAppraisal(withdrawal(client, of_platform.name)))
    by_others = [
        await reason(stub.WithdrawAppraisal(withdrawal(client, of_platform.name)))
        for stub in strangers
    ]
    withdrawn = await platform.WithdrawAppraisal(withdrawal(client, of_platform.name))
    of_worker = await apply(client)
    by_platform = await reason(platform.WithdrawAppraisal(withdrawal(client, of_worker.name)))
    on_paper = await client.grading("appraiser").WithdrawAppraisal(
        withdrawal(client, of_worker.name)
    )

    assert (by_worker, by_platform) == ("NOT_YOUR_APPLICATION", "NOT_YOUR_APPLICATION")
    assert by_others == ["NOT_FOUND", "NOT_FOUND"]
    assert withdrawn.end_cause == on_paper.end_cause == State.APPLICATION_WITHDRAWN
    assert not withdrawn.notes  # a platform sees no notes


async def test_a_panel_cannot_be_chosen_by_withdrawing(client: StackClient) -> None:
    drawn = await a_panel(client)
    worker = client.grading("worker_agent", **WORKER)

    assert await reason(worker.WithdrawAppraisal(withdrawal(client, drawn.name))) == "PANEL_DRAWN"
    assert (await read(client, drawn.name)).state == State.PANEL_DRAWN


async def test_twenty_withdrawals_at_once_end_it_once(client: StackClient) -> None:
    opened = await opened_first(client)
    worker = client.grading("worker_agent", **WORKER)

    answers = await asyncio.gather(
        *(worker.WithdrawAppraisal(withdrawal(client, opened.name)) for _ in range(20)),
        return_exceptions=True,
    )

    assert sum(isinstance(answer, grading_pb2.Appraisal) for answer in answers) == 1
    assert len(await client.published("grading", events_pb2.AppraisalEnded)) == 1


async def test_a_member_who_steps_down_is_replaced_by_the_seed_committed_to_before(
    client: StackClient,
) -> None:
    drawn = await a_panel(client)
    leaving, *staying = drawn.panel
    for seat in (leaving, staying[0]):
        await give(client, drawn.name, seat)
    request = recusal(client, drawn.name)
    own = specialist(client, leaving)

    answer = await own.RecuseSpecialist(request)
    repeated = await own.RecuseSpecialist(request)
    after = await read(client, drawn.name)
    pool = await client.grading("appraiser").ListSpecialists(grading_pb2.ListSpecialistsRequest())
    free = {one.name for one in pool.specialists} - {seat.name for seat in drawn.panel}
    (first, *_) = sorted(free, key=lambda name: sha256(after.draw_seed + name.encode()).digest())

    assert (answer.state, answer == repeated) == (State.PANEL_DRAWN, True)
    assert not answer.panel
    assert not answer.claim
    assert drawn.next_draw_commitment == sha256(after.draw_seed).digest()
    assert after.next_draw_commitment != drawn.next_draw_commitment
    assert [seat.name for seat in after.panel] == [*(seat.name for seat in staying), first]
    assert [(each.specialist, each.code) for each in after.exclusions] == [
        (leaving.name, grading_pb2.TREATED_THE_WORKER)
    ]
    gone = [
        await reason(own.GetAppraisal(grading_pb2.GetAppraisalRequest(name=drawn.name))),
        await reason(own.RecuseSpecialist(recusal(client, drawn.name))),
        await reason(own.RecordOpinion(an_opinion("o", drawn.name, leaving.name))),
    ]
    assert gone == ["NOT_FOUND"] * 3
    # The opinion of the member who stays counts; the other two are asked.
    for seat in after.panel[1:]:
        seen = await give(client, drawn.name, seat)
    concluded = await client.grading("appraiser").ConcludeAppraisal(
        grading_pb2.ConcludeAppraisalRequest(request_id="c", name=drawn.name, revision=seen)
    )
    assert [opinion.specialist for opinion in concluded.opinions] == [
        seat.name for seat in after.panel
    ]
    assert "operated on the knee in March" in {note.text for note in concluded.notes}
    assert await client.broken("grading") == []


async def test_one_who_does_not_sit_steps_down_from_nothing(client: StackClient) -> None:
    drawn = await a_panel(client)
    pool = await client.grading("appraiser").ListSpecialists(grading_pb2.ListSpecialistsRequest())
    seats = {seat.name for seat in drawn.panel}
    outsider = next(one for one in pool.specialists if one.name not in seats)

    refusals = [
        await reason(specialist(client, outsider).RecuseSpecialist(recusal(client, drawn.name))),
        await reason(client.grading("appraiser").RecuseSpecialist(recusal(client, drawn.name))),
    ]

    assert refusals == ["NOT_FOUND", "FORBIDDEN"]
    assert [seat.name for seat in (await read(client, drawn.name)).panel] == [
        seat.name for seat in drawn.panel
    ]


async def test_without_anybody_left_the_panel_waits_for_a_new_draw(client: StackClient) -> None:
    drawn = await a_panel(client, 3)
    await specialist(client, drawn.panel[0]).RecuseSpecialist(recusal(client, drawn.name))
    stub = client.grading("appraiser")
    draw = grading_pb2.DrawPanelRequest(request_id="d2", name=drawn.name)

    released = await read(client, drawn.name)
    too_few = await reason(stub.DrawPanel(draw))
    await register(stub, 4)
    second = await stub.DrawPanel(grading_pb2.DrawPanelRequest(request_id="d3", name=drawn.name))

    assert (released.state, len(released.panel)) == (State.OPENED, 0)
    assert too_few == "POOL_TOO_SMALL"
    assert drawn.panel[0].name not in {seat.name for seat in second.panel}
    assert drawn.next_draw_commitment == sha256(second.draw_seed).digest()
    assert await client.broken("grading") == []


async def test_all_members_step_down_at_once(client: StackClient) -> None:
    drawn = await a_panel(client, 9)

    await asyncio.gather(
        *(
            specialist(client, seat).RecuseSpecialist(recusal(client, drawn.name))
            for seat in drawn.panel
        )
    )

    after = await read(client, drawn.name)
    assert len(after.panel) == 3
    assert not {seat.name for seat in after.panel} & {seat.name for seat in drawn.panel}
    assert await client.broken("grading") == []


async def test_the_command_line_withdraws_and_steps_down(client: StackClient) -> None:
    state_dir = client.stack.settings.state_dir

    async def run(subject: str, role: str, *arguments: str, **claims: Any) -> Any:
        token = client.stack.issuer.issue(subject, [role], **claims)
        return await run_oip(state_dir, "appraisals", *arguments, environment={"OIP_TOKEN": token})

    opened = await opened_first(client)
    withdrawn = await run(
        "worker_agent", "worker_agent", "withdraw", opened.name, "--reason", "too early", **WORKER
    )
    shown = await run("li", "appraiser", "show", opened.name)
    await register(client.grading("appraiser"), 4)
    name = (await apply(client)).name
    drawn = await client.grading("appraiser").DrawPanel(
        grading_pb2.DrawPanelRequest(request_id="d", name=name)
    )
    member = drawn.panel[0].member.removeprefix("staffMembers/")
    why = ("--code", "relative", "--reason", "a cousin")
    recused = await run(member, "specialist", "recuse", name, *why)
    wrong = await run(member, "specialist", "recuse", name, "--code", "tired", "--reason", "x")

    assert (withdrawn.exit_code, "ended" in withdrawn.stdout) == (0, True), withdrawn.output
    assert ["end", "cause", "application", "withdrawn"] in map(str.split, shown.stdout.splitlines())
    assert (recused.exit_code, "panel drawn" in recused.stdout) == (0, True), recused.output
    assert drawn.panel[0].name not in [seat.name for seat in (await read(client, name)).panel]
    assert (wrong.exit_code, "choose one of relative, interest" in wrong.stderr) == (2, True)
