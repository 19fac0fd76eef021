"""The steps of an appraisal on the command line, and what `oip verify` says of broken rows."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from oip.grading.v1 import grading_pb2

from tests.support.appraisals import (
    State,
    apply,
    appraise,
    concluded_first,
    determined,
    in_states,
    opened_first,
    register,
)
from tests.support.command_line import run_oip
from tests.support.stack_client import StackClient


async def test_the_command_line_leads_from_the_application_to_the_revocation(
    client: StackClient,
) -> None:
    stub = client.grading("appraiser")
    await register(stub, 3)
    first = await appraise(client, (await opened_first(client)).name)
    state_dir = client.stack.settings.state_dir
    token = client.stack.issuer.issue("li", ["appraiser"])

    async def run(*arguments: str) -> Any:
        return await run_oip(state_dir, "appraisals", *arguments, environment={"OIP_TOKEN": token})

    served = await run(
        "serve", first.name, "--on", "worker", "--means", "handed-over", "--day", "2025-09-01"
    )
    shown = await run("show", first.name)
    listed = await run("list", "--state", "concluded")
    wrong = await run(
        "serve", first.name, "--on", "judge", "--means", "post", "--day", "2025-09-01"
    )
    seen = await stub.GetAppraisal(grading_pb2.GetAppraisalRequest(name=first.name))
    waiting = await run(
        "correct",
        first.name,
        "--revision",
        str(seen.revision),
        "--code",
        "wrong-item",
        "--reason",
        "the picture was another person's",
        "--measured",
        "SCARS:area=92",
    )

    assert served.stdout.splitlines()[0] == first.name
    assert ["worker", "handed", "over", "2025-09-01"] in map(str.split, shown.stdout.splitlines())
    assert first.name in listed.stdout
    assert (wrong.exit_code, "choose one of worker, platform" in wrong.stderr) == (2, True)
    assert (waiting.exit_code, "oip acts show" in waiting.stdout) == (0, True), waiting.output


BROKEN = {
    "I9-grading-applications": """
        update appraisal set application_date = '2025-08-30' where level = 'RE_APPRAISAL'
    """,
    "I9-grading-services": """
        insert into conclusion_service
        select id, 1, 'WORKER', 1, 'POST', '2025-08-31', create_time
        from appraisal where level = 'FIRST'
    """,
    "I9-grading-corrections": """
        update appraisal set conclusion_number = 2, correct_date = '2025-09-01'
        where level = 'FIRST'
    """,
}


@pytest.mark.parametrize("code", BROKEN)
async def test_verify_names_what_is_broken(client: StackClient, code: str) -> None:
    first = await concluded_first(client)
    await apply(client, previous=first.name, level=State.RE_APPRAISAL)
    assert await client.broken("grading") == []

    async with client.database("grading").begin() as tx:
        await tx.execute(sa.text(BROKEN[code]))

    assert code in await client.broken("grading")


async def test_each_step_of_the_committee_has_a_command(client: StackClient) -> None:
    state_dir = client.stack.settings.state_dir
    await register(client.grading("appraiser"), 2)
    await client.consume("grading", determined())

    async def run(*arguments: str, subject: str = "li", role: str = "appraiser") -> str:
        token = client.stack.issuer.issue(subject, [role])
        result = await run_oip(state_dir, *arguments, environment={"OIP_TOKEN": token})
        assert result.exit_code == 0, result.output
        return result.stdout

    async def step(name: str, *arguments: str) -> str:
        return await run("appraisals", name, *arguments)

    registering = ("specialists", "register", "A002", "eyes", "staffMembers/A2")
    assert "oip acts show" in await run(*registering)
    await client.sign_waiting("grading")
    assert "2028-08-31" in await run("specialists", "list")
    assert "claims/c1" in await run("invitations", "list")
    application = ("--level", "first", "--applicant", "worker", "--received", "2025-08-25")
    assert "2025-10-24" in await step("apply", "--claim", "claims/c1", *application)
    (opened,) = await in_states(client.grading("appraiser"), State.OPENED)
    name = opened.name
    until = ("--documents", "the X-ray", "--until", "2025-09-10")
    assert "documents requested" in await step("request-documents", name, *until)
    assert "opened" in await step("documents", name)
    assert "panel drawn" in await step("draw", name)
    shift = ("--until", "2025-09-15", "--reason", "a further picture")
    assert "2025-11-07" in await step("adjourn", name, *shift)
    assert "2025-12-08" in await step("extend", name, "--reason", "two hospitals disagree")
    examination = ("--day", "2025-09-01", "--excused")
    assert "panel drawn" in await step("absence", name, *examination)
    panel = (await client.grading("appraiser").GetAppraisal(get(name))).panel
    for seat in panel:
        stated = ("--specialist", seat.name, "--item", "9.23", "--cannot", "moving-about")
        subject = seat.member.removeprefix("staffMembers/")
        said = await run("appraisals", "opinion", name, *stated, subject=subject, role="specialist")
        assert said.splitlines()[0] == name
    revision = (await client.grading("appraiser").GetAppraisal(get(name))).revision
    concluded = await step("conclude", name, "--revision", str(revision))
    assert ["grade", "9"] in map(str.split, concluded.splitlines())
    assert "partial" in concluded
    assert "a further picture" in await step("show", name)
    fraud = ("--revision", str(revision + 1), "--reason", "another person came")
    assert "oip acts show" in await step("revoke", name, *fraud)
    await client.sign_waiting("grading")
    assert "revoked" in await step("list", "--claim", "claims/c1")
    assert await client.broken("grading") == []


def get(name: str) -> grading_pb2.GetAppraisalRequest:
    return grading_pb2.GetAppraisalRequest(name=name)
